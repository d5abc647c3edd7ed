"""Codec names as browsers ask for them (RFC 6381), out of a sample entry's boxes. Pure."""

from collections.abc import Mapping

from bidwitness.errors import DamageFound

_FIXED = {b"fLaC": "flac", b"Opus": "opus"}


def codec_of(entry: bytes, children: Mapping[bytes, bytes]) -> str:
    """Name the codec of a sample entry by its type and the boxes in it.

    Gives for example ``avc1.640028``, ``hev1.1.6.L93.B0``, ``mp4v.6C`` (JPEG), ``mp4a.40.2``, ``flac`` or ``opus``. Raises
    ``DamageFound`` for an entry that lacks its configuration or is not known.
    """
    if entry in _FIXED:
        return _FIXED[entry]
    try:
        if entry in (b"avc1", b"avc3"):
            record = children[b"avcC"]
            return f"{entry.decode()}.{record[1]:02x}{record[2]:02x}{record[3]:02x}"
        if entry in (b"hvc1", b"hev1"):
            return f"{entry.decode()}.{_hevc(children[b'hvcC'])}"
        if entry == b"mp4a":
            return f"mp4a.40.{_aac_object_type(children[b'esds'])}"
        if entry == b"mp4v":
            return f"mp4v.{_object_type(children[b'esds']):02X}"
    except (KeyError, IndexError):
        raise DamageFound(f"The sample entry {entry!r} lacks its configuration.") from None
    raise DamageFound(f"The sample entry {entry!r} is not known.")


def _hevc(record: bytes) -> str:
    """Follow ISO/IEC 14496-15, annex E.3."""
    head = record[1]
    space = ("", "A", "B", "C")[head >> 6]
    tier = "H" if head & 0x20 else "L"
    flags = int.from_bytes(record[2:6], "big")
    reversed_flags = int(f"{flags:032b}"[::-1], 2)
    level = record[12]
    constraints = record[6:12].rstrip(b"\0")
    tail = "".join(f".{byte:X}" for byte in constraints)
    return f"{space}{head & 0x1F}.{reversed_flags:X}.{tier}{level}{tail}"


def _object_type(esds: bytes) -> int:
    """Read what kind of object an ES descriptor is of (ISO/IEC 14496-1, 7.2.6.6)."""
    return esds[_descend(esds, ((0x03, 3), (0x04, 0)))]


def _aac_object_type(esds: bytes) -> int:
    """Read the audio object type in an ES descriptor (ISO/IEC 14496-1, 7.2.6)."""
    # ES_Descriptor > DecoderConfigDescriptor > DecoderSpecificInfo
    at = _descend(esds, ((0x03, 3), (0x04, 13), (0x05, 0)))
    kind = esds[at] >> 3
    if kind == 31:
        kind = 32 + ((esds[at] & 7) << 3 | esds[at + 1] >> 5)
    return kind


def _descend(esds: bytes, path: tuple[tuple[int, int], ...]) -> int:
    """Give where the innermost of nested descriptors (tag, bytes to pass over) has its body."""
    at = 4
    for tag, skip in path:
        if esds[at] != tag:
            raise IndexError
        at += 1
        while esds[at] & 0x80:
            at += 1
        at += 1
        if tag == 0x03 and esds[at + 2]:
            raise IndexError  # flags we never write: dependency, URL, OCR
        at += skip
    return at
