"""Epochs: what a recorder vouches for, signed at most a minute after it was recorded.

The heads come from the journals, which are durable, so an epoch never says more than the disk
holds. The newest epoch lies in a file before it is in the index: a crash in between loses none
and makes none twice. Whichever of the two is newer is gone on from: a file that is lost or old does
not begin a second chain.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import Conflict, DamageFound
from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical, parse
from bidwitness.storage.evidence.entries import (
    UNSIGNED,
    EpochEntry,
    EpochHead,
    LogEntry,
    RosterEntry,
    entry_bytes,
    entry_object,
    entry_of,
    epoch_genesis,
    epoch_message,
    head_leaf,
)
from bidwitness.storage.evidence.merkle import Tree, hash_leaf, root
from bidwitness.storage.evidence.proof import recorder_key_name
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Outbox
from bidwitness.storage.index.outbox import epoch_key, put_in_outbox
from bidwitness.storage.ledger.keys import Signer, open_signer
from bidwitness.storage.ledger.opening import awaits_confirmation
from bidwitness.storage.spool.journal import journal_days, read_journal
from bidwitness.storage.spool.layout import journal_path

SECOND_US = 1_000_000
# A chain and how many of its records an epoch was signed over.
Count = tuple[str, str, int]


@dataclass(frozen=True)
class Epoch:
    """A signed epoch and what it was signed over, in order: the rest follows from the records."""

    entry: EpochEntry
    counts: tuple[Count, ...]


@dataclass
class _Day:
    """How far a journal was read, and the tree over what was read."""

    offset: int = 0
    leaf: bytes = b""
    tree: Tree = field(default_factory=Tree)


class ChainReader:
    """Gives the heads of all chains on a volume; reads only what came since it was last asked."""

    def __init__(self, volume: Path) -> None:
        self._volume = volume
        self._days: dict[tuple[str, str], _Day] = {}

    def heads(self, known: Sequence[Count]) -> list[EpochHead]:
        """Give the head of each stream's newest day, and of older ones that grew past ``known``.

        A damaged journal is left out: whoever commits it says so.
        """
        counts = {(stream, day): count for stream, day, count in known}
        streams = sorted(p.name for p in self._volume.iterdir()) if self._volume.is_dir() else []
        found: list[EpochHead] = []
        for stream in streams:
            days = journal_days(self._volume, stream)
            since = min((day for name, day in counts if name == stream), default="")
            for day in (day for day in days if day >= since):
                try:
                    head = self._head(stream, day)
                except DamageFound:
                    continue
                grew = head is not None and head.count != counts.get((stream, day))
                if head is not None and (grew or day == days[-1]):
                    found.append(head)
        self._days = {
            key: value
            for key, value in self._days.items()
            if any(key == (head.stream, head.day) for head in found)
        }
        return found

    def _head(self, stream: str, day: str) -> EpochHead | None:
        read = self._days.setdefault((stream, day), _Day())
        for entry in read_journal(journal_path(self._volume, stream, day), read.offset):
            read.tree.append_hash(entry.leaf)
            read.offset, read.leaf = entry.end, entry.leaf
        if not read.tree.size:
            return None
        return EpochHead(stream, day, read.tree.size, read.leaf.hex(), read.tree.root().hex())


class EpochMaker:
    """Signs epochs and hands them to the index. Opens its key and its file at the first call."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._file = settings.data / "recorder" / "epoch.json"
        self._chains = ChainReader(settings.spool)
        self._signer: Signer | None = None
        self._last: Epoch | None = None
        self._handed: int | None = None

    def make_due(self) -> bool:
        """Sign an epoch if the last one is old enough; say whether one was signed.

        Raises ``IndexUnavailable``, ``ConfigError`` for the key file, ``DamageFound`` for its own
        file, ``Conflict`` after a restore, until the log goes on, and if another recorder signs
        under this one's name.
        """
        if self._signer is None:
            self._check_that_it_may()
            self._open()
        if self._last is not None and self._handed != self._last.entry.seq:
            self._hand_over(self._last)
        now = self._clock.utc_us()
        last = self._last
        due_us = self._settings.epoch_seconds * SECOND_US
        # A clock that was set back must not silence the recorder.
        if last is not None and 0 <= now - last.entry.at < due_us:
            return False
        self._check_that_it_may()
        heads = self._chains.heads(last.counts if last is not None else ())
        self._last = self._sign(heads, now)
        self._save(self._last)
        self._hand_over(self._last)
        return True

    def _check_that_it_may(self) -> None:
        """After a restore its newest epochs may come back from the log: none is signed twice."""
        with self._database.read() as orm:
            waits = awaits_confirmation(orm)
        if waits:
            self._signer = None
            raise Conflict(
                "The index was restored from a backup: no epoch is signed until the log goes on "
                "(docs/backup.md). The next one covers the time."
            )

    def _open(self) -> None:
        name = recorder_key_name(self._settings.site, self._settings.recorder)
        signer = open_signer(self._settings.recorder_key_file, name, create=True)
        saved = self._load()
        with self._database.write() as orm:
            known = _newest_known(orm, self._settings.recorder, saved)
            entry = RosterEntry("recorder", str(signer.key))
            put_in_outbox(orm, f"roster:{signer.key.fingerprint}", entry, self._clock.utc_us())
        self._last, self._handed = saved, None
        if known is not None and (saved is None or saved.entry.seq <= known.entry.seq):
            self._last, self._handed = known, known.entry.seq
        self._signer = signer

    def _sign(self, heads: Sequence[EpochHead], now_us: int) -> Epoch:
        assert self._signer is not None
        recorder, last = self._settings.recorder, self._last
        unsigned = EpochEntry(
            site=self._settings.site,
            recorder=recorder,
            seq=last.entry.seq + 1 if last else 0,
            prev=hash_leaf(entry_bytes(last.entry)).hex() if last else epoch_genesis(recorder),
            at=now_us,
            size=len(heads),
            root=root(map(head_leaf, heads)).hex(),
            signature=UNSIGNED,
        )
        signature = self._signer.sign(epoch_message(unsigned)).hex()
        counts = tuple((head.stream, head.day, head.count) for head in heads)
        return Epoch(replace(unsigned, signature=signature), counts)

    def _hand_over(self, epoch: Epoch) -> None:
        key = epoch_key(epoch.entry.recorder, epoch.entry.seq)
        heads: list[JsonValue] = [list(count) for count in epoch.counts]
        with self._database.write() as orm:
            new = put_in_outbox(orm, key, epoch.entry, epoch.entry.at, {"heads": heads})
            there = epoch.entry if new else _entry_under(orm, key)
        if there != epoch.entry:
            # Never silently: it would be in no log. The next one goes on from what the index has.
            self._signer = None
            raise Conflict(
                f"Epoch {epoch.entry.seq} of the recorder {epoch.entry.recorder} is in the index "
                "already, and is another one: a second recorder has this name. Give each its own "
                "BIDWITNESS_RECORDER."
            )
        self._handed = epoch.entry.seq

    def _save(self, epoch: Epoch) -> None:
        heads: list[JsonValue] = [list(count) for count in epoch.counts]
        data = canonical({"epoch": entry_object(epoch.entry), "heads": heads})
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _load(self) -> Epoch | None:
        if not self._file.is_file():
            return None
        try:
            found = parse(self._file.read_bytes())
            return _epoch_of(found.get("epoch"), found.get("heads"))
        except BadRecord as error:
            raise DamageFound(
                f"{self._file} is damaged ({error}). Remove it: the recorder then goes on from the "
                "last epoch that the index knows."
            ) from None


def _epoch_of(entry: JsonValue, heads: JsonValue) -> Epoch:
    if not isinstance(entry, dict) or not isinstance(heads, list):
        raise BadRecord("an epoch and its heads are needed")
    epoch = entry_of(entry)
    if not isinstance(epoch, EpochEntry):
        raise BadRecord("it is no epoch")
    return Epoch(epoch, tuple(map(_count_of, heads)))


def _count_of(head: JsonValue) -> Count:
    match head:
        case [str() as stream, str() as day, int() as count]:
            return stream, day, count
    raise BadRecord("a head is a stream, a day and a count")


def _newest_known(orm: Orm, recorder: str, saved: Epoch | None) -> Epoch | None:
    """Give the recorder's epoch with the highest number that the index has."""
    ours = select(Outbox).where(
        Outbox.kind == EpochEntry.T, Outbox.key.startswith(epoch_key(recorder, ""), autoescape=True)
    )
    latest = _epoch_in(orm.scalars(ours.order_by(Outbox.at_us.desc()).limit(1)).first())
    held = [epoch.entry.seq for epoch in (latest, saved) if epoch and _has(orm, epoch)]
    if not held:
        return None
    # The latest is the highest, unless the clock was set back since: so it is looked for upwards,
    # in ever longer steps, then in ever shorter ones.
    seq, step = max(held), 1
    while _row_of(orm, recorder, seq + step) is not None:
        seq, step = seq + step, step * 2
    while step > 1:
        step //= 2
        if _row_of(orm, recorder, seq + step) is not None:
            seq += step
    return _epoch_in(_row_of(orm, recorder, seq))


def _has(orm: Orm, epoch: Epoch) -> bool:
    return _row_of(orm, epoch.entry.recorder, epoch.entry.seq) is not None


def _row_of(orm: Orm, recorder: str, seq: int) -> Outbox | None:
    return orm.scalars(select(Outbox).where(Outbox.key == epoch_key(recorder, seq))).first()


def _epoch_in(row: Outbox | None) -> Epoch | None:
    return None if row is None else _epoch_of(row.body["entry"], row.body["heads"])


def _entry_under(orm: Orm, key: str) -> LogEntry:
    return entry_of(orm.scalars(select(Outbox).where(Outbox.key == key)).one().body["entry"])
