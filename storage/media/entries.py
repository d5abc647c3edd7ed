"""Sample entries of an init: what a decoder is told of a track before its first sample. Pure."""

import struct
from dataclasses import dataclass

from bidwitness.errors import DamageFound
from bidwitness.storage.media.bits import BitReader, without_emulation
from bidwitness.storage.media.boxes import Box, read_boxes, read_init
from bidwitness.storage.media.parameters import avc_config
from bidwitness.words import Medium

# Where the boxes within a picture's sample entry begin.
_HEAD = 8 + 78
_PATH = (b"mdia", b"minf", b"stbl", b"stsd")
_SETS_OF_FOUR = 3
# As many parameter sets as H.264 has numbers for.
_NUMBERS = 32


@dataclass(frozen=True, slots=True)
class SampleEntry:
    """A track's sample entry as bytes. ``boxes``: where those begin that hold it, outermost first."""

    medium: Medium
    kind: bytes
    body: bytes
    boxes: tuple[int, ...]
    start: int


def sample_entries(init: bytes) -> dict[int, SampleEntry]:
    """Give each track's sample entry by the track's number. Raises ``DamageFound``."""
    found: dict[int, SampleEntry] = {}
    tracks = iter(read_init(init))
    (moov,) = (box for box in read_boxes(init) if box.type == b"moov")
    for trak in read_boxes(init, moov.body, moov.end):
        if trak.type != b"trak":
            continue
        way = [moov, trak]
        for kind in _PATH:
            way.append(_child(init, way[-1], kind))
        entry = next(read_boxes(init, way[-1].body + 8, way[-1].end))
        track = next(tracks)
        found[track.id] = SampleEntry(
            *(track.medium, entry.type, init[entry.start : entry.end]),
            *(tuple(box.start for box in way), entry.start),
        )
    return found


def _child(data: bytes, box: Box, kind: bytes) -> Box:
    for child in read_boxes(data, box.body, box.end):
        if child.type == kind:
            return child
    raise DamageFound(f"There is no {kind!r} in {box.type!r}.")


@dataclass(frozen=True, slots=True)
class AvcSets:
    """The parameter sets of H.264 in an ``avcC``, each NAL unit behind no length."""

    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    def free_number(self) -> int:
        """Give a number that no set has. Raises ``DamageFound`` if all are taken."""
        taken = {_number(nal, skip=3) for nal in self.sps} | {_number(nal) for nal in self.pps}
        for number in range(1, _NUMBERS):
            if number not in taken:
                return number
        raise DamageFound("All numbers of parameter sets are taken.")


def _number(nal: bytes, skip: int = 0) -> int:
    return BitReader(without_emulation(nal[1 + skip :])).ue()


def avc_sets(init: bytes) -> AvcSets | None:
    """Give the parameter sets that an init declares; none if its picture is not H.264, or has no
    lengths of four bytes. Raises ``DamageFound``.
    """
    for entry in sample_entries(init).values():
        if entry.kind in (b"avc1", b"avc3"):
            found = _avcc(entry.body)
            record = entry.body[found.body : found.end]
            return _sets(record) if record[4] & 3 == _SETS_OF_FOUR else None
    return None


def _avcc(entry: bytes) -> Box:
    for box in read_boxes(entry, _HEAD, len(entry)):
        if box.type == b"avcC":
            return box
    raise DamageFound("A sample entry lacks its configuration.")


def _sets(record: bytes) -> AvcSets:
    try:
        at, out = 5, []
        for mask in (0x1F, 0xFF):
            count, at = record[at] & mask, at + 1
            sets = []
            for _ in range(count):
                size = int.from_bytes(record[at : at + 2])
                sets.append(record[at + 2 : at + 2 + size])
                at += 2 + size
            out.append(tuple(sets))
    except IndexError:
        raise DamageFound("A configuration ends too early.") from None
    return AvcSets(out[0], out[1])


def with_more_sets(init: bytes, more: AvcSets) -> bytes:
    """Give an init whose picture (H.264) declares more parameter sets behind its own.

    Raises ``DamageFound`` if it has none of its own.
    """
    own = avc_sets(init)
    entry = next((e for e in sample_entries(init).values() if e.kind in (b"avc1", b"avc3")), None)
    if own is None or entry is None:
        raise DamageFound("The init declares no H.264.")
    record = bytearray(avc_config([*own.sps, *more.sps], [*own.pps, *more.pps]).record)
    # The level is to be that of the most demanding one.
    record[3] = max(nal[3] for nal in (*own.sps, *more.sps))
    box = _avcc(entry.body)
    start, end = entry.start + box.start, entry.start + box.end
    new = struct.pack(">I4s", 8 + len(record), b"avcC") + bytes(record)
    grown = len(new) - (end - start)
    out = bytearray(init[:start] + new + init[end:])
    for at in (*entry.boxes, entry.start):
        size = struct.unpack_from(">I", out, at)[0]
        struct.pack_into(">I", out, at, size + grown)
    return bytes(out)
