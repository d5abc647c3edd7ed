"""The session machine: every cell of state × command × role, and the rules beyond the table."""

import dataclasses
import itertools

import pytest

from bidwitness.errors import Conflict, DamageFound, Forbidden, InvalidInput
from bidwitness.session import (
    TRANSITIONS,
    AlarmKind,
    Command,
    Due,
    Effect,
    EffectKind,
    SessionView,
    Verb,
    decide,
    due_transition,
    possible,
    refuse_classified,
)
from bidwitness.words import Condition, Outcome, Role, SessionState

DESK = frozenset({Role.VENUE, Role.ARCHIVIST})
FROM, TO, UNDO = 1_000, 2_000, 900
VIEW = SessionView("s", SessionState.SCHEDULED, Condition.RUNNING, FROM, TO)

# What the machine allows, written out a second time: verb → {(state, condition)}.
ANY = tuple(Condition)
EXPECTED = {
    Verb.PLAN: set(),
    Verb.AMEND: set(itertools.product(("scheduled", "recording", "ended"), ANY)),
    Verb.START: {(SessionState.SCHEDULED, c) for c in ANY},
    Verb.SUSPEND: {(SessionState.RECORDING, c) for c in ("running", "recess")},
    Verb.RECESS: {(SessionState.RECORDING, c) for c in ("running", "suspended")},
    Verb.RESUME: {(SessionState.RECORDING, c) for c in ("recess", "suspended")},
    Verb.EXTEND: set(itertools.product(("scheduled", "recording"), ANY)),
    Verb.MOVE: set(itertools.product(("scheduled", "recording"), ANY)),
    Verb.END: {(SessionState.RECORDING, c) for c in ANY},
    Verb.UNDO_END: {(SessionState.ENDED, c) for c in ANY},
    Verb.SEAL: {(SessionState.ENDED, c) for c in ANY},
    Verb.CANCEL: {(SessionState.SCHEDULED, c) for c in ANY},
    Verb.CLAIM: set(itertools.product(("recording", "ended"), ANY)),
    Verb.RELATE: set(itertools.product(set(SessionState) - {SessionState.CANCELLED}, ANY)),
    Verb.VERIFY: set(itertools.product(("ended", "sealed", "archived", "transferred"), ANY)),
    Verb.ARCHIVE: {(SessionState.SEALED, c) for c in ANY},
    Verb.TRANSFER: {(SessionState.ARCHIVED, c) for c in ANY},
    Verb.DISPOSE: set(itertools.product(("sealed", "archived"), ANY)),
}


def command(verb: Verb, roles: frozenset[Role] | None = DESK, **given: object) -> Command:
    """A command with all that its verb needs."""
    full = {"reason": "why", "outcome": Outcome.COMPLETED, "planned_to_us": TO + 5_000, **given}
    return Command(verb, roles, **full)


def view(state: str, condition: str = "running", **given: object) -> SessionView:
    return dataclasses.replace(
        VIEW, state=SessionState(state), condition=Condition(condition), **given
    )


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("state", SessionState)
def test_every_cell_of_the_table(verb: Verb, state: SessionState) -> None:
    for condition in Condition:
        now = view(state, condition, undo_until_us=TO + UNDO)
        if (state, condition) in EXPECTED[verb]:
            assert decide(now, command(verb), TO, UNDO)
            assert verb in possible(state, condition)
        else:
            with pytest.raises(Conflict, match=r"Possible now: "):
                decide(now, command(verb), TO, UNDO)
            assert verb not in possible(state, condition)


def test_each_verb_has_exactly_one_row() -> None:
    assert sorted(row.verb for row in TRANSITIONS) == sorted(Verb)


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.AUDITOR, None])
def test_supervisors_auditors_and_nobody_never_change_a_session(
    verb: Verb, role: Role | None
) -> None:
    roles = frozenset({role} if role else ())
    state, condition = next(iter(EXPECTED[verb] or {("scheduled", "running")}))
    with pytest.raises(Forbidden):
        decide(view(state, condition), command(verb, roles), TO, UNDO)


def test_the_clockwork_only_starts_and_seals() -> None:
    done = set()
    for verb in Verb:
        state, condition = next(iter(EXPECTED[verb] or {("scheduled", "running")}))
        try:
            decide(view(state, condition), command(verb, None), TO, UNDO)
        except Forbidden:
            continue
        done.add(verb)
    assert done == {Verb.START, Verb.SEAL}


def test_a_conflict_names_what_is_possible_now() -> None:
    with pytest.raises(Conflict, match="is recording, recess: `recess` is not possible") as caught:
        decide(view("recording", "recess"), command(Verb.RECESS), TO, UNDO)
    assert caught.value.detail.endswith(
        "now: amend, suspend, resume, extend, move, end, claims, relations."
    )
    with pytest.raises(Conflict, match="Possible now: nothing more"):
        decide(view("cancelled"), command(Verb.START), TO, UNDO)


def test_start_opens_claims_and_writes_the_open_record() -> None:
    decision = decide(view("scheduled"), command(Verb.START), 990, UNDO)
    assert (decision.new_state, decision.new_condition) == ("recording", "running")
    assert decision.effects == (
        Effect(EffectKind.OPEN_CLAIMS, 990),
        Effect(EffectKind.WRITE_RECORD, 990, "open"),
    )


def test_start_waits_for_the_session_before_unless_it_takes_over() -> None:
    waiting = view("scheduled", occupied_by=("a",))
    with pytest.raises(Conflict, match="Session a still records in these rooms"):
        decide(waiting, command(Verb.START), FROM, UNDO)
    decision = decide(waiting, command(Verb.START, takes_over="a"), FROM, UNDO)
    assert decision.effects[0] == Effect(EffectKind.END_OTHER, FROM, "a")
    with pytest.raises(InvalidInput) as caught:
        decide(waiting, command(Verb.START, takes_over="b"), FROM, UNDO)
    assert "takes_over" in caught.value.fields
    both = view("scheduled", occupied_by=("a", "b"))
    with pytest.raises(Conflict, match="Session b still records"):
        decide(both, command(Verb.START, takes_over="a"), FROM, UNDO)


def test_a_move_into_an_occupied_room_is_refused_while_recording() -> None:
    with pytest.raises(Conflict, match="still records"):
        decide(view("recording", occupied_by=("a",)), command(Verb.MOVE), FROM, UNDO)
    effects = decide(view("recording"), command(Verb.MOVE), FROM, UNDO).effects
    assert EffectKind.MOVE_CLAIMS in [e.kind for e in effects]
    effects = decide(view("scheduled"), command(Verb.MOVE), FROM, UNDO).effects
    assert EffectKind.MOVE_CLAIMS not in [e.kind for e in effects]


@pytest.mark.parametrize(
    ("verb", "state", "given", "field"),
    [
        (Verb.SUSPEND, "recording", {"reason": " "}, "reason"),
        (Verb.CANCEL, "scheduled", {"reason": None}, "reason"),
        (Verb.END, "recording", {"outcome": None}, "outcome"),
        (Verb.EXTEND, "recording", {"planned_to_us": None}, "planned_to"),
        (Verb.EXTEND, "recording", {"planned_to_us": TO}, "planned_to"),
        (Verb.EXTEND, "recording", {"planned_to_us": TO + 5}, "planned_to"),
    ],
)
def test_what_a_command_lacks_is_named(
    verb: Verb, state: str, given: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        decide(view(state), command(verb, **given), TO + 10, UNDO)
    assert field in caught.value.fields


def test_the_end_can_be_undone_within_its_window_and_keeps_the_condition() -> None:
    ended = decide(view("recording", "recess"), command(Verb.END), 5_000, UNDO)
    assert ended.effects == (
        Effect(EffectKind.CLOSE_CLAIMS, 5_000),
        Effect(EffectKind.START_UNDO, 5_900),
    )
    assert (ended.new_state, ended.new_condition) == ("ended", "recess")
    after = view("ended", "recess", undo_until_us=5_900, streams=("x", "y"))
    undone = decide(after, command(Verb.UNDO_END), 5_899, UNDO)
    assert (undone.new_state, undone.new_condition) == ("recording", "recess")
    with pytest.raises(Conflict, match="has passed"):
        decide(after, command(Verb.UNDO_END), 5_900, UNDO)


def test_undo_leaves_streams_that_another_session_claimed_since() -> None:
    after = view("ended", undo_until_us=5_900, streams=("x", "y"), claimed_since=frozenset({"y"}))
    effects = decide(after, command(Verb.UNDO_END), 5_100, UNDO).effects
    assert effects == (
        Effect(EffectKind.REOPEN_CLAIM, 5_100, "x"),
        Effect(EffectKind.LEAVE_CLOSED, 5_100, "y"),
    )
    gone = dataclasses.replace(after, claimed_since=frozenset({"x", "y"}))
    with pytest.raises(Conflict, match="claimed every stream"):
        decide(gone, command(Verb.UNDO_END), 5_100, UNDO)


def test_seal_is_refused_only_for_damage_and_the_clockwork_waits_for_the_window() -> None:
    after = view("ended", undo_until_us=5_900)
    assert decide(after, command(Verb.SEAL), 5_000, UNDO).effects == (
        Effect(EffectKind.WRITE_RECORD, 5_000, "close"),
    )
    with pytest.raises(Conflict, match="can still be undone"):
        decide(after, command(Verb.SEAL, None), 5_899, UNDO)
    assert decide(after, command(Verb.SEAL, None), 5_900, UNDO).new_state == "sealed"
    broken = dataclasses.replace(after, damaged=("stream x segment 7",))
    with pytest.raises(DamageFound, match="stream x segment 7"):
        decide(broken, command(Verb.SEAL), 5_900, UNDO)


def test_what_the_clockwork_does() -> None:
    nothing = Due(None, frozenset())
    assert due_transition(view("scheduled"), FROM - 1) == nothing
    assert due_transition(view("scheduled"), FROM) == Due(Verb.START, frozenset())
    # However late it looks.
    assert due_transition(view("scheduled"), TO + 10**9).verb == Verb.START
    waiting = view("scheduled", occupied_by=("a",))
    assert due_transition(waiting, FROM) == Due(None, frozenset({AlarmKind.OVERLAP}))
    assert due_transition(waiting, FROM - 1) == nothing
    for condition in Condition:
        assert due_transition(view("recording", condition), TO - 1) == nothing
        late = due_transition(view("recording", condition), TO + 10**9)
        assert late == Due(None, frozenset({AlarmKind.OVERRUN}))
    ended = view("ended", undo_until_us=TO)
    assert due_transition(ended, TO - 1) == nothing
    assert due_transition(ended, TO) == Due(Verb.SEAL, frozenset())
    broken = dataclasses.replace(ended, damaged=("x",))
    assert due_transition(broken, TO) == Due(None, frozenset({AlarmKind.SEAL_REFUSED}))
    for state in ("sealed", "archived", "transferred", "disposed", "cancelled"):
        assert due_transition(view(state), 10**15) == nothing


@pytest.mark.parametrize("state", SessionState)
def test_whatever_is_due_is_allowed(state: SessionState) -> None:
    for condition, now in itertools.product(Condition, (0, FROM, TO, 10**9)):
        case = view(state, condition, undo_until_us=TO)
        due = due_transition(case, now)
        if due.verb:
            decide(case, Command(due.verb, None), now, UNDO)


def test_classified_is_refused_until_two_persons_can_approve_it() -> None:
    refuse_classified(False)
    with pytest.raises(InvalidInput) as caught:
        refuse_classified(True)
    assert caught.value.status == 422
    assert "classified" in caught.value.fields
