"""What a crash left on a volume, finished or rolled back. Doing it twice changes nothing.

A stream's steps and what recovery makes of each::

    .table + .part, being written      every whole fragment that the table lists becomes a segment
    .table + .mp4, not in the journal  its record is written
    .table + .mp4, in the journal      the table goes
    .table alone                       goes: nothing was durable yet
    .part without a readable table     set aside under another name, and reported
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bidwitness.errors import DamageFound
from bidwitness.recorder.chain import Chain
from bidwitness.recorder.closing import (
    SegmentDigest,
    index_facts,
    segment_facts,
    segment_table,
)
from bidwitness.recorder.values import ALL
from bidwitness.storage.evidence.records import GapFacts
from bidwitness.storage.media.boxes import Splitter
from bidwitness.storage.spool.blob import US
from bidwitness.storage.spool.files import Files
from bidwitness.storage.spool.journal import journal_days, read_journal
from bidwitness.storage.spool.layout import (
    CLOSED,
    NOT_WANTED,
    PART,
    TABLE,
    SegmentName,
    journal_path,
    parse_name,
    segment_path,
    stream_dir,
)
from bidwitness.storage.spool.table import (
    AnchorPoint,
    OpenFragment,
    OpenHeader,
    OpenTable,
    best_anchors,
    read_table,
)
from bidwitness.storage.spool.volumes import volumes_of
from bidwitness.words import ClockQuality, GapCause

log = logging.getLogger(__name__)

SET_ASIDE = ".set_aside"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Whole:
    """As much of a file as is whole and listed."""

    header: OpenHeader
    fragments: tuple[OpenFragment, ...]
    anchors: tuple[AnchorPoint, ...]
    digest: SegmentDigest


def recover_stream(
    spool: Path, stream: str, files: Files, chain: Chain, home: Path | None = None
) -> int:
    """Bring a stream's folders and its chain in order; give the number of segments recovered.

    Every volume is looked at. What another than ``home``, where the stream is to be written, does
    not give is left there for another time. Raises ``OSError`` as the disk does, ``DamageFound`` if
    the journal is broken.
    """
    chain.load()
    recovered = 0
    for volume, stem in _leftovers(spool, stream, home or spool):
        try:
            recovered += _recover(spool, stream, stem, files, chain)
        except OSError:
            if volume == (home or spool):
                raise
            log.exception("a volume does not give what lies on it")
            # Whatever was being done may stand in the journal or not.
            chain.load()
    return recovered


def _leftovers(spool: Path, stream: str, home: Path) -> list[tuple[Path, Path]]:
    """Give what is unfinished, by volume, as paths without ending, oldest first."""
    found: dict[Path, tuple[SegmentName, Path]] = {}
    for volume in dict.fromkeys((home, *volumes_of(spool))):
        try:
            paths = list(_with_endings(stream_dir(volume, stream), (PART, TABLE)))
        except OSError:
            if volume == home:
                raise
            log.exception("a volume cannot be read")
            continue
        for path in paths:
            name = parse_name(path.stem)
            if name is not None:
                found[path.with_suffix("")] = name, volume
    order = sorted(found, key=lambda stem: (found[stem][0].start_us, found[stem][0].run_seq))
    return [(found[stem][1], stem) for stem in order]


def _with_endings(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.glob("*/*") if path.suffix in endings)


def _recover(volume: Path, stream: str, stem: Path, files: Files, chain: Chain) -> int:
    part, table_path, closed = (Path(f"{stem}{ending}") for ending in (PART, TABLE, CLOSED))
    name = parse_name(stem.name)
    assert name is not None, "only segments' names are looked at"
    path = segment_path(stream, stem.parent.name, name)
    present = part if part.is_file() else closed
    if not present.is_file() or (present is closed and _is_journalled(volume, stream, path)):
        return _drop(files, table_path)
    try:
        table = read_table(table_path.read_bytes())
    except (FileNotFoundError, DamageFound):
        return _set_aside(files, part, table_path)
    whole = _whole_part(present, table)
    if not whole.fragments and present is part:
        files.unlink(part)
        return _drop(files, table_path)
    if not whole.fragments:
        return _set_aside(files, closed, table_path)
    # Written before the crash, perhaps in memory only; a second crash must find no less.
    _sync_file(files, table_path)
    if present.stat().st_size > whole.digest.size:
        files.truncate(present, whole.digest.size)
    if present is part:
        _sync_file(files, part)
        files.rename(part, closed)
        files.sync_dir(part.parent)
    anchors = _anchors(whole)
    if not (stream_dir(volume, stream) / NOT_WANTED).is_file():
        _state_gap_before(anchors[0].recorder_us, whole.header, chain)
    _journal(path, whole, anchors, chain)
    _drop(files, table_path)
    log.warning(
        "a segment was recovered after a crash",
        extra={"facts": {"stream": stream, "path": path, "fragments": len(whole.fragments)}},
    )
    return 1


def _drop(files: Files, table_path: Path) -> int:
    if table_path.is_file():
        files.unlink(table_path)
        files.sync_dir(table_path.parent)
    return 0


def _set_aside(files: Files, part: Path, table_path: Path) -> int:
    """Keep bytes that nothing says anything about, where nobody takes them for a segment."""
    if part.is_file():
        if part.stat().st_size == 0:
            files.unlink(part)
        else:
            files.rename(part, part.with_suffix(SET_ASIDE))
            log.error("footage without a table was set aside", extra={"facts": {"path": part}})
        files.sync_dir(part.parent)
    return _drop(files, table_path)


def _is_journalled(volume: Path, stream: str, path: str) -> bool:
    return any(
        entry.facts.get("path") == path
        for day in journal_days(volume, stream)[-3:]
        for entry in read_journal(journal_path(volume, stream, day))
    )


def _whole_part(path: Path, table: OpenTable) -> _Whole:
    """Read a file as far as each fragment is whole and is the one that the table lists."""
    digest = SegmentDigest()
    kept: list[OpenFragment] = []
    splitter = Splitter()
    wanted = iter(table.fragments)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                pieces = splitter.feed(chunk)
            except DamageFound:
                break
            for piece in pieces:
                if piece.is_init:
                    digest.add(piece.data)
                    continue
                item = next(wanted, None)
                if item is None or not _is_listed(piece.data, piece.offset, item):
                    return _Whole(table.header, tuple(kept), table.anchors, digest)
                digest.add(piece.data)
                kept.append(item)
    return _Whole(table.header, tuple(kept), table.anchors, digest)


def _is_listed(data: bytes, offset: int, item: OpenFragment) -> bool:
    one = SegmentDigest()
    return (item.place.offset, item.place.size) == (offset, len(data)) and one.add(
        data
    ) == item.leaf


def _sync_file(files: Files, path: Path) -> None:
    """Make bytes durable that another process wrote."""
    handle = files.open_append(path)
    try:
        files.sync(handle)
    finally:
        files.close(handle)


def _state_gap_before(start_us: int, header: OpenHeader, chain: Chain) -> None:
    """Only a run's first seconds tell until when footage was missing; the crash came in them."""
    since = chain.until_us
    if since is None or since >= start_us:
        return
    cause = header.missing or GapCause.UNKNOWN.value
    chain.append(
        since,
        lambda place: GapFacts(
            *(place, cause, ALL, since, start_us),
            "The recorder crashed again before it had stated this gap.",
        ),
        {},
    )


def _journal(path: str, whole: _Whole, anchors: list[AnchorPoint], chain: Chain) -> None:
    cameras = [anchor.camera_us is not None for anchor in anchors]
    quality = ClockQuality.CAMERA if cameras[0] else ClockQuality.ARRIVAL
    table = segment_table(whole.header, whole.fragments, anchors)
    chain.append(
        anchors[0].recorder_us,
        lambda place: segment_facts(
            place, whole.header, whole.fragments, anchors, quality, whole.digest
        ),
        index_facts(PurePosixPath(path), whole.header, table),
    )


def _anchors(whole: _Whole) -> list[AnchorPoint]:
    """Give the anchors that were written, and one where the picture ends."""
    leading, scale = whole.header.timescales[0]
    pictures = [item for item in whole.fragments if item.place.track == leading]
    # Only sound: the first fragment of a picture had not been written yet.
    first, last = (pictures or whole.fragments)[0], (pictures or whole.fragments)[-1]
    own = dict(whole.header.timescales)[last.place.track]
    end = last.place.end * scale // own
    end_us = last.wall_us + last.place.duration * US // own
    known = [
        anchor
        for anchor in best_anchors(whole.header, whole.anchors, whole.fragments)
        if anchor.ticks < end
    ]
    if not known:
        known = [AnchorPoint(first.place.dts * scale // own, 0, first.wall_us, None)]
    passed = end_us - known[-1].recorder_us
    return [*known, AnchorPoint(end, known[-1].monotonic_us + max(0, passed), end_us, None)]
