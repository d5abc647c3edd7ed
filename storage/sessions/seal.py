"""Seal sessions: every named byte read again, then the close record, coverage and gaps for good.

Nothing is sealed before the recorders' records reach the end of every claim, or before a recorder
has not been heard of for ten minutes; what becomes known later goes into a supplement.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import BidWitnessError, Conflict, DamageFound, IndexUnavailable
from bidwitness.intervals import Interval
from bidwitness.session import AlarmKind, Command, Verb, decide
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.session_records import HeadFacts
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.footage import committed_ends
from bidwitness.storage.index.models import Alarm, Claim, Session, StreamStatus
from bidwitness.storage.sessions.closing import write_close, write_supplement
from bidwitness.storage.sessions.loading import load_session, standing, view_of
from bidwitness.storage.sessions.named import damage_of, files_of, heads_of
from bidwitness.words import Health, SessionState

log = logging.getLogger(__name__)

SECOND = 1_000_000
GONE_US = 600 * SECOND
RETRY_US = 60 * SECOND
CLOCKWORK = Who("keep")


@dataclass(frozen=True, slots=True)
class Progress:
    """Streams whose recorder is still to commit the end of its claims; those it may never."""

    waiting: tuple[str, ...]
    open: tuple[str, ...]


def progress(orm: Orm, session: Session, now_us: int) -> Progress:
    """Say how far the records of the session's streams have come."""
    waiting: set[str] = set()
    open_: set[str] = set()
    committed = committed_ends(orm, {claim.stream_id for claim in standing(session)})
    for claim in standing(session):
        end = now_us if claim.to_us is None else claim.to_us
        if committed.get(claim.stream_id, 0) >= end:
            continue
        status = orm.get(StreamStatus, claim.stream_id)
        works = status is not None and status.state in (Health.OK, Health.DEGRADED)
        heard = max(end, status.at_us) if status is not None and works else end
        (open_ if now_us - heard >= GONE_US else waiting).add(claim.stream_id)
    return Progress(tuple(sorted(waiting)), tuple(sorted(open_ - waiting)))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was read of a session before its bytes were: it must not have changed since."""

    session_id: str
    version: int
    claims: tuple[Claim, ...]
    heads: tuple[HeadFacts, ...]
    open: tuple[str, ...]


class Sealer:
    """Seals sessions, one after the other, for the site's clockwork.

    Bytes are read outside of any transaction, which may take long: run it beside the clockwork,
    not in it. A session that could not be sealed for its bytes is tried again after a minute; only
    that is remembered here.
    """

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, footage: Footage
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._footage = footage
        self._not_before: dict[str, int] = {}

    def seal_due(self) -> None:
        """Seal all sessions whose undo window has closed, and supplement those left open.

        Raises ``IndexUnavailable``; what concerns one session is logged, and the others go on.
        """
        now = self._clock.utc_us()
        with self._database.read() as orm:
            ended = orm.scalars(
                select(Session.id)
                .where(Session.state == SessionState.ENDED, Session.undo_until_us <= now)
                .order_by(Session.undo_until_us)
            ).all()
            open_ = orm.scalars(
                select(Alarm.subject).where(
                    Alarm.kind == AlarmKind.SEAL_OPEN, Alarm.cleared_us.is_(None)
                )
            ).all()
        for session_id in ended:
            self._try(session_id, self.seal)
        for subject in open_:
            self._try(subject.removeprefix("session:"), self.supplement)

    def _try(self, session_id: str, act: Callable[[str], None]) -> None:
        if self._clock.monotonic_us() < self._not_before.get(session_id, 0):
            return
        self._not_before.pop(session_id, None)
        try:
            act(session_id)
        except Conflict as error:
            # Cheap to find out, so the next call looks again.
            log.debug("not yet: %s", error.detail, extra={"facts": {"session": session_id}})
        except IndexUnavailable:
            raise
        except (BidWitnessError, BadRecord) as error:
            # One session that cannot be sealed must not keep the others from it.
            facts = {"session": session_id, "why": str(error)}
            log.error("a session could not be sealed", extra={"facts": facts})
            self._not_before[session_id] = self._clock.monotonic_us() + RETRY_US

    def seal(self, session_id: str) -> None:
        """Seal one session.

        Raises ``NotFound``; ``Conflict`` in the wrong state, within the undo window, or while
        footage of its last moments is not committed; ``DamageFound``, with an alarm, if a record
        names bytes that are missing or differ; ``StoreError`` if the store does not answer.
        """
        command = Command(Verb.SEAL, None)
        now = self._clock.utc_us()
        with self._database.read() as orm:
            session = load_session(orm, session_id, lock=False)
            decide(view_of(orm, session, now), command, now, 0)
            found = progress(orm, session, now)
            ended = session.ended_us or now
            seen = None if found.waiting else _see(orm, session, found, now)
        if seen is None:
            self._wait(session_id, found, late=now - ended >= GONE_US, now_us=now)
            return
        damaged = self._damaged(seen)
        now = self._clock.utc_us()
        if damaged:
            self._refuse(session_id, damaged, now)
        with self._database.write() as orm:
            session = load_session(orm, session_id, version=seen.version)
            decide(view_of(orm, session, now, damaged=damaged), command, now, 0)
            write_close(orm, self._settings, session, seen.heads, seen.open, CLOCKWORK, now)
            clear_alarm(orm, AlarmKind.SEAL_REFUSED, f"session:{session_id}", now)
            clear_alarm(orm, AlarmKind.SEAL_WAITS, f"session:{session_id}", now)

    def supplement(self, session_id: str) -> None:
        """Record what became known after the seal, once all of it is there. Raises as ``seal``."""
        now = self._clock.utc_us()
        with self._database.read() as orm:
            session = load_session(orm, session_id, lock=False)
            found = progress(orm, session, now)
            if found.waiting or found.open or session.state != SessionState.SEALED:
                raise Conflict("Nothing more is known of the session yet.")
            seen = _see(orm, session, found, now)
        damaged = self._damaged(seen)
        if damaged:
            raise DamageFound(f"The supplement is not made: {'; '.join(damaged[:5])}")
        now = self._clock.utc_us()
        with self._database.write() as orm:
            session = load_session(orm, session_id, version=seen.version)
            write_supplement(orm, self._settings, session, seen.heads, CLOCKWORK, now)

    def _damaged(self, seen: _Seen) -> tuple[str, ...]:
        """Read every file that a record in the claims names; give what is missing or differs."""
        problems: list[str] = []
        for head in seen.heads:
            spans = _spans(seen.claims, head.stream)
            with self._database.read() as orm:
                named = files_of(orm, head, spans)
            problems += [why for item in named if (why := damage_of(self._footage, item))]
        return tuple(problems)

    def _wait(self, session_id: str, found: Progress, *, late: bool, now_us: int) -> None:
        why = f"The last moments of {len(found.waiting)} stream(s) are not committed yet."
        if late:
            with self._database.write() as orm:
                raise_alarm(orm, AlarmKind.SEAL_WAITS, f"session:{session_id}", now_us, cause=why)
        raise Conflict(f"{why} Try again in a moment.")

    def _refuse(self, session_id: str, damaged: tuple[str, ...], now_us: int) -> None:
        """Leave the alarm in a transaction of its own: the seal's is going to be refused."""
        cause = f"{len(damaged)}: {'; '.join(damaged[:5])}"
        with self._database.write() as orm:
            raise_alarm(orm, AlarmKind.SEAL_REFUSED, f"session:{session_id}", now_us, cause=cause)


def _see(orm: Orm, session: Session, found: Progress, now_us: int) -> _Seen:
    claims = tuple(standing(session))
    heads = tuple(heads_of(orm, claims, now_us))
    return _Seen(session.id, session.version, claims, heads, found.open)


def _spans(claims: tuple[Claim, ...], stream_id: str) -> list[Interval]:
    return [
        Interval(claim.from_us, claim.to_us)
        for claim in claims
        if claim.stream_id == stream_id and claim.to_us is not None
    ]
