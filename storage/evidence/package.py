"""Writing a package: a BagIt bag (RFC 8493) as a zip or a folder, streamed, all at once or not.

The bag's layout is written here and read by ``verify``, and nowhere else.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from bidwitness import __version__
from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.attached import REPORTS
from bidwitness.storage.evidence.bag import CHUNK, MANIFESTS, SM3_LIST, TAG_MANIFEST
from bidwitness.storage.evidence.bundle import standalone_verifier
from bidwitness.storage.evidence.chain import link_of_line
from bidwitness.storage.evidence.disclosure import DisclosureFacts, disclose, disclosure_line
from bidwitness.storage.evidence.footage import media_path, records_path
from bidwitness.storage.evidence.merkle import SHA256, SM3, leaf_hasher, root
from bidwitness.storage.evidence.page_bundle import verifier_page
from bidwitness.storage.evidence.pieces import BadMedia, Readable, read_pieces
from bidwitness.storage.evidence.readme import README
from bidwitness.storage.evidence.records import GapFacts, SegmentFacts, StreamRecord, utc_text
from bidwitness.storage.evidence.targets import FolderTarget, Lane, Target, ZipTarget

Opener: TypeAlias = Callable[[], AbstractContextManager[Readable]]
MEDIA = "data/media/"


@dataclass(frozen=True)
class MediaSource:
    """A segment for a package, and how to open its stored file.

    ``keep``: the numbers of the pieces that the recipient may have (0 is the init); ``None``:
    the whole file; empty: none of it, which the package states.
    """

    record: SegmentFacts
    open: Opener
    keep: Collection[int] | None = None


@dataclass(frozen=True)
class StreamSource:
    """A stream for a package: its records as canonical lines in the order of the chain, and the
    segments of which something is to be handed out or stated as withheld."""

    stream: str
    label: str
    record_lines: Sequence[bytes]
    media: Sequence[MediaSource]


@dataclass(frozen=True)
class PackageInfo:
    """What the package says of itself, for people."""

    session: str
    title: str
    organisation: str
    made_us: int
    reason: str


@dataclass(frozen=True)
class Package:
    """What was written. ``sha256`` is of the zip, empty for a folder."""

    path: Path
    payload_bytes: int
    payload_files: int
    sha256: str


class _Writer:
    """Writes files into a target and keeps the manifests."""

    def __init__(self, target: Target, on_bytes: Callable[[int], None] | None) -> None:
        self._target = target
        self._hashing = Lane()
        self._on_bytes = on_bytes
        self.digests: dict[str, dict[str, str]] = {}
        self.payload_bytes = 0

    @contextmanager
    def file(self, name: str) -> Iterator[Callable[[bytes | memoryview], None]]:
        """Create a file; give what writes to it. The bytes given must not change later."""
        names = (SHA256,) if name.startswith(MEDIA) else (SHA256, SM3)
        taken = {hash_name: hashlib.new(hash_name) for hash_name in names}
        size = 0
        with self._target.create(name) as out:

            def write(data: bytes | memoryview) -> None:
                nonlocal size
                for digest in taken.values():
                    self._hashing.give(partial(digest.update, data))
                out.write(data)
                size += len(data)
                if self._on_bytes is not None:
                    self._on_bytes(len(data))

            yield write
        self._hashing.drain()
        self.digests[name] = {hash_name: digest.hexdigest() for hash_name, digest in taken.items()}
        self.payload_bytes += size if name.startswith("data/") else 0

    def text(self, name: str, data: bytes) -> None:
        with self.file(name) as write:
            write(data)

    def stop(self) -> None:
        self._hashing.stop()

    def payload(self) -> list[str]:
        return sorted(name for name in self.digests if name.startswith("data/"))


def write_package(
    target: Path,
    info: PackageInfo,
    *,
    session_record_lines: Sequence[bytes],
    streams: Iterable[StreamSource],
    log_files: Mapping[str, bytes] | None = None,
    reports: Mapping[str, bytes] | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> Package:
    """Write a session's package: a zip if ``target`` ends in ``.zip``, else a folder.

    Nothing stands under the name ``target`` before all of it is durable; no file is ever whole in
    memory. ``log_files``: what goes under ``data/log/``;
    ``reports``: evidence reports and their facts, under ``report/``. ``on_bytes`` hears of progress. Raises ``DamageFound`` if a stored file is not what its
    record says (nothing is handed out then), and lets ``OSError`` pass.
    """
    base = f"bidwitness-{info.session}"
    place: Target = (
        ZipTarget(target, base, info.made_us) if target.suffix == ".zip" else FolderTarget(target)
    )
    writer = _Writer(place, on_bytes)
    try:
        timeline = [_write_stream(writer, stream) for stream in streams]
        lines = b"".join(line + b"\n" for line in session_record_lines)
        writer.text(f"data/session/{info.session}.ndjson", lines)
        for name, data in (log_files or {}).items():
            writer.text(name, data)
        writer.text("data/timeline.json", _timeline(info, timeline))
        for name, data in (reports or {}).items():
            writer.text(REPORTS + name, data)
        _write_tags(writer, info)
        digest = place.finish()
    except BaseException:
        place.abandon()
        raise
    finally:
        writer.stop()
    return Package(target, writer.payload_bytes, len(writer.payload()), digest)


def _write_stream(writer: _Writer, stream: StreamSource) -> dict[str, object]:
    """Write a stream's records and media; give what the timeline says of it."""
    links = [link_of_line(line) for line in stream.record_lines]
    days: dict[str, list[bytes]] = {}
    for link, line in zip(links, stream.record_lines, strict=True):
        days.setdefault(link.facts.place.day, []).append(line + b"\n")
    for day, lines in days.items():
        writer.text(records_path(stream.stream, day), b"".join(lines))
    files: list[dict[str, object]] = []
    disclosed: list[bytes] = []
    for source in stream.media:
        facts = source.record
        entry: dict[str, object] = {"path": None, **_span(facts.start, facts.end)}
        if source.keep is None or source.keep:
            entry["path"] = media_path(facts.place, facts.start)
        if source.keep is None:
            _copy_whole(writer, source)
        else:
            disclosure = _copy_part(writer, source, source.keep)
            disclosed.append(disclosure_line(disclosure) + b"\n")
            entry["pieces"] = [list(pair) for pair in disclosure.kept]
            entry["pieces_of"] = facts.pieces
        files.append(entry)
    if disclosed:
        writer.text(f"data/disclosures/{stream.stream}.ndjson", b"".join(disclosed))
    return {
        "stream": stream.stream,
        "label": stream.label,
        "files": files,
        "gaps": _gaps([link.facts for link in links]),
    }


def _copy_whole(writer: _Writer, source: MediaSource) -> None:
    facts = source.record
    name = media_path(facts.place, facts.start)
    with source.open() as stored, writer.file(name) as write:
        while data := stored.read(CHUNK):
            write(data)
    if writer.digests[name]["sha256"] != facts.file.sha256:
        raise DamageFound(f"{name}: the stored file is not the one that was recorded.")


def _copy_part(writer: _Writer, source: MediaSource, keep: Collection[int]) -> DisclosureFacts:
    """Write the permitted pieces; give what proves them."""
    facts = source.record
    place = facts.place
    leaves: dict[str, list[bytes]] = {name: [] for name in (SHA256, SM3)}
    kept = frozenset(keep)
    if not kept:
        for hash_name, wanted in (("sha256", facts.root.sha256), ("sm3", facts.root.sm3)):
            leaves[hash_name] = [bytes.fromhex(wanted)]
        return disclose(place.stream, place.day, place.seq, leaves, ())
    if not {0, *kept} <= set(range(facts.pieces)):
        raise ValueError("a piece to be kept is not in the segment")
    kept |= {0}  # no player can do without the init
    name = media_path(place, facts.start)
    try:
        with source.open() as stored, writer.file(name) as write:
            hashers = [(leaf_hasher(hash_name), found) for hash_name, found in leaves.items()]
            for number, piece in enumerate(read_pieces(stored)):
                for hash_of, found in hashers:
                    found.append(hash_of(piece))
                if number in kept:
                    write(piece)
    except BadMedia as error:
        raise DamageFound(f"{name}: the stored file is not whole: {error}.") from None
    for hash_name, wanted in (("sha256", facts.root.sha256), ("sm3", facts.root.sm3)):
        if root(leaves[hash_name], hash_name).hex() != wanted:
            raise DamageFound(f"{name}: the stored file is not the one that was recorded.")
    return disclose(place.stream, place.day, place.seq, leaves, kept)


def _gaps(facts: Sequence[StreamRecord]) -> list[dict[str, object]]:
    return [
        {"cause": item.cause, "medium": item.medium, **_span(item.start, item.end)}
        for item in facts
        if isinstance(item, GapFacts)
    ]


def _span(start: int, end: int) -> dict[str, object]:
    return {"from": start, "to": end, "from_utc": utc_text(start), "to_utc": utc_text(end)}


def _timeline(info: PackageInfo, streams: list[dict[str, object]]) -> bytes:
    body = {
        "v": 1,
        "session": info.session,
        "title": info.title,
        "made": utc_text(info.made_us),
        "reason": info.reason,
        "streams": streams,
    }
    return json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8") + b"\n"


def _write_tags(writer: _Writer, info: PackageInfo) -> None:
    writer.text("README.txt", README.encode("utf-8"))
    writer.text("verify.py", standalone_verifier().encode("utf-8"))
    writer.text("verify.html", verifier_page().encode("utf-8"))
    payload = writer.payload()
    labels = {
        "Source-Organization": info.organisation,
        "Bagging-Date": utc_text(info.made_us)[:10],
        "External-Identifier": info.session,
        "External-Description": info.title,
        "Internal-Sender-Description": info.reason,
        "Payload-Oxum": f"{writer.payload_bytes}.{len(payload)}",
        "Bag-Software-Agent": f"BidWitness {__version__}",
    }
    text = "".join(f"{label}: {' '.join(value.split())}\n" for label, value in labels.items())
    writer.text("bag-info.txt", text.encode("utf-8"))
    writer.text("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    for hash_name, file in ((SHA256, MANIFESTS[SHA256]), (SM3, SM3_LIST)):
        listed = [name for name in payload if hash_name in writer.digests[name]]
        lines = "".join(f"{writer.digests[name][hash_name]}  {name}\n" for name in listed)
        writer.text(file, lines.encode("utf-8"))
    tags = sorted(name for name in writer.digests if not name.startswith("data/"))
    lines = "".join(f"{writer.digests[name]['sha256']}  {name}\n" for name in tags)
    writer.text(TAG_MANIFEST, lines.encode("utf-8"))
