"""Epochs: what a recorder vouches for, signed at most a minute after it was recorded.

The heads come from the journals, which are durable, so an epoch never says more than the disk
holds. The newest epoch lies in a file before it is in the index: a crash in between loses none
and makes none twice.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical, parse
from bidwitness.storage.evidence.entries import (
    UNSIGNED,
    EpochEntry,
    EpochHead,
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
from bidwitness.storage.evidence.schema import from_json, to_json
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.outbox import put_in_outbox
from bidwitness.storage.ledger.keys import Signer, open_signer
from bidwitness.storage.spool.journal import journal_days, read_journal
from bidwitness.storage.spool.layout import journal_path

SECOND_US = 1_000_000


@dataclass(frozen=True)
class Epoch:
    """A signed epoch and the heads that it was signed over, in their order."""

    entry: EpochEntry
    heads: tuple[EpochHead, ...]


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

    def heads(self, known: Sequence[EpochHead]) -> list[EpochHead]:
        """Give the head of each stream's newest day, and of older ones that grew past ``known``.

        A damaged journal is left out: whoever commits it says so.
        """
        counts = {(head.stream, head.day): head.count for head in known}
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

        Raises ``IndexUnavailable``, ``ConfigError`` for the key file, ``DamageFound`` for its own.
        """
        if self._signer is None:
            self._open()
        if self._last is not None and self._handed != self._last.entry.seq:
            self._hand_over(self._last)
        now = self._clock.utc_us()
        last = self._last
        due_us = self._settings.epoch_seconds * SECOND_US
        # A clock that was set back must not silence the recorder.
        if last is not None and 0 <= now - last.entry.at < due_us:
            return False
        heads = self._chains.heads(last.heads if last is not None else ())
        self._last = self._sign(heads, now)
        self._save(self._last)
        self._hand_over(self._last)
        return True

    def _open(self) -> None:
        name = recorder_key_name(self._settings.site, self._settings.recorder)
        signer = open_signer(self._settings.recorder_key_file, name, create=True)
        self._last = self._load()
        with self._database.write() as orm:
            entry = RosterEntry("recorder", str(signer.key))
            put_in_outbox(orm, f"roster:{signer.key.fingerprint}", entry, self._clock.utc_us())
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
        return Epoch(replace(unsigned, signature=signature), tuple(heads))

    def _hand_over(self, epoch: Epoch) -> None:
        key = f"epoch:{epoch.entry.recorder}:{epoch.entry.seq}"
        # The rest of a head follows from the records, and there are many heads.
        heads: list[JsonValue] = [[head.stream, head.day, head.count] for head in epoch.heads]
        with self._database.write() as orm:
            put_in_outbox(orm, key, epoch.entry, epoch.entry.at, {"heads": heads})
        self._handed = epoch.entry.seq

    def _save(self, epoch: Epoch) -> None:
        heads: list[JsonValue] = [to_json(head) for head in epoch.heads]
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
            entry, heads = found.get("epoch"), found.get("heads")
            if not isinstance(entry, dict) or not isinstance(heads, list):
                raise BadRecord("an epoch and its heads are needed")
            epoch = entry_of(entry)
            if not isinstance(epoch, EpochEntry):
                raise BadRecord("it is no epoch")
            return Epoch(epoch, tuple(from_json(EpochHead, head) for head in heads))
        except BadRecord as error:
            raise DamageFound(
                f"{self._file} is damaged ({error}). Remove it: the next epoch then begins a new "
                "chain of epochs, which the log shows."
            ) from None
