"""Carry out what the state machine decided: each effect as rows, records, events and audit."""

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import Conflict
from bidwitness.session import AlarmKind, Command, Decision, Effect, EffectKind, Verb, decide
from bidwitness.storage.evidence.session_records import CancelFacts, ConditionFacts, OpenFacts
from bidwitness.storage.index.alarms import clear_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Booking, ConditionChange, Session
from bidwitness.storage.sessions.chain import append_plan, append_record, by_whom
from bidwitness.storage.sessions.claiming import Claiming
from bidwitness.storage.sessions.create import note
from bidwitness.storage.sessions.loading import load_session, view_of
from bidwitness.words import Outcome, Role

SECOND = 1_000_000
_EVENTS = {
    Verb.START: "started",
    Verb.SUSPEND: "suspended",
    Verb.RECESS: "recessed",
    Verb.RESUME: "resumed",
    Verb.EXTEND: "extended",
    Verb.MOVE: "moved",
    Verb.END: "ended",
    Verb.UNDO_END: "end_undone",
    Verb.CANCEL: "cancelled",
    Verb.AMEND: "amended",
}
# Alarms that a command answers.
_ANSWERS = {
    Verb.START: (AlarmKind.OVERLAP,),
    Verb.CANCEL: (AlarmKind.OVERLAP,),
    Verb.EXTEND: (AlarmKind.OVERRUN,),
    Verb.END: (AlarmKind.OVERRUN, AlarmKind.OVERLAP),
    Verb.UNDO_END: (AlarmKind.SEAL_WAITS, AlarmKind.SEAL_REFUSED),
}


class Applier:
    """Runs commands on sessions, for one person or the clockwork, at one instant.

    ``roles`` empty: nobody; ``None``: the site's clockwork. Call inside ``Database.write``.
    """

    def __init__(
        self,
        orm: Orm,
        settings: Settings,
        who: Who,
        roles: frozenset[Role] | None,
        now_us: int,
    ) -> None:
        self.orm = orm
        self.settings = settings
        self.who = who
        self.roles = roles
        self.now_us = now_us

    def decide(
        self,
        session: Session,
        command: Command,
        *,
        at_us: int | None = None,
        entering: Sequence[Booking] | None = None,
    ) -> Decision:
        """Ask the state machine, at ``at_us`` or now."""
        at = self.now_us if at_us is None else at_us
        view = view_of(self.orm, session, at, bookings=entering)
        return decide(view, command, at, self.settings.undo_seconds * SECOND)

    def run(
        self,
        session: Session,
        command: Command,
        *,
        at_us: int | None = None,
        change_plan: Callable[[], None] | None = None,
        entering: Sequence[Booking] | None = None,
        facts: dict[str, object] | None = None,
    ) -> Session:
        """Decide a command and carry it out.

        ``change_plan`` does what ``CHANGE_PLAN`` stands for; ``entering``: the rooms of a move.
        """
        at = self.now_us if at_us is None else at_us
        decision = self.decide(session, command, at_us=at, entering=entering)
        if command.verb == Verb.START:
            session.started_us = at
        session.state = decision.new_state
        session.condition = decision.new_condition
        reopen = {
            str(effect.subject)
            for effect in decision.effects
            if effect.kind == EffectKind.REOPEN_CLAIM
        }
        if command.verb == Verb.UNDO_END:
            self._undo_end(session, reopen)
        for effect in decision.effects:
            self._apply(session, command, effect, change_plan)
        if command.verb == Verb.END:
            session.ended_us, session.outcome = at, command.outcome
        self.orm.flush()
        self._report(session, command, decision, at, facts or {})
        return session

    def claiming(self, session: Session) -> Claiming:
        """Give the writer of this session's claims."""
        return Claiming(self.orm, self.settings, session, self.who, self.now_us)

    def audit(
        self, session: Session, verb: Verb, reason: str | None, facts: dict[str, object]
    ) -> None:
        """Leave the audit entry of a command."""
        leave_audit_entry(
            self.orm,
            self.who,
            f"session.{verb}",
            f"session:{session.id}",
            self.now_us,
            reason=reason,
            facts=facts or None,
        )

    def _apply(
        self,
        session: Session,
        command: Command,
        effect: Effect,
        change_plan: Callable[[], None] | None,
    ) -> None:
        match effect.kind:
            case EffectKind.END_OTHER:
                self._end_other(str(effect.subject), session, effect.at_us)
            case EffectKind.OPEN_CLAIMS:
                self._open_claims(session, effect.at_us)
            case EffectKind.CLOSE_CLAIMS:
                self.claiming(session).close(effect.at_us)
            case EffectKind.MOVE_CLAIMS:
                left = {b.id for b in session.bookings if b.left_us is not None}
                self.claiming(session).close(effect.at_us, bookings=left)
                self._open_claims(session, effect.at_us, entering=True)
            case EffectKind.CHANGE_PLAN if change_plan is not None:
                change_plan()
                self.orm.flush()
            case EffectKind.START_UNDO:
                session.undo_until_us = effect.at_us
            case EffectKind.WRITE_RECORD:
                self._record(session, command, str(effect.subject), effect.at_us)
            case _:
                # Undoing an end is done for all streams at once, before.
                return

    def _open_claims(self, session: Session, at_us: int, *, entering: bool = False) -> None:
        _, held = self.claiming(session).open_due(at_us, entering=entering)
        if held:
            raise Conflict(
                "Another session has just begun to record in these rooms. Load it again.",
                fields={"bookings": "taken by another session"},
            )

    def _end_other(self, other_id: str, by: Session, at_us: int) -> None:
        other = load_session(self.orm, other_id)
        command = Command(
            Verb.END, self.roles, outcome=Outcome.COMPLETED, reason=f"taken over by {by.id}"
        )
        self.run(other, command, at_us=at_us, facts={"taken_over_by": by.id})

    def _undo_end(self, session: Session, streams: set[str]) -> None:
        self.claiming(session).reopen(streams)
        session.ended_us = session.outcome = session.undo_until_us = None

    def _record(self, session: Session, command: Command, kind: str, at_us: int) -> None:
        by = by_whom(self.who) if self.roles is not None else None
        reason = command.reason
        if kind == "open":
            append_record(
                self.orm,
                self.settings,
                session.id,
                self.now_us,
                lambda place: OpenFacts(
                    place=place, started=at_us, by=by, takes_over=command.takes_over
                ),
            )
        elif kind == "cancel":
            append_record(
                self.orm,
                self.settings,
                session.id,
                self.now_us,
                lambda place: CancelFacts(place=place, by=by, reason=reason or ""),
            )
        elif kind == "amend":
            append_plan(
                self.orm,
                self.settings,
                session,
                self.now_us,
                self.who,
                reason=reason,
                amends=True,
            )

    def condition(
        self,
        session: Session,
        command: Command,
        *,
        decided_by: str | None,
        document_no: str | None,
    ) -> Session:
        """Run a change of condition, with who decided it and by which document."""
        self.run(session, command, facts={"decided_by": decided_by, "document_no": document_no})
        self.orm.add(
            ConditionChange(
                session_id=session.id,
                condition=session.condition,
                at_us=self.now_us,
                reason=command.reason,
                decided_by=decided_by,
                document_no=document_no,
            )
        )
        append_record(
            self.orm,
            self.settings,
            session.id,
            self.now_us,
            lambda place: ConditionFacts(
                place=place,
                condition=session.condition,
                since=self.now_us,
                by=by_whom(self.who),
                reason=command.reason,
                document=document_no,
            ),
        )
        return session

    def _report(
        self,
        session: Session,
        command: Command,
        decision: Decision,
        at_us: int,
        facts: dict[str, object],
    ) -> None:
        """Say what happened: an event of the session, an audit entry, alarms answered."""
        for kind in _ANSWERS.get(command.verb, ()):
            clear_alarm(self.orm, kind, f"session:{session.id}", self.now_us)
        said = {name: value for name, value in facts.items() if value is not None}
        if command.outcome is not None:
            said["outcome"] = command.outcome
        if command.takes_over is not None:
            said["takes_over"] = command.takes_over
        kept = [str(e.subject) for e in decision.effects if e.kind == EffectKind.LEAVE_CLOSED]
        if kept:
            said["left_to_others"] = kept
        what = _EVENTS[command.verb]
        note(self.orm, session, what, at_us, text=command.reason, facts=said or None)
        self.audit(session, command.verb, command.reason, said)
