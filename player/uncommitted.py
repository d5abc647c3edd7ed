"""What the recorder has closed and the index does not know yet, read from the end of the journal."""

import base64
import json
from collections.abc import Collection
from pathlib import Path

from bidwitness.player.segments import Held
from bidwitness.storage.evidence.records import SegmentFacts
from bidwitness.storage.spool.blob import decode_table
from bidwitness.storage.spool.journal import JournalEntry, journal_days, read_journal
from bidwitness.storage.spool.layout import journal_path
from bidwitness.words import Medium

TAIL = 1 << 16


def closed_uncommitted(
    volume: Path, stream_id: str, known: Collection[tuple[str, int]], from_us: int
) -> list[Held]:
    """Give the closed segments after the last of the ``known`` ones that end after ``from_us``.

    Committing follows closing within a second or two; while the index was away it is more.
    """
    found: list[Held] = []
    for day in reversed(journal_days(volume, stream_id)):
        path = journal_path(volume, stream_id, day)
        start, more = _unknown_from(path, known, from_us)
        entries = list(read_journal(path, start))
        found = [held for entry in entries if (held := _held(entry)) is not None] + found
        if not more:
            break
    return [held for held in found if held.key not in known and held.to_us > from_us]


def _unknown_from(path: Path, known: Collection[tuple[str, int]], from_us: int) -> tuple[int, bool]:
    """Give the byte after the last known line, and whether even the first line is unknown."""
    size = path.stat().st_size
    length = TAIL
    while True:
        start = max(0, size - length)
        with path.open("rb") as file:
            file.seek(start)
            tail = file.read(size - start)
        at = len(tail)
        lines = tail.split(b"\n")
        # The first line may be torn by where we began, the last by a write under way.
        for line in reversed(lines[1 if start else 0 :]):
            at -= len(line) + 1
            if line and _is_known(line, known, from_us):
                return start + at + len(line) + 2, False
        if start == 0:
            return 0, True
        length *= 4


def _is_known(line: bytes, known: Collection[tuple[str, int]], from_us: int) -> bool:
    try:
        record = json.loads(line)["record"]
        if record["t"] != SegmentFacts.T:
            return False
        before = record["wall"][1] <= from_us
        return before or (record["run"], record["run_seq"]) in known
    except (ValueError, KeyError, TypeError):
        return False


def _held(entry: JournalEntry) -> Held | None:
    record = entry.read()
    if not isinstance(record, SegmentFacts):
        return None
    return Held(
        *(record.run, record.run_seq, record.init),
        tuple((Medium(track.medium), track.id) for track in record.tracks),
        *(record.start, record.end, True),
        path=str(entry.facts["path"]),
        table=decode_table(base64.b64decode(str(entry.facts["table"]))),
        init_size=int(str(entry.facts["init_size"])),
    )
