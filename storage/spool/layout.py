"""Where things lie on a volume. Pure functions of names; nothing here touches a disk.

::

    VOLUME/<stream>/.lock                                     held by the one writer of the stream
    VOLUME/<stream>/not_wanted                                it was stopped on purpose, at this time
    VOLUME/<stream>/<day>/journal.ndjson                      its records of the UTC day, in order
    VOLUME/<stream>/<day>/<start>-<run>-<n>.part  + .table    a segment being written
    VOLUME/<stream>/<day>/<start>-<run>-<n>.mp4               a closed segment
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bidwitness.errors import InvalidInput

JOURNAL = "journal.ndjson"
PART = ".part"
TABLE = ".table"
CLOSED = ".mp4"
LOCK = ".lock"
NOT_WANTED = "not_wanted"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"(?P<start>\d{1,19})-(?P<run>[A-Za-z0-9_]{1,32})-(?P<n>\d{1,9})")
_DAY = re.compile(r"\d{8}")


@dataclass(frozen=True, slots=True)
class SegmentName:
    """What a segment's file name says: its first instant in µs UTC, its run, its place in it."""

    start_us: int
    run: str
    run_seq: int

    def __str__(self) -> str:
        return f"{self.start_us}-{self.run}-{self.run_seq:06d}"


def parse_name(stem: str) -> SegmentName | None:
    """Read a file name without its ending; None if it is not a segment's."""
    found = _NAME.fullmatch(stem)
    if found is None:
        return None
    return SegmentName(int(found["start"]), found["run"], int(found["n"]))


def is_day(name: str) -> bool:
    """Say whether a folder's name is a UTC day."""
    return _DAY.fullmatch(name) is not None


def stream_dir(volume: Path, stream: str) -> Path:
    """Give the folder of a stream. Raises ``InvalidInput`` for an id that could leave it."""
    if _ID.fullmatch(stream) is None:
        raise InvalidInput(f"{stream!r} cannot be the id of a stream.")
    return volume / stream


def day_dir(volume: Path, stream: str, day: str) -> Path:
    """Give the folder of a stream's UTC day. Raises ``InvalidInput`` for what is not one."""
    if not is_day(day):
        raise InvalidInput(f"{day!r} is not a day as YYYYMMDD.")
    return stream_dir(volume, stream) / day


def journal_path(volume: Path, stream: str, day: str) -> Path:
    return day_dir(volume, stream, day) / JOURNAL


def segment_path(stream: str, day: str, name: SegmentName) -> str:
    """Give a closed segment's path within its volume, as the index keeps it."""
    return str(PurePosixPath(stream, day, f"{name}{CLOSED}"))
