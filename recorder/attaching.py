"""How a worker takes a stream up again: as its one writer, and knowing what was missing meanwhile."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bidwitness.recorder.gaps import GapKeeper
from bidwitness.recorder.values import GapNote
from bidwitness.storage.spool.layout import LOCK, stream_dir
from bidwitness.words import GapCause


def lock_stream(volume: Path, stream: str) -> int:
    """Give the lock of a stream's one writer. Raises ``BlockingIOError`` if another has it."""
    folder = stream_dir(volume, stream)
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock


def downtime(
    keeper: GapKeeper, since_us: int, classified: Sequence[tuple[int, int]], now_us: int
) -> Iterator[GapNote]:
    """Have it known that the recorder was down since ``since_us``; give what is to be stated now.

    Of that time, what was classified was not due.
    """
    keeper.ended(since_us, GapCause.RECORDER_DOWN)
    for start, end in sorted(classified):
        if end <= keeper.since_us or start >= now_us:
            continue
        changes = [(start, GapCause.CLASSIFIED)]
        if end < now_us:
            changes.append((end, GapCause.RECORDER_DOWN))
        for at_us, cause in changes:
            note = keeper.turned(at_us, cause)
            if note is not None:
                yield note
