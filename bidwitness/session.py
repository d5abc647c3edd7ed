"""The life of a session: which command is possible when, by whom, and what follows. Pure.

The table ``TRANSITIONS`` is the whole machine; everything else reads it. A session's business may
be suspended or in recess, its recording may not: only ``end`` ends it, and nothing ends it by
itself.
"""

from dataclasses import dataclass
from enum import StrEnum

from bidwitness.errors import Conflict, DamageFound, Forbidden, InvalidInput
from bidwitness.words import Condition, Outcome, Role, SessionState, Word


class Verb(Word):
    PLAN = "plan", "预约"
    AMEND = "amend", "更正"
    START = "start", "开始"
    SUSPEND = "suspend", "暂停"
    RECESS = "recess", "休会"
    RESUME = "resume", "恢复"
    EXTEND = "extend", "延长"
    MOVE = "move", "更换场地"
    END = "end", "结束"
    UNDO_END = "undo-end", "撤销结束"
    SEAL = "seal", "固化"
    CANCEL = "cancel", "取消"
    CLAIM = "claims", "补录入"
    RELATE = "relations", "关联场次"
    VERIFY = "verify", "校验"
    ARCHIVE = "archive", "归档"
    TRANSFER = "transfer", "移交"
    DISPOSE = "dispose", "销毁"


class EffectKind(StrEnum):
    """What the edge has to do, in this order, in one transaction."""

    END_OTHER = "end_other"  # subject: the session that ends at this instant
    OPEN_CLAIMS = "open_claims"  # from the bookings, open-ended
    MOVE_CLAIMS = "move_claims"  # close those of rooms left, open those of rooms entered
    CLOSE_CLAIMS = "close_claims"
    REOPEN_CLAIM = "reopen_claim"  # subject: the stream
    LEAVE_CLOSED = "leave_closed"  # subject: a stream another session has claimed since
    CHANGE_PLAN = "change_plan"
    START_UNDO = "start_undo"  # at: when the undo window closes
    WRITE_RECORD = "write_record"  # subject: the kind of session record


class AlarmKind(StrEnum):
    OVERLAP = "overlap"  # waits: another session still records in its rooms
    OVERRUN = "overrun"  # records past planned_to
    SEAL_REFUSED = "seal_refused"  # a record names bytes that are missing or differ
    SEAL_WAITS = "seal_waits"  # a recorder that is alive has not committed the end
    SEAL_OPEN = "seal_open"  # sealed with a recorder out of reach: a supplement is to follow


@dataclass(frozen=True, slots=True)
class Effect:
    kind: EffectKind
    at_us: int
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class SessionView:
    """What the machine needs to know of a session.

    ``occupied_by``: sessions that record now, with claims of their own, in rooms or seats this
    one books (or, for a move, is to move into). ``streams``: the streams of its own claims;
    ``claimed_since``: those of them another session has claimed since this one ended.
    ``damaged``: bytes that its records name and that are missing or differ.
    """

    id: str
    state: SessionState
    condition: Condition
    planned_from_us: int
    planned_to_us: int
    undo_until_us: int | None = None
    occupied_by: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    claimed_since: frozenset[str] = frozenset()
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody wants. ``roles`` empty: nobody; ``None``: the site's own clockwork."""

    verb: Verb
    roles: frozenset[Role] | None
    reason: str | None = None
    outcome: Outcome | None = None
    planned_to_us: int | None = None
    takes_over: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    new_state: SessionState
    new_condition: Condition
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the machine. ``to_condition`` empty: it stays."""

    verb: Verb
    states: frozenset[SessionState]
    to_state: SessionState | None
    roles: frozenset[Role]
    effects: tuple[EffectKind, ...]
    conditions: frozenset[Condition] = frozenset(Condition)
    to_condition: Condition | None = None
    clockwork: bool = False
    record: str | None = None


_S, _C, _E = SessionState, Condition, EffectKind
# Supervisors never change a session: what they instruct, the venue carries out.
_DESK = frozenset({Role.VENUE})
_ARCHIVE = frozenset({Role.ARCHIVIST})
# A trading system announces its sessions; once they have begun they are the desk's alone.
_BOOKS = frozenset({Role.VENUE, Role.SERVICE})


def _states(*states: SessionState) -> frozenset[SessionState]:
    return frozenset(states)


TRANSITIONS: tuple[Transition, ...] = (
    # Of a session that is not there yet: no state knows it.
    Transition(Verb.PLAN, _states(), _S.SCHEDULED, _BOOKS, ()),
    Transition(
        Verb.AMEND,
        _states(_S.SCHEDULED, _S.RECORDING, _S.ENDED),
        None,
        _BOOKS,
        (_E.CHANGE_PLAN,),
        record="amend",
    ),
    Transition(
        Verb.START,
        _states(_S.SCHEDULED),
        _S.RECORDING,
        _DESK,
        (_E.OPEN_CLAIMS,),
        to_condition=_C.RUNNING,
        clockwork=True,
        record="open",
    ),
    Transition(
        Verb.SUSPEND,
        _states(_S.RECORDING),
        None,
        _DESK,
        (),
        conditions=frozenset({_C.RUNNING, _C.RECESS}),
        to_condition=_C.SUSPENDED,
        record="condition",
    ),
    Transition(
        Verb.RECESS,
        _states(_S.RECORDING),
        None,
        _DESK,
        (),
        conditions=frozenset({_C.RUNNING, _C.SUSPENDED}),
        to_condition=_C.RECESS,
        record="condition",
    ),
    Transition(
        Verb.RESUME,
        _states(_S.RECORDING),
        None,
        _DESK,
        (),
        conditions=frozenset({_C.RECESS, _C.SUSPENDED}),
        to_condition=_C.RUNNING,
        record="condition",
    ),
    Transition(
        Verb.EXTEND,
        _states(_S.SCHEDULED, _S.RECORDING),
        None,
        _DESK,
        (_E.CHANGE_PLAN,),
        record="amend",
    ),
    Transition(
        Verb.MOVE,
        _states(_S.SCHEDULED, _S.RECORDING),
        None,
        _BOOKS,
        (_E.CHANGE_PLAN, _E.MOVE_CLAIMS),
        record="amend",
    ),
    # The condition stays as it was, so that undoing the end finds it again.
    Transition(
        Verb.END,
        _states(_S.RECORDING),
        _S.ENDED,
        _DESK,
        (_E.CLOSE_CLAIMS, _E.START_UNDO),
    ),
    Transition(
        Verb.UNDO_END,
        _states(_S.ENDED),
        _S.RECORDING,
        _DESK,
        (_E.REOPEN_CLAIM,),
    ),
    Transition(
        Verb.SEAL,
        _states(_S.ENDED),
        _S.SEALED,
        _DESK,
        (),
        clockwork=True,
        record="close",
    ),
    Transition(
        Verb.CANCEL,
        _states(_S.SCHEDULED),
        _S.CANCELLED,
        _BOOKS,
        (),
        record="cancel",
    ),
    # The close record states the claims for good, so that none is made after the seal.
    Transition(Verb.CLAIM, _states(_S.RECORDING, _S.ENDED), None, _DESK, ()),
    Transition(Verb.RELATE, _states(*set(_S) - {_S.CANCELLED}), None, _DESK, ()),
    Transition(
        Verb.VERIFY,
        _states(_S.ENDED, _S.SEALED, _S.ARCHIVED, _S.TRANSFERRED),
        None,
        _ARCHIVE,
        (),
    ),
    Transition(Verb.ARCHIVE, _states(_S.SEALED), _S.ARCHIVED, _ARCHIVE, ()),
    Transition(Verb.TRANSFER, _states(_S.ARCHIVED), _S.TRANSFERRED, _ARCHIVE, ()),
    Transition(Verb.DISPOSE, _states(_S.SEALED, _S.ARCHIVED), _S.DISPOSED, _ARCHIVE, ()),
)


def possible(state: SessionState, condition: Condition) -> tuple[Verb, ...]:
    """Name the commands that this state knows."""
    return tuple(
        row.verb for row in TRANSITIONS if state in row.states and condition in row.conditions
    )


def check_may(verb: Verb, roles: frozenset[Role]) -> None:
    """Raise ``Forbidden`` unless one of the roles may give this command."""
    (row,) = (row for row in TRANSITIONS if row.verb == verb)
    _check_role(row, Command(verb, roles))


def decide(view: SessionView, command: Command, now_us: int, undo_us: int) -> Decision:
    """Say what a command makes of a session.

    Raises ``Conflict`` naming what is possible now, ``Forbidden`` for a role that may not (a service
    account, once the session has begun), ``InvalidInput`` for a command that lacks or misstates something, ``DamageFound`` for a seal
    of a session whose records name bytes that are missing or differ.
    """
    (row,) = (row for row in TRANSITIONS if row.verb == command.verb)
    _check_role(row, command)
    if command.roles == frozenset({Role.SERVICE}) and view.state != _S.SCHEDULED:
        raise Forbidden("A service account changes sessions only before they begin.")
    if view.state not in row.states or view.condition not in row.conditions:
        raise _not_now(view, command.verb)
    _CHECKS.get(command.verb, _no_check)(view, command, now_us)
    return Decision(
        row.to_state or view.state,
        row.to_condition or view.condition,
        tuple(_effects(row, view, command, now_us, undo_us)),
    )


def _check_role(row: Transition, command: Command) -> None:
    if command.roles is None:
        if not row.clockwork:
            raise Forbidden(f"`{row.verb}` is for people, not for the clockwork.")
    elif not command.roles & row.roles:
        names = "、".join(sorted(role.zh for role in row.roles))
        raise Forbidden(f"`{row.verb}` of a session is for {names}.")


def _not_now(view: SessionView, verb: Verb) -> Conflict:
    able = ", ".join(possible(view.state, view.condition)) or "nothing more"
    where = view.state if view.state != _S.RECORDING else f"{view.state}, {view.condition}"
    return Conflict(f"The session is {where}: `{verb}` is not possible. Possible now: {able}.")


def _effects(
    row: Transition, view: SessionView, command: Command, now_us: int, undo_us: int
) -> list[Effect]:
    effects: list[Effect] = []
    if command.takes_over is not None and row.verb == Verb.START:
        effects.append(Effect(_E.END_OTHER, now_us, command.takes_over))
    for kind in row.effects:
        if kind == _E.REOPEN_CLAIM:
            effects += [
                Effect(_E.LEAVE_CLOSED if s in view.claimed_since else kind, now_us, s)
                for s in view.streams
            ]
        elif kind == _E.START_UNDO:
            effects.append(Effect(kind, now_us + undo_us))
        elif kind == _E.MOVE_CLAIMS and view.state == _S.SCHEDULED:
            continue  # nothing is claimed yet
        else:
            effects.append(Effect(kind, now_us))
    if row.record:
        effects.append(Effect(_E.WRITE_RECORD, now_us, row.record))
    return effects


def _no_check(view: SessionView, command: Command, now_us: int) -> None:
    """Most rows ask nothing beyond state, condition and role."""


def _check_start(view: SessionView, command: Command, now_us: int) -> None:
    if command.takes_over is not None and command.takes_over not in view.occupied_by:
        raise InvalidInput(
            f"Session {command.takes_over} does not record in this session's rooms.",
            fields={"takes_over": "name a session that records in the same rooms, or leave it out"},
        )
    _check_free(view, command)


def _check_free(view: SessionView, command: Command) -> None:
    left = [other for other in view.occupied_by if other != command.takes_over]
    if left:
        raise Conflict(
            f"Session {', '.join(left)} still records in these rooms. Possible now: wait, "
            "end it, or start with takes_over."
        )


def _check_move(view: SessionView, command: Command, now_us: int) -> None:
    if view.state == _S.RECORDING:
        _check_free(view, command)


def _check_reason(view: SessionView, command: Command, now_us: int) -> None:
    if not (command.reason or "").strip():
        raise InvalidInput(
            f"`{command.verb}` needs a reason.", fields={"reason": "say why, for the record"}
        )


def _check_extend(view: SessionView, command: Command, now_us: int) -> None:
    wanted = command.planned_to_us
    if wanted is None or wanted <= max(view.planned_to_us, now_us):
        raise InvalidInput(
            "An extension must end later than planned so far, and later than now.",
            fields={"planned_to": "give a later time"},
        )


def _check_end(view: SessionView, command: Command, now_us: int) -> None:
    if command.outcome is None:
        raise InvalidInput(
            "`end` needs the outcome of the session.",
            fields={"outcome": "one of " + ", ".join(Outcome)},
        )


def _check_undo(view: SessionView, command: Command, now_us: int) -> None:
    if view.undo_until_us is None or now_us >= view.undo_until_us:
        raise Conflict("The time to undo the end has passed. Possible now: seal.")
    if view.streams and view.claimed_since.issuperset(view.streams):
        raise Conflict(
            "Another session has claimed every stream of this one since. Possible now: seal; "
            "a later sitting is a new session that continues this one."
        )


def _check_seal(view: SessionView, command: Command, now_us: int) -> None:
    if command.roles is None and view.undo_until_us is not None and now_us < view.undo_until_us:
        raise Conflict("The end can still be undone. Possible now: undo-end, or seal by hand.")
    if view.damaged:
        shown = ", ".join(view.damaged[:5])
        raise DamageFound(
            f"The session is not sealed: {len(view.damaged)} recorded part(s) are missing or "
            f"differ: {shown}. Find the bytes (store, spool, copy), then seal again."
        )


_CHECKS = {
    Verb.START: _check_start,
    Verb.SUSPEND: _check_reason,
    Verb.EXTEND: _check_extend,
    Verb.MOVE: _check_move,
    Verb.END: _check_end,
    Verb.UNDO_END: _check_undo,
    Verb.SEAL: _check_seal,
    Verb.CANCEL: _check_reason,
    Verb.AMEND: _check_reason,
    Verb.CLAIM: _check_reason,
}


@dataclass(frozen=True, slots=True)
class Due:
    """What the clockwork does now: at most one command, and the alarms that stand now.

    An alarm that is not named any more is to be cleared.
    """

    verb: Verb | None
    alarms: frozenset[AlarmKind]


def due_transition(view: SessionView, now_us: int) -> Due:
    """Say what is due at ``now_us``.

    Start at ``planned_from``, however late the clockwork looks: the footage is there and the
    claims reach back. Wait, with an alarm, while another session records in the same rooms.
    Never end; past ``planned_to`` an alarm stands. Seal when the undo window has closed.
    """
    if view.state == _S.SCHEDULED and now_us >= view.planned_from_us:
        if view.occupied_by:
            return Due(None, frozenset({AlarmKind.OVERLAP}))
        return Due(Verb.START, frozenset())
    if view.state == _S.RECORDING and now_us >= view.planned_to_us:
        return Due(None, frozenset({AlarmKind.OVERRUN}))
    if view.state == _S.ENDED and (view.undo_until_us is None or now_us >= view.undo_until_us):
        if view.damaged:
            return Due(None, frozenset({AlarmKind.SEAL_REFUSED}))
        return Due(Verb.SEAL, frozenset())
    return Due(None, frozenset())


def refuse_classified(classified: bool) -> None:
    """Refuse to classify a session as it is booked: disconnecting cameras needs two persons.

    Raises ``InvalidInput``.
    """
    if classified:
        raise InvalidInput(
            "Nobody switches cameras off alone. Book the session without `classified`, then ask "
            "for it by POST /api/v1/approvals, kind classified.begin.",
            fields={"classified": "must be false"},
        )
