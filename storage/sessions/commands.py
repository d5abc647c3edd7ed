"""What people and the clockwork do to a session: load, decide (``bidwitness.session``), write.

Each command is one write transaction of the caller's: state, claims, records, events, audit and
alarms commit together or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import Conflict, InvalidInput
from bidwitness.intervals import Interval
from bidwitness.session import Command, Verb
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.models import Claim, Session, Stream
from bidwitness.storage.index.models import SessionRelation as RelationRow
from bidwitness.storage.sessions.applying import Applier
from bidwitness.storage.sessions.create import note
from bidwitness.storage.sessions.loading import load_session, standing
from bidwitness.storage.sessions.moving import Move
from bidwitness.storage.sessions.plan import (
    NewBooking,
    NewItem,
    as_new,
    booking_row,
    check_bookings,
    check_rooms_free,
    planned_items,
    set_planned_times,
)
from bidwitness.words import Outcome, Relation, Role, SessionKind, SessionState


@dataclass(frozen=True, slots=True)
class Said:
    """What a change of condition rests on."""

    reason: str | None = None
    decided_by: str | None = None
    document_no: str | None = None


class SessionCommands:
    """The commands, by one person (or the clockwork: ``roles`` empty) at one instant.

    ``version``, where given, is the session's version the caller saw: another one is a
    ``Conflict``. All raise ``NotFound`` for an unknown session, ``Forbidden`` for a role that may
    not, ``Conflict`` saying what is possible now.
    """

    def __init__(
        self,
        orm: Orm,
        clock: Clock,
        settings: Settings,
        who: Who,
        roles: frozenset[Role] | None,
    ) -> None:
        self.now_us = clock.utc_us()
        self._orm = orm
        self._roles = roles
        self._applier = Applier(orm, settings, who, roles, self.now_us)

    def start(
        self,
        session_id: str,
        *,
        takes_over: str | None = None,
        at_us: int | None = None,
        version: int | None = None,
    ) -> Session:
        """Start recording for the session; ``takes_over`` ends that session in the same instant.

        ``at_us`` is for the clockwork, which may look later than the start was.
        """
        session = load_session(self._orm, session_id, version=version)
        command = Command(Verb.START, self._roles, takes_over=takes_over)
        return self._applier.run(session, command, at_us=at_us)

    def suspend(self, session_id: str, said: Said, *, version: int | None = None) -> Session:
        """Note that the business stands still, for a reason; recording goes on."""
        return self._condition(Verb.SUSPEND, session_id, said, version)

    def recess(self, session_id: str, said: Said, *, version: int | None = None) -> Session:
        """Note that the business rests, perhaps overnight; recording goes on."""
        return self._condition(Verb.RECESS, session_id, said, version)

    def resume(self, session_id: str, said: Said, *, version: int | None = None) -> Session:
        """Note that the business goes on."""
        return self._condition(Verb.RESUME, session_id, said, version)

    def extend(self, session_id: str, planned_to_us: int, *, version: int | None = None) -> Session:
        """Plan a later end. Raises ``InvalidInput`` unless it is later than planned and now.

        What runs may always go on; what is only planned must not take another session's room.
        """
        session = load_session(self._orm, session_id, version=version)
        command = Command(Verb.EXTEND, self._roles, planned_to_us=planned_to_us)
        last = session.planned_to_us
        longer = [b for b in session.bookings if b.left_us is None and b.to_us == last]

        def change() -> None:
            for booking in longer:
                booking.to_us = planned_to_us
            set_planned_times(session)
            if session.state == SessionState.SCHEDULED:
                wanted = [as_new(booking) for booking in longer]
                check_rooms_free(self._orm, wanted, except_for=session.id)

        return self._applier.run(session, command, change_plan=change)

    def move(
        self,
        session_id: str,
        bookings: Sequence[NewBooking],
        *,
        reason: str | None = None,
        version: int | None = None,
    ) -> Session:
        """Book other rooms; while recording, leave and enter them now.

        ``bookings`` are all that hold from now on: rooms named again are kept, others left. Claims
        of rooms left end now, those of rooms entered begin now: what went on there before is not
        this session's.
        """
        session = load_session(self._orm, session_id, version=version)
        check_bookings(self._orm, bookings, self.now_us)
        plan = Move.of(session, bookings, self.now_us)
        check_rooms_free(self._orm, plan.entered, except_for=session.id)
        rows = [booking_row(booking) for booking in plan.entered]
        return self._applier.run(
            session,
            Command(Verb.MOVE, self._roles, reason=reason),
            change_plan=lambda: plan.apply(self._orm, session, rows, self.now_us),
            entering=rows,
        )

    def end(
        self, session_id: str, outcome: Outcome | None, *, version: int | None = None
    ) -> Session:
        """End the recording for the session; its undo window opens."""
        session = load_session(self._orm, session_id, version=version)
        return self._applier.run(session, Command(Verb.END, self._roles, outcome=outcome))

    def undo_end(self, session_id: str, *, version: int | None = None) -> Session:
        """Go on as if the session had not ended. Streams claimed by another since stay with it."""
        session = load_session(self._orm, session_id, version=version)
        return self._applier.run(session, Command(Verb.UNDO_END, self._roles))

    def seal(self, session_id: str, *, version: int | None = None) -> Session:
        """Give up the rest of the undo window, so that `keep` seals the session next."""
        session = load_session(self._orm, session_id, version=version)
        self._applier.decide(session, Command(Verb.SEAL, self._roles))
        session.undo_until_us = min(session.undo_until_us or self.now_us, self.now_us)
        note(self._orm, session, "seal_asked", self.now_us)
        self._applier.audit(session, Verb.SEAL, None, {})
        return session

    def cancel(self, session_id: str, reason: str, *, version: int | None = None) -> Session:
        """Give a session up that has not started. Raises ``InvalidInput`` without a reason."""
        session = load_session(self._orm, session_id, version=version)
        return self._applier.run(session, Command(Verb.CANCEL, self._roles, reason=reason))

    def claim(
        self,
        session_id: str,
        stream_ids: Sequence[str],
        from_us: int,
        to_us: int | None,
        reason: str,
        *,
        version: int | None = None,
    ) -> list[Claim]:
        """Claim footage that is there already (补录入); without ``to_us`` up to the session's own.

        Raises ``InvalidInput`` for an unknown stream, an empty time or a missing reason,
        ``Conflict`` naming the session that owns the footage.
        """
        session = load_session(self._orm, session_id, version=version)
        self._applier.decide(session, Command(Verb.CLAIM, self._roles, reason=reason))
        self._check_streams(stream_ids)
        claiming = self._applier.claiming(session)
        made: list[Claim] = []
        for stream_id in dict.fromkeys(stream_ids):
            first = [c.from_us for c in standing(session) if c.stream_id == stream_id]
            end = min(first, default=self.now_us) if to_us is None else to_us
            if end <= from_us:
                raise InvalidInput(
                    "A claim must end after it starts.", fields={"from": "give a time before `to`"}
                )
            made += claiming.reach_back(stream_id, Interval(from_us, end), reason)
        facts: dict[str, object] = {"streams": list(stream_ids), "from_us": from_us}
        note(self._orm, session, "claimed", self.now_us, text=reason, facts=facts)
        self._applier.audit(session, Verb.CLAIM, reason, facts)
        return made

    def relate(self, session_id: str, other_id: str, kind: Relation) -> Session:
        """Say that the session continues (clarifies, …) another."""
        session = load_session(self._orm, session_id)
        self._applier.decide(session, Command(Verb.RELATE, self._roles))
        if other_id == session_id or self._orm.get(Session, other_id) is None:
            raise InvalidInput(
                "There is no such other session.", fields={"other_id": "name another session"}
            )
        key = (session_id, other_id, kind)
        if self._orm.get(RelationRow, key) is not None:
            raise Conflict("The sessions are related like that already.")
        self._orm.add(RelationRow(session_id=session_id, other_id=other_id, kind=kind))
        facts: dict[str, object] = {"other": other_id, "kind": kind}
        note(self._orm, session, "related", self.now_us, facts=facts)
        self._applier.audit(session, Verb.RELATE, None, facts)
        return session

    def amend(
        self,
        session_id: str,
        reason: str,
        *,
        items: Sequence[NewItem] | None = None,
        kind: SessionKind | None = None,
        version: int | None = None,
    ) -> Session:
        """Correct which lots are dealt with, or what the sitting is for. Rooms change by ``move``."""
        session = load_session(self._orm, session_id, version=version)
        rows = None if items is None else planned_items(self._orm, items)

        def change() -> None:
            if rows is not None:
                for row in session.items:
                    self._orm.delete(row)
                session.items = rows
            session.kind = kind or session.kind

        command = Command(Verb.AMEND, self._roles, reason=reason)
        return self._applier.run(session, command, change_plan=change)

    def _condition(self, verb: Verb, session_id: str, said: Said, version: int | None) -> Session:
        session = load_session(self._orm, session_id, version=version)
        return self._applier.condition(
            session,
            Command(verb, self._roles, reason=said.reason),
            decided_by=said.decided_by,
            document_no=said.document_no,
        )

    def _check_streams(self, stream_ids: Sequence[str]) -> None:
        if not stream_ids:
            raise InvalidInput("Name a stream.", fields={"stream_ids": "name at least one"})
        for number, stream_id in enumerate(stream_ids):
            if self._orm.get(Stream, stream_id) is None:
                raise InvalidInput(
                    f"There is no stream {stream_id}.",
                    fields={f"stream_ids.{number}": "there is no such stream"},
                )
