"""A site that is backed up, lost, and restored: here, or into an empty place."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from support.ledger_site import Site

from bidwitness.storage.backup.making import Made, make_backup
from bidwitness.storage.backup.restoring import Restored, restore_backup, verify_backup
from bidwitness.storage.evidence.note import read_checkpoint, read_note
from bidwitness.storage.index.models import Base, LogShard
from bidwitness.storage.ledger.confirming import Confirmed, confirm_log
from bidwitness.storage.ledger.giving_up import give_up
from bidwitness.storage.spool.files import SystemFiles

PASSPHRASE = b"correct horse battery"


@dataclass
class Place(Site):
    """A site with its backups; ``signed`` remembers each tree that it has ever shown."""

    said: list[str] = field(default_factory=list)
    signed: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def work(self, count: int = 1) -> None:
        """Act, and log each act under a checkpoint of its own."""
        for _ in range(count):
            self.act()
            self.log()
            self.look()

    def look(self) -> None:
        """Be the stranger who keeps every checkpoint: two trees of one size are the end."""
        for path in self.settings.log.glob("*/checkpoint"):
            head = read_checkpoint(read_note(path.read_bytes()))
            known = self.signed.setdefault((head.origin, head.size), head.root)
            assert known == head.root, f"{head.origin} was signed twice at {head.size}"

    def save(self, into: Path, passphrase: bytes | None = PASSPHRASE) -> Made:
        self.said.clear()
        return make_backup(
            self.index, self.settings, self.clock, into, passphrase, self.said.append
        )

    def restore(self, folder: Path, passphrase: bytes | None = PASSPHRASE) -> Restored:
        self.said.clear()
        found = verify_backup(folder, passphrase, self.said.append)
        return restore_backup(self.index, self.settings, self.clock, found, self.said.append)

    def takes_over(self, other: "Place") -> None:
        """Go on in time from another place, remembering what strangers have seen of it."""
        other.ledger.close()
        self.clock, self.signed = other.clock, other.signed
        self.restart()

    def copy_log(self, other: "Place") -> None:
        """Bring another place's newest log and keys here."""
        for name in ("log", "keys"):
            target = self.settings.data / name
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(other.settings.data / name, target)

    def confirm(
        self, survey: Any = None, *, reason: str = "it is", unwitnessed: bool = False
    ) -> Confirmed:
        self.ledger.close()
        return confirm_log(
            self.index,
            self.settings,
            self.clock,
            SystemFiles(),
            reason,
            survey or (lambda _shard: {}),
            unwitnessed=unwitnessed,
        )

    def begin_anew(self) -> tuple[str, int]:
        self.ledger.close()
        return give_up(self.index, self.settings, self.clock, "restored from a backup")

    def rows_of(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the index, by table."""
        with self.index.read() as orm:
            return {
                table.name: sorted((tuple(row) for row in orm.execute(select(table))), key=repr)
                for table in Base.metadata.sorted_tables
            }

    def shards(self) -> list[LogShard]:
        with self.index.read() as orm:
            return list(orm.scalars(select(LogShard).order_by(LogShard.opened_us)))


def spoil(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
