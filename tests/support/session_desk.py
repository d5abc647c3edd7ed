"""A small site with somebody at its desk: sessions planned, commands given, footage recorded."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from support.clock import FakeClock
from support.factories import HOUR, MINUTE, PERSON, Tape, a_room, a_session, booked, streams_of
from support.memory_store import MemoryStore

from bidwitness.config import Settings, load_settings
from bidwitness.storage.evidence.canonical import parse
from bidwitness.storage.evidence.chain import verify_session_chain
from bidwitness.storage.evidence.records import leaf_hash
from bidwitness.storage.evidence.session_records import SessionRecord as Facts
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Claim, Gap, Room, Session, SessionRecord
from bidwitness.storage.sessions.clockwork import tick
from bidwitness.storage.sessions.commands import SessionCommands
from bidwitness.storage.sessions.plan import NewBooking
from bidwitness.storage.sessions.seal import Sealer
from bidwitness.words import ClaimClass, Role

DESK = frozenset({Role.VENUE, Role.ARCHIVIST})


@dataclass
class Desk:
    """A site with two rooms of two cameras, and somebody who gives commands there."""

    index: Database
    settings: Settings = field(default_factory=load_settings)
    clock: FakeClock = field(default_factory=FakeClock)
    spool: Path | None = None
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        with self.index.write() as orm:
            self.one = a_room(orm, "评标室一", cameras=2)
            self.two = a_room(orm, "评标室二", cameras=2)
            self.streams = {r.id: streams_of(orm, r) for r in (self.one, self.two)}

    @property
    def now(self) -> int:
        return self.clock.utc_us()

    def plan(self, *bookings: NewBooking) -> str:
        with self.index.write() as orm:
            return a_session(orm, self.clock, self.settings, *bookings).id

    def book(self, room: Room, after: int = 0, hours: int = 1) -> NewBooking:
        return booked(room, self.now + after, self.now + after + hours * HOUR)

    def do(
        self, act: Callable[[SessionCommands], object], roles: frozenset[Role] | None = DESK
    ) -> None:
        with self.index.write() as orm:
            act(SessionCommands(orm, self.clock, self.settings, PERSON, roles))

    def started(self, room: Room) -> str:
        session = self.plan(self.book(room))
        self.do(lambda c: c.start(session))
        return session

    def session(self, session_id: str) -> Session:
        with self.index.read() as orm:
            return orm.get_one(Session, session_id)

    def claims(self, session_id: str) -> list[tuple[str, int, int | None, ClaimClass]]:
        with self.index.read() as orm:
            rows = orm.scalars(
                select(Claim).where(Claim.session_id == session_id).order_by(Claim.from_us)
            )
            return [(c.stream_id, c.from_us, c.to_us, c.klass) for c in rows]

    def spans(self, session_id: str) -> set[tuple[int, int | None]]:
        return {(start, end) for _, start, end, _ in self.claims(session_id)}

    def tick(self, after_s: float = 0) -> None:
        """Let time pass, and the clockwork look."""
        self.clock.sleep(after_s)
        tick(self.index, self.clock, self.settings)

    @property
    def sealer(self) -> Sealer:
        assert self.spool is not None
        footage = Footage(self.spool, self.store)
        return Sealer(self.index, self.clock, self.settings, footage)

    def film(
        self, streams: Iterable[str], from_us: int, to_us: int, each_us: int = 5 * MINUTE
    ) -> None:
        """Record streams: main with sound, as their recorder would commit it."""
        with self.index.write() as orm:
            for stream in streams:
                Tape(orm, stream, self.spool).segments(from_us, to_us, each_us)

    def alarm(self, kind: str, session_id: str) -> str | None:
        """Give the cause of the open alarm of that kind about a session."""
        with self.index.read() as orm:
            found = open_alarm(orm, kind, f"session:{session_id}")
            return None if found is None else found.cause

    def facts(self, session_id: str) -> list[Facts]:
        """Give the session's records, having checked its chain."""
        with self.index.read() as orm:
            rows = orm.execute(
                select(SessionRecord.body, SessionRecord.leaf)
                .where(SessionRecord.session_id == session_id)
                .order_by(SessionRecord.seq)
            ).all()
        bodies = [parse(text.encode()) for text, _ in rows]
        assert [leaf for _, leaf in rows] == [leaf_hash(body) for body in bodies]
        facts, problems = verify_session_chain(bodies)
        assert problems == []
        return facts

    def records(self, session_id: str) -> list[str]:
        """Give the kinds of the session's records."""
        return [facts.T for facts in self.facts(session_id)]

    def edges(self, session_id: str) -> list[tuple[str, int, int]]:
        """Give the gaps stored for the session: cause, from, to."""
        with self.index.read() as orm:
            rows = orm.scalars(select(Gap).where(Gap.session_id == session_id))
            return sorted((g.cause.value, g.from_us, g.to_us) for g in rows)
