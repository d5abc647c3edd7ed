"""The records of a stream: each in its place of the chain, each durable before the next."""

from collections.abc import Callable, Mapping
from pathlib import Path

from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.evidence.records import (
    GapFacts,
    Place,
    SegmentFacts,
    StreamRecord,
    first_place,
    next_place,
    record_of,
)
from bidwitness.storage.spool.files import Files
from bidwitness.storage.spool.journal import (
    JournalEntry,
    encode_line,
    journal_days,
    last_entries,
    repair_journal,
)
from bidwitness.storage.spool.layout import journal_path
from bidwitness.words import Medium

Facts = Mapping[str, JsonValue]


class Chain:
    """Appends to a stream's journal. One writer a stream; reads the disk at ``load`` only."""

    def __init__(
        self, volume: Path, stream: str, files: Files, *, site: str, recorder: str
    ) -> None:
        self._volume = volume
        self._stream = stream
        self._files = files
        self._site = site
        self._recorder = recorder
        self._last: Mapping[str, JsonValue] | None = None
        self._days: set[str] = set()
        # The end of the newest footage or whole gap in it.
        self.until_us: int | None = None

    def load(self) -> None:
        """Cut what a crash left torn, and find the newest record.

        Raises ``DamageFound`` if the journal is broken before its end.
        """
        days = journal_days(self._volume, self._stream)
        for day in days[-2:]:
            repair_journal(self._files, journal_path(self._volume, self._stream, day))
        self._days = set(days)
        entries = last_entries(self._volume, self._stream)
        self._last = entries[-1].record if entries else None
        self.until_us = max((end for e in entries if (end := _end_of(e)) is not None), default=None)

    def append(self, start_us: int, make: Callable[[Place], StreamRecord], facts: Facts) -> None:
        """Make the record of something that starts at ``start_us``; return when it is durable.

        Raises ``OSError``; then ``load`` must come before the next ``append``.
        """
        if self._last is None:
            place = first_place(self._site, self._recorder, self._stream, start_us)
        else:
            place = next_place(self._last, start_us, self._recorder)
        made = make(place)
        record = record_of(made)
        path = journal_path(self._volume, self._stream, place.day)
        known = place.day in self._days
        if not known:
            self._files.make_dirs(path.parent)
        handle = self._files.open_append(path)
        try:
            self._files.append(handle, encode_line(record, facts))
            self._files.sync(handle)
        finally:
            self._files.close(handle)
        if not known:
            self._files.sync_dir(path.parent)
            self._days.add(place.day)
        self._last = record
        ends = [self.until_us or 0, _end(made) or 0]
        self.until_us = max(ends) or None


def _end_of(entry: JournalEntry) -> int | None:
    return _end(entry.read())


def _end(record: StreamRecord) -> int | None:
    """Give where it leaves off. A gap of the sound alone says nothing about the picture."""
    if isinstance(record, SegmentFacts):
        return record.end
    assert isinstance(record, GapFacts)
    return None if record.medium == Medium.SOUND.value else record.end
