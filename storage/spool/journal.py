"""The journal of a stream's UTC day: one fsync'd line a record. It is the queue of what happened.

A line is ``{"facts": …, "leaf": hex, "record": …}`` in canonical form: the evidence record, its
leaf hash, and what the index needs besides. Whoever commits rows reads on from where it stopped;
(stream, day, seq) tells what is already there.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical, parse
from bidwitness.storage.evidence.records import StreamRecord, check_record, leaf_hash
from bidwitness.storage.evidence.session_records import SessionRecord
from bidwitness.storage.spool.files import Files
from bidwitness.storage.spool.layout import JOURNAL, is_day, journal_path, stream_dir

Object = dict[str, JsonValue]
# Several lines of a minute of G.711 (some 12 kB each).
_TAIL = 1 << 17


@dataclass(frozen=True)
class JournalEntry:
    """A whole line; the next one begins at byte ``end``."""

    record: Object
    leaf: bytes
    facts: Object
    end: int

    def read(self) -> StreamRecord:
        """Give the record by its facts. Raises ``DamageFound`` if it is not a stream's."""
        try:
            found = check_record(self.record)
        except BadRecord as error:
            raise DamageFound(f"A journal holds no record: {error}") from None
        if isinstance(found, SessionRecord):
            raise DamageFound("A stream's journal holds a record of a session.")
        return found


def encode_line(record: Mapping[str, JsonValue], facts: Mapping[str, JsonValue]) -> bytes:
    """Give the line of a record."""
    leaf = leaf_hash(record).hex()
    return canonical({"record": dict(record), "leaf": leaf, "facts": dict(facts)}) + b"\n"


def read_journal(path: Path, offset: int = 0) -> Iterator[JournalEntry]:
    """Give the whole lines from byte ``offset`` on; a last line without its end is left out.

    Gives nothing if there is no such file. Raises ``DamageFound`` at a whole line that is not one.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        yield _parse_line(data[at:end], offset + end + 1)
        at = end + 1


def _parse_line(line: bytes, end: int) -> JournalEntry:
    try:
        found = parse(line)
    except BadRecord as error:
        raise DamageFound(f"A line of a journal is broken: {error}") from None
    record, leaf, facts = found.get("record"), found.get("leaf"), found.get("facts")
    if not isinstance(record, dict) or not isinstance(facts, dict) or not isinstance(leaf, str):
        raise DamageFound("A line of a journal lacks its record, leaf or facts.")
    if hashlib.sha256(b"\0" + canonical(record)).hexdigest() != leaf:
        raise DamageFound("A record in a journal is not the one that was written there.")
    return JournalEntry(record, bytes.fromhex(leaf), facts, end)


def journal_days(volume: Path, stream: str) -> list[str]:
    """Name the days that a stream has a journal of, oldest first."""
    folder = stream_dir(volume, stream)
    if not folder.is_dir():
        return []
    return sorted(
        day.name for day in folder.iterdir() if is_day(day.name) and (day / JOURNAL).is_file()
    )


def last_entries(volume: Path, stream: str) -> list[JournalEntry]:
    """Give the few newest records of a stream on this volume, in order. Raises ``DamageFound``."""
    for day in reversed(journal_days(volume, stream)):
        path = journal_path(volume, stream, day)
        entries = list(read_journal(path, _tail(path)))
        if entries:
            return entries
    return []


def _tail(path: Path) -> int:
    """Give where the last few lines begin: a day's journal is read to its end at every start."""
    size = path.stat().st_size
    span = _TAIL
    with path.open("rb") as file:
        while span < size:
            file.seek(size - span)
            lines = file.read(span).split(b"\n", 3)
            if len(lines) == 4:
                return size - span + len(lines[0]) + 1
            span *= 4
    return 0


def repair_journal(files: Files, path: Path) -> int:
    """Cut off what a crash left behind the last whole line; give how many bytes that were.

    Raises ``DamageFound`` if a whole line follows the broken one: that was no crash.
    """
    if not path.is_file():
        return 0
    # Each line was durable before the next was begun: only the last can be torn.
    start = _tail(path)
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    good = 0
    while (end := data.find(b"\n", good)) >= 0:
        try:
            _parse_line(data[good:end], end + 1)
        except DamageFound:
            break
        good = end + 1
    rest = data[good:]
    for line in rest.split(b"\n"):
        try:
            _parse_line(line, 0)
        except DamageFound:
            continue
        if good + len(line) < len(data):
            raise DamageFound(f"The journal {path.name} is broken before its end.")
    if rest:
        files.truncate(path, start + good)
    return len(rest)
