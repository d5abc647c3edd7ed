"""Read a stored file again, to its end, and hold it against the record that was made of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from bidwitness.errors import DamageFound, FootageLost, NotFound, StoreError
from bidwitness.player.viewing.facts import Reread
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.checkfile import check_source
from bidwitness.storage.evidence.merkle import hash_leaf
from bidwitness.storage.evidence.records import SegmentFacts, read_record
from bidwitness.storage.index.models import Record, Segment


class Source(Protocol):
    """The seam to the bytes of committed files."""

    def open_stream(self, segment: Segment) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What reading again has shown; ``wrong`` says it for people."""

    state: Reread
    wrong: tuple[str, ...] = ()


def record_facts(record: Record) -> tuple[SegmentFacts | None, tuple[str, ...]]:
    """Read a file's record; give what it says, and what is wrong with the record itself."""
    if record.body is None:
        return None, ("its record is not in the index: only the file's digest was compared",)
    line = record.body.encode()
    try:
        facts = read_record(line)
    except BadRecord as error:
        return None, (f"its record is not readable: {error}",)
    if not isinstance(facts, SegmentFacts):
        return None, ("its record is not of a file",)
    if hash_leaf(line) != record.leaf:
        return facts, ("its record is not the one that was made",)
    return facts, ()


def reread(source: Source, segment: Segment, record: Record) -> Finding:
    """Read a file's bytes from spool or store and compare them with its record: SHA-256 and length,
    every piece, and the roots of the tree over them. Never raises for what it finds."""
    if segment.removed_us is not None:
        return Finding(Reread.MISSING, ("removed",))
    facts, doubts = record_facts(record)
    try:
        found = check_source(_Reader(source.open_stream(segment)), facts)
    except FootageLost as error:
        return Finding(Reread.MISSING, (error.detail,))
    except DamageFound as error:
        unread = isinstance(error.__cause__, OSError)
        return Finding(Reread.UNREAD if unread else Reread.ALTERED, (error.detail,))
    except (NotFound, StoreError) as error:
        return Finding(Reread.UNREAD, (error.detail,))
    wrong = list(found.wrong)
    if found.sha256 != segment.sha256.hex():
        wrong.append("sha256 is not the index's")
    if record.body is None and not wrong:
        return Finding(Reread.OK, doubts)
    wrong = [*doubts, *wrong]
    return Finding(Reread.ALTERED if wrong else Reread.OK, tuple(wrong))


class _Reader:
    """Pieces of bytes as something to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        if not self._held:
            self._held = memoryview(next(self._pieces, b""))
        data, self._held = self._held[:size], self._held[size:]
        return bytes(data)
