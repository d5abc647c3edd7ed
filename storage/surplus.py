"""What the store holds beyond what the index names: other versions, delete markers, strangers.

The index names exactly one version of an object, the one that was proved when it was put. Whatever
else lies under our keys was put there by an answer that came too late, by a crash, or by somebody
who has the store's keys; none of it is ever read in place of what is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import NotFound
from bidwitness.storage.index.models import Garbage, Record, RecordObject, Segment, SessionObject
from bidwitness.storage.spool.layout import is_day, parse_name
from bidwitness.storage.store import Listed, Store
from bidwitness.storage.store.base import digest_of
from bidwitness.words import SurplusKind

FOOTAGE = "footage/"
REPORTS = "reports/"
# Where everything that the index names lies; the lock self-test cleans up after itself.
PREFIXES = (FOOTAGE, REPORTS)
# A segment's name states its first instant as the recorder saw it; its record may know better.
NEAR_US = 86_400_000_000
# An object of records is put before its row is written; by then it is.
SURE_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Name:
    """What the index says of a key. Without a version it is still on its way into the store."""

    version: str | None
    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Surplus:
    """A version that the index does not name; ``name`` is what it names under the same key."""

    listed: Listed
    kind: SurplusKind
    name: Name | None

    @property
    def hides(self) -> bool:
        """Whether it stands before what is named, for whoever names no version."""
        return self.listed.newest and self.name is not None and self.name.version is not None


def surplus_in(orm: Orm, listed: Sequence[Listed], now_us: int) -> list[Surplus]:
    """Tell what of a listing the index does not name. List first, then ask this: what was put in
    between is known by then."""
    names = _names(orm, listed)
    unnamed = [item for item in listed if not _is_named(item, names.get(item.key))]
    waiting = _waiting_for_removal(orm, unnamed)
    found: list[Surplus] = []
    for item in unnamed:
        name = names.get(item.key)
        if (item.key, item.version) in waiting:
            continue
        kind = _kind(orm, item, name, now_us)
        if kind is not None:
            found.append(Surplus(item, kind, name))
    return found


def is_copy(store: Store, surplus: Surplus) -> bool:
    """Say whether a surplus version has the very bytes of what is named, by reading them."""
    name, item = surplus.name, surplus.listed
    if item.marker or name is None or item.size != name.size:
        return False
    return _holds(store, item.key, item.version, name)


def is_readable(store: Store, surplus: Surplus) -> bool:
    """Say whether what is named, and hidden, can be read by its version and is what it was."""
    name = surplus.name
    if name is None or name.version is None:
        return False
    return _holds(store, surplus.listed.key, name.version, name)


def _holds(store: Store, key: str, version: str, name: Name) -> bool:
    try:
        return digest_of(store.stream(key, version)) == (name.sha256, name.size)
    except NotFound:
        return False


def _is_named(item: Listed, name: Name | None) -> bool:
    if item.marker or name is None:
        return False
    # Until its row says which, every version may be the one.
    return name.version is None or name.version == item.version


def _kind(orm: Orm, item: Listed, name: Name | None, now_us: int) -> SurplusKind | None:
    if item.marker:
        return SurplusKind.MARKER
    if name is not None:
        return SurplusKind.EXTRA
    if _was_removed(orm, item.key):
        return SurplusKind.LEFTOVER
    if item.changed_us is not None and abs(now_us - item.changed_us) < SURE_US:
        return None
    return SurplusKind.UNKNOWN


def _names(orm: Orm, listed: Sequence[Listed]) -> dict[str, Name]:
    """Give what the index says of the keys of a listing."""
    names = dict(_files(orm, {item.key for item in listed if item.key.startswith(REPORTS)}))
    starts: dict[str, list[int]] = {}
    days: dict[str, set[int]] = {}
    for key in {item.key for item in listed}:
        stream, day, stem = _parts(key)
        name = parse_name(stem)
        if name is not None:
            starts.setdefault(stream, []).append(name.start_us)
        elif stream:
            days.setdefault(stream, set()).add(day)
    for stream, instants in starts.items():
        names |= _segments(orm, stream, min(instants), max(instants))
    for stream, wanted in days.items():
        names |= _records(orm, stream, wanted)
    return names


def _parts(key: str) -> tuple[str, int, str]:
    """Give stream, day and the name's stem of a key of footage; nothing of any other."""
    parts = key.removeprefix(FOOTAGE).split("/")
    if not key.startswith(FOOTAGE) or len(parts) != 3 or not is_day(parts[1]):
        return "", 0, ""
    return parts[0], int(parts[1]), PurePosixPath(parts[2]).stem


def _segments(orm: Orm, stream: str, first_us: int, last_us: int) -> Mapping[str, Name]:
    query = select(
        Segment.store_key,
        Segment.store_version,
        Segment.spool_path,
        Segment.sha256,
        Segment.bytes,
    ).where(
        Segment.stream_id == stream,
        Segment.from_us.between(first_us - NEAR_US, last_us + NEAR_US),
        Segment.removed_us.is_(None),
    )
    names: dict[str, Name] = {}
    for key, version, path, sha256, size in orm.execute(query):
        if key is not None:
            names[key] = Name(version, sha256, size)
        elif path is not None:
            names[f"{FOOTAGE}{path}"] = Name(None, sha256, size)
    return names


def _records(orm: Orm, stream: str, days: set[int]) -> Mapping[str, Name]:
    query = select(RecordObject).where(
        RecordObject.stream_id == stream, RecordObject.day.in_(sorted(days))
    )
    return {
        row.store_key: Name(row.store_version, row.sha256, row.bytes) for row in orm.scalars(query)
    }


def _files(orm: Orm, keys: set[str]) -> Mapping[str, Name]:
    if not keys:
        return {}
    query = select(SessionObject).where(SessionObject.store_key.in_(keys))
    return {
        row.store_key: Name(row.store_version, row.sha256, row.bytes) for row in orm.scalars(query)
    }


def _waiting_for_removal(orm: Orm, listed: Sequence[Listed]) -> set[tuple[str, str]]:
    if not listed:
        return set()
    keys = {item.key for item in listed}
    query = select(Garbage.store_key, Garbage.store_version).where(Garbage.store_key.in_(keys))
    return {(str(key), str(version)) for key, version in orm.execute(query)}


def _was_removed(orm: Orm, key: str) -> bool:
    """Say whether this was footage that has been removed by the book."""
    stream, day, stem = _parts(key)
    name = parse_name(stem)
    if name is None:
        return False
    # By its record: removed segments are in no index of times.
    query = (
        select(Segment.id)
        .join(Record, Record.id == Segment.record_id)
        .where(
            Record.stream_id == stream,
            Record.day.in_((day, day + 1, day - 1)),
            Segment.run_id == name.run,
            Segment.run_seq == name.run_seq,
            Segment.removed_us.is_not(None),
        )
        .limit(1)
    )
    return orm.scalar(query) is not None
