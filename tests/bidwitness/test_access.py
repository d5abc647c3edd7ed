"""The authorisation table: every role × action × medium × kind of room, and what narrows it."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.access import (
    PROTECTED_ROOMS,
    Context,
    Grant,
    Ground,
    Person,
    Presence,
    is_protected,
    may,
)
from bidwitness.intervals import Interval
from bidwitness.words import (
    Action,
    ClaimClass,
    LotPhase,
    Medium,
    Role,
    RoomKind,
    SessionKind,
    SessionState,
)

NOW = 1000
SPAN = Interval(100, 200)
RUNNING = Presence(
    "s1", SessionKind.OPENING, SessionState.RECORDING, SPAN, phases=(LotPhase.OPENING,)
)
SEALED = dataclasses.replace(RUNNING, state=SessionState.SEALED)
EVALUATION = dataclasses.replace(
    RUNNING, kind=SessionKind.EVALUATION, phases=(LotPhase.EVALUATING,)
)
GRANT = Grant("g", "s1", frozenset(Medium), frozenset(Action))
SUPERVISOR = Person("u1", frozenset({Role.SUPERVISOR}))
AUDITOR = Person("u2", frozenset({Role.AUDITOR}), (GRANT,))


def at(*presences: Presence, room: RoomKind = RoomKind.OPENING, span: Interval = SPAN) -> Context:
    return Context("x", span, room, presences)


def allowed(who: Person, medium: Medium, action: Action, on: Context) -> bool:
    return may(who, medium, action, on, NOW).allowed


def test_the_supervisors_table() -> None:
    seen = {Medium.PICTURE, Medium.SOUND}
    for medium, action in itertools.product(Medium, Action):
        watching = action in (Action.LIVE, Action.REWIND)
        assert allowed(SUPERVISOR, medium, action, at(RUNNING)) is watching
        protected = allowed(SUPERVISOR, medium, action, at(EVALUATION))
        assert protected is (watching and medium in seen)
        unclaimed = allowed(SUPERVISOR, medium, action, at())
        assert unclaimed is (action == Action.LIVE and medium in seen)


def test_supervisors_rewind_only_what_runs() -> None:
    verdict = may(SUPERVISOR, Medium.PICTURE, Action.REWIND, at(SEALED), NOW)
    assert (verdict.allowed, verdict.ground) == (False, Ground.NOT_RUNNING)
    # A part that belongs to no session is nobody's to rewind.
    half = at(dataclasses.replace(RUNNING, interval=Interval(150, 200)))
    assert may(SUPERVISOR, Medium.PICTURE, Action.REWIND, half, NOW).ground == Ground.UNCLAIMED
    assert allowed(SUPERVISOR, Medium.PICTURE, Action.LIVE, half)


@pytest.mark.parametrize("state", [SessionState.RECORDING, SessionState.SEALED])
def test_the_auditors_table(state: SessionState) -> None:
    on = at(dataclasses.replace(EVALUATION, state=state))
    for medium, action in itertools.product(Medium, Action):
        by_grant = action in (Action.REPLAY, Action.SNAPSHOT, Action.COPY)
        assert allowed(AUDITOR, medium, action, on) is by_grant


@pytest.mark.parametrize("medium", Medium)
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("room", RoomKind)
def test_who_configures_sees_nothing_whatever_else_she_is(
    medium: Medium, action: Action, room: RoomKind
) -> None:
    admin = Person("u", frozenset(Role), (GRANT,))
    for presence in (RUNNING, SEALED):
        verdict = may(admin, medium, action, at(presence, room=room), NOW)
        assert not verdict.allowed
    assert not may(Person("u", frozenset()), medium, action, at(RUNNING, room=room), NOW).allowed


@pytest.mark.parametrize(
    ("change", "ground"),
    [
        ({"session_id": "s2"}, Ground.OUTSIDE_GRANT),
        ({"media": frozenset({Medium.SOUND})}, Ground.OUTSIDE_GRANT),
        ({"actions": frozenset({Action.COPY})}, Ground.OUTSIDE_GRANT),
        ({"interval": Interval(101, 200)}, Ground.OUTSIDE_GRANT),
        ({"interval": Interval(100, 199)}, Ground.OUTSIDE_GRANT),
        ({"stream_ids": frozenset({"y"})}, Ground.OUTSIDE_GRANT),
        ({"expires_us": NOW}, Ground.NEEDS_GRANT),
        ({"revoked": True}, Ground.NEEDS_GRANT),
        ({"interval": SPAN, "stream_ids": frozenset({"x"}), "expires_us": NOW + 1}, Ground.GRANT),
    ],
)
def test_a_grant_reaches_only_as_far_as_it_says(change: dict[str, object], ground: Ground) -> None:
    grant = dataclasses.replace(GRANT, **change)
    who = dataclasses.replace(AUDITOR, grants=(grant,))
    verdict = may(who, Medium.PICTURE, Action.REPLAY, at(SEALED), NOW)
    assert verdict.ground == ground
    assert verdict.allowed is (ground == Ground.GRANT)
    assert verdict.needs == (() if verdict.allowed else (Action.REPLAY,))


def test_a_grant_gives_nothing_to_a_role_that_has_no_such_row() -> None:
    who = dataclasses.replace(SUPERVISOR, grants=(GRANT,))
    assert not allowed(who, Medium.PICTURE, Action.REPLAY, at(SEALED))


def test_footage_of_two_sessions_needs_both() -> None:
    other = Presence("s2", SessionKind.OPENING, SessionState.SEALED, SPAN, ClaimClass.LINKED)
    verdict = may(AUDITOR, Medium.PICTURE, Action.REPLAY, at(SEALED, other), NOW)
    assert (verdict.allowed, verdict.ground) == (False, Ground.OTHER_SESSION)
    both = dataclasses.replace(
        AUDITOR, grants=(GRANT, dataclasses.replace(GRANT, id="h", session_id="s2"))
    )
    assert allowed(both, Medium.PICTURE, Action.REPLAY, at(SEALED, other))


def test_footage_outside_the_granted_session_is_not_hers() -> None:
    early = at(SEALED, span=Interval(99, 200))
    assert may(AUDITOR, Medium.PICTURE, Action.REPLAY, early, NOW).ground == Ground.UNCLAIMED
    assert may(AUDITOR, Medium.PICTURE, Action.REPLAY, at(), NOW).ground == Ground.UNCLAIMED


def test_a_mere_booking_makes_the_room_stricter_but_owns_nothing() -> None:
    booked = dataclasses.replace(EVALUATION, session_id="s2", klass=None)
    assert not allowed(SUPERVISOR, Medium.SCREEN, Action.LIVE, at(RUNNING, booked))
    assert allowed(SUPERVISOR, Medium.PICTURE, Action.LIVE, at(RUNNING, booked))
    assert allowed(AUDITOR, Medium.PICTURE, Action.REPLAY, at(SEALED, booked))


def test_secrecy_is_the_strictest_of_room_sessions_and_phases() -> None:
    assert not is_protected(at(RUNNING))
    assert is_protected(at(EVALUATION))
    assert is_protected(at(RUNNING, room=RoomKind.EVALUATION))
    over = dataclasses.replace(EVALUATION, phases=(LotPhase.RESULT_PUBLISHED,))
    assert not is_protected(at(over))
    assert is_protected(at(dataclasses.replace(over, phases=(*over.phases, LotPhase.FAILED))))
    assert is_protected(at(over, dataclasses.replace(EVALUATION, klass=None)))
    for room in PROTECTED_ROOMS:
        assert is_protected(at(room=room))


def test_classified_time_and_rest_rooms_are_closed_to_everyone() -> None:
    secret = dataclasses.replace(SEALED, classified=True)
    verdict = may(AUDITOR, Medium.PICTURE, Action.REPLAY, at(secret), NOW)
    assert (verdict.allowed, verdict.ground) == (False, Ground.CLASSIFIED)
    rest = may(SUPERVISOR, Medium.PICTURE, Action.LIVE, at(RUNNING, room=RoomKind.REST), NOW)
    assert (rest.allowed, rest.ground) == (False, Ground.PRIVATE_ROOM)
    assert rest.reason == "休息室不得监控"


people = st.builds(
    Person,
    st.just("u"),
    st.frozensets(st.sampled_from(Role)),
    st.lists(
        st.builds(
            Grant,
            st.just("g"),
            st.sampled_from(["s1", "s2"]),
            st.frozensets(st.sampled_from(Medium)),
            st.frozensets(st.sampled_from(Action)),
            st.none() | st.just(SPAN),
        ),
        max_size=2,
    ).map(tuple),
)
presences = st.builds(
    Presence,
    st.sampled_from(["s1", "s2"]),
    st.sampled_from(SessionKind),
    st.sampled_from(SessionState),
    st.sampled_from([SPAN, Interval(100, 150), Interval(0, 300)]),
    st.none() | st.sampled_from(ClaimClass),
    st.lists(st.sampled_from(LotPhase), max_size=2).map(tuple),
    st.booleans(),
)


@given(
    people,
    st.sampled_from(Medium),
    st.sampled_from(Action),
    st.sampled_from(RoomKind),
    st.lists(presences, max_size=2),
    presences,
)
def test_one_session_more_never_opens_what_others_close(
    who: Person,
    medium: Medium,
    action: Action,
    room: RoomKind,
    there: list[Presence],
    more: Presence,
) -> None:
    # Footage nobody claims is the one thing that a claim opens (to those who may see it).
    if not any(p.klass is not None and p.interval == Interval(0, 300) for p in there):
        there = [*there, dataclasses.replace(RUNNING, interval=Interval(0, 300))]
    fewer, all_of_them = at(*there, room=room), at(*there, more, room=room)
    if may(who, medium, action, all_of_them, NOW).allowed:
        assert may(who, medium, action, fewer, NOW).allowed or more.session_id == "s1"
