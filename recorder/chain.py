"""The records of a stream: each in its place of the chain, each durable before the next."""

from collections.abc import Callable, Mapping
from pathlib import Path

from bidwitness.recorder.anchor import STEP_US
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
    encode_line,
    journal_days,
    last_entries,
    repair_journal,
)
from bidwitness.storage.spool.layout import journal_path
from bidwitness.words import GapCause, Medium

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
        # A journal, and how long it was before a line of which nobody knows whether it is durable.
        self._doubtful: tuple[Path, int] | None = None
        # Where the newest footage or whole gap in it ends.
        self.until_us: int | None = None

    def load(self) -> None:
        """Cut what a crash left torn, and find the newest record.

        Raises ``DamageFound`` if the journal is broken before its end.
        """
        self._take_back()
        days = journal_days(self._volume, self._stream)
        for day in days[-2:]:
            repair_journal(self._files, journal_path(self._volume, self._stream, day))
        # The name of one that is empty may not be durable yet.
        self._days = {
            day for day in days if journal_path(self._volume, self._stream, day).stat().st_size
        }
        entries = last_entries(self._volume, self._stream)
        self._last = entries[-1].record if entries else None
        self.until_us = None
        for entry in entries:
            self.until_us = _until(self.until_us, entry.read())

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
            self._doubtful = path, path.stat().st_size
            self._files.append(handle, encode_line(record, facts))
            self._files.sync(handle)
        finally:
            self._files.close(handle)
        if not known:
            self._files.sync_dir(path.parent)
            self._days.add(place.day)
        self._doubtful = None
        self._last = record
        self.until_us = _until(self.until_us, made)

    def _take_back(self) -> None:
        """Cut off a line whose ``append`` failed after it was written, whole or not.

        Whoever wanted it will say it again. And a system that has failed to write a page may call
        it written the next time it is asked: only a line of its own bytes is durable.
        """
        if self._doubtful is not None:
            path, size = self._doubtful
            if path.is_file() and path.stat().st_size > size:
                self._files.truncate(path, size)
            self._doubtful = None


def _until(before_us: int | None, record: StreamRecord) -> int | None:
    """Give where the footage leaves off after a record, by the clock of that record. Pure.

    A gap of the sound alone says nothing about the picture, and sound alone, of which a disk that
    failed had not yet taken the picture, is no footage. Where the clock was set back (a gap says
    so, or a segment begins well before the last one ends) time goes on from there.
    """
    if isinstance(record, GapFacts) and record.medium == Medium.SOUND.value:
        return before_us
    if isinstance(record, SegmentFacts):
        if record.tracks[0].id not in {media.track for media in record.media}:
            return before_us
        set_back = before_us is not None and record.start < before_us - STEP_US
    else:
        set_back = record.cause == GapCause.CLOCK.value
    return record.end if before_us is None or set_back else max(before_us, record.end)
