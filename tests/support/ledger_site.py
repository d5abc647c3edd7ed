"""A site with an index, a log, and something to write into it."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from support.clock import FakeClock

from bidwitness.config import Settings
from bidwitness.storage.check.audit import check_audit
from bidwitness.storage.check.ledger import check_ledger
from bidwitness.storage.check.problems import Problem
from bidwitness.storage.evidence.entries import LogEntry, read_entry
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Outbox
from bidwitness.storage.ledger.ledger import STOPPED, SUBJECT, Ledger
from bidwitness.storage.ledger.shard import origin_of, read_head
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.spool.files import SystemFiles


@dataclass
class Site:
    """Whose log it is; ``ledger`` is `keep`'s, started anew by ``restart``."""

    index: Database
    settings: Settings
    clock: FakeClock = field(default_factory=FakeClock)
    year: str = "2023"

    def __post_init__(self) -> None:
        self.ledger = self.new_ledger()

    def new_ledger(self) -> Ledger:
        return Ledger(self.index, self.settings, self.clock, SystemFiles())

    def restart(self) -> None:
        self.ledger.close()
        self.ledger = self.new_ledger()

    def act(self, count: int = 1, name: str = "session.start") -> None:
        with self.index.write() as orm:
            for _ in range(count):
                leave_audit_entry(orm, Who("somebody"), name, "session:x", self.clock.utc_us())

    def log(self) -> None:
        while self.ledger.log_some():
            pass

    @property
    def folder(self) -> Path:
        return self.settings.log / self.year

    def tiles(self, shard: str | None = None) -> Tiles:
        name = shard or self.year
        found = read_head(self.settings.log / name, origin_of(self.settings.site, name))
        assert found is not None
        return Tiles(self.settings.log / name, found[0].size)

    def entries(self, shard: str | None = None) -> list[LogEntry]:
        tiles = self.tiles(shard)
        return [read_entry(tiles.entry(n)) for n in range(tiles.size)]

    def rows(self) -> list[Outbox]:
        with self.index.read() as orm:
            return list(orm.scalars(select(Outbox).order_by(Outbox.id)))

    def problems(self) -> list[Problem]:
        """What `check ledger` and `check audit` find."""
        now, late_us = self.clock.utc_us(), 600_000_000
        found = itertools.chain(
            check_ledger(self.index, self.settings, now, late_us=late_us),
            check_audit(self.index, self.settings, now, late_us=late_us),
        )
        return [problem for problem in found if problem is not None]

    def damage(self) -> list[Problem]:
        """The same, without what somebody has answered for."""
        return [problem for problem in self.problems() if problem.is_damage]

    def alarm(self) -> str | None:
        with self.index.read() as orm:
            found = open_alarm(orm, STOPPED, SUBJECT)
            return found.cause if found is not None else None
