"""What stands in the log of a site: canonical JSON that says little to a stranger.

A session appears as a tag and digests, an act as a salted commitment; of an epoch the log holds
the root over its heads. Every field is described in docs/evidence-format.md.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical, parse
from bidwitness.storage.evidence.merkle import hash_leaf
from bidwitness.storage.evidence.schema import (
    Count,
    Day,
    Hex32,
    Hex64,
    Micros,
    Name,
    Text,
    Word,
    from_json,
    to_json,
)

ENTRY_VERSION = 1
# An entry's length stands in two bytes before it.
MAX_ENTRY = 65_535
_EPOCH_PREFIX = b"bidwitness/epoch/v1\n"
UNSIGNED = "0" * 128


@dataclass(frozen=True)
class SessionEntry:
    """A session's record ``seq``, by its leaf hash; ``tag`` is the session's."""

    T: ClassVar[str] = "session"
    tag: Hex32
    seq: Count
    leaf: Hex32


@dataclass(frozen=True)
class EpochEntry:
    """What a recorder vouches for at an instant: the root over the heads of its chains.

    ``prev`` is the leaf hash of its epoch before. ``signature``: see ``epoch_message``.
    """

    T: ClassVar[str] = "epoch"
    site: Name
    recorder: Name
    seq: Count
    prev: Hex32
    at: Micros
    size: Count
    root: Hex32
    signature: Hex64


@dataclass(frozen=True)
class AuditCommitment:
    """SHA-256(salt ‖ canonical audit entry): nothing to read, everything to hold somebody to."""

    T: ClassVar[str] = "audit"
    commitment: Hex32


@dataclass(frozen=True)
class RosterEntry:
    """A key comes into use, or is asked no more.

    ``role``: ``log``, ``recorder`` or ``witness`` with ``key`` in C2SP's form, ``timestamp`` with
    the SHA-256 of the authority's certificate; ``witness_gone`` and ``timestamp_gone`` end it.
    """

    T: ClassVar[str] = "roster"
    role: Word
    key: Text


@dataclass(frozen=True)
class ShardBefore:
    """The last checkpoint that was made of the shard before."""

    origin: Text
    size: Count
    root: Hex32


@dataclass(frozen=True)
class ShardEntry:
    """The first entry of a shard. ``reason``: why the one before ended early, if it did."""

    T: ClassVar[str] = "shard"
    previous: ShardBefore | None
    reason: Text | None


LogEntry: TypeAlias = SessionEntry | EpochEntry | AuditCommitment | RosterEntry | ShardEntry
_ENTRIES: dict[str, type[LogEntry]] = {
    kind.T: kind for kind in (SessionEntry, EpochEntry, AuditCommitment, RosterEntry, ShardEntry)
}


@dataclass(frozen=True)
class EpochHead:
    """How far a chain had come: ``count`` records of a stream's day, the leaf hash of the last,
    and the root of the tree over all of them."""

    T: ClassVar[str] = "head"
    stream: Name
    day: Day
    count: Count
    head: Hex32
    root: Hex32


def entry_object(facts: LogEntry | EpochHead) -> dict[str, JsonValue]:
    """Give an entry, or a head, as the object that is written."""
    return {"v": ENTRY_VERSION, "t": facts.T, **to_json(facts)}


def entry_bytes(entry: LogEntry) -> bytes:
    """Give an entry as it stands in the log. Raises ``BadRecord`` for facts out of bounds."""
    data = canonical(entry_object(entry))
    if read_entry(data) != entry or len(data) > MAX_ENTRY:
        raise BadRecord("the entry does not read back as it was")
    return data


def read_entry(data: bytes) -> LogEntry:
    """Read an entry of unknown origin. Raises ``BadRecord``."""
    return entry_of(parse(data))


def entry_of(obj: dict[str, JsonValue]) -> LogEntry:
    """Read an entry out of an object. Raises ``BadRecord``."""
    rest = dict(obj)
    version, kind = rest.pop("v", None), rest.pop("t", None)
    if isinstance(version, bool) or version != ENTRY_VERSION:
        raise BadRecord("$.v: this version is not known")
    if not isinstance(kind, str) or kind not in _ENTRIES:
        raise BadRecord("$.t: this kind of entry is not known")
    entry: LogEntry = from_json(_ENTRIES[kind], rest)
    return entry


def session_tag(session: str) -> str:
    """Give what a session is called in the log."""
    return hashlib.sha256(b"tag\0" + session.encode()).hexdigest()


def epoch_message(entry: EpochEntry) -> bytes:
    """Give what a recorder signs: a fixed line, then the entry without its signature."""
    body = entry_object(replace(entry, signature=UNSIGNED))
    del body["signature"]
    return _EPOCH_PREFIX + canonical(body)


def epoch_genesis(recorder: str) -> str:
    """Give the ``prev`` of a recorder's first epoch."""
    head = {"v": ENTRY_VERSION, "t": "genesis", "recorder": recorder}
    return hashlib.sha256(canonical(head)).hexdigest()


def head_leaf(head: EpochHead) -> bytes:
    """Give a head's leaf in the tree of its epoch."""
    return hash_leaf(canonical(entry_object(head)))


def audit_commitment(salt: bytes, event: dict[str, JsonValue]) -> str:
    """Commit to an audit entry. Raises ``BadRecord`` for one that has no canonical form."""
    return hashlib.sha256(salt + canonical(event)).hexdigest()
