"""The authorisation table: every role × action × medium × kind of room, and what narrows it."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.access import (
    Context,
    Grant,
    Ground,
    Person,
    Presence,
    is_protected,
    may,
    nearest,
)
from bidwitness.intervals import Interval
from bidwitness.rights import CLOSED_ROOMS, Duty, Matter, RightsPolicy, Scope
from bidwitness.words import (
    Action,
    ClaimClass,
    LotPhase,
    Medium,
    ProjectCategory,
    Role,
    RoomKind,
    SessionKind,
    SessionState,
)

NOW = 1000
SPAN = Interval(100, 200)
MATTER = Matter("p1", ProjectCategory.CONSTRUCTION, "住建局")
RUNNING = Presence(
    *("s1", SessionKind.OPENING, SessionState.RECORDING, SPAN),
    phases=(LotPhase.OPENING,),
    matters=frozenset({MATTER}),
)
SEALED = dataclasses.replace(RUNNING, state=SessionState.SEALED)
EVALUATION = dataclasses.replace(
    RUNNING, kind=SessionKind.EVALUATION, phases=(LotPhase.EVALUATING,)
)
GRANT = Grant("g", "s1", frozenset(Medium), frozenset(Action), department=True)
DUTY = Duty(0, NOW + 1, "住建局")
SUPERVISOR = Person("u1", frozenset({Role.SUPERVISOR}), duties=(DUTY,))
AUDITOR = Person("u2", frozenset({Role.AUDITOR}), (GRANT,))


def at(*presences: Presence, room: RoomKind = RoomKind.OPENING, span: Interval = SPAN) -> Context:
    return Context("x", span, room, presences)


def allowed(who: Person, medium: Medium, action: Action, on: Context) -> bool:
    return may(who, medium, action, on, NOW).allowed


def test_the_supervisors_table() -> None:
    seen = {Medium.PICTURE, Medium.SOUND}
    near = dataclasses.replace(at(), near=(RUNNING,))
    closed = dataclasses.replace(near, room_kind=RoomKind.CORRIDOR)
    for medium, action in itertools.product(Medium, Action):
        watching = action in (Action.LIVE, Action.REWIND) and medium in seen
        for on in (at(RUNNING), at(EVALUATION)):
            assert allowed(SUPERVISOR, medium, action, on) is watching
        idle = watching and action == Action.LIVE
        assert allowed(SUPERVISOR, medium, action, near) is idle
        # Of a place whose talk is secret nobody hears what no session needs.
        assert allowed(SUPERVISOR, medium, action, closed) is (idle and medium != Medium.SOUND)


def test_the_attestors_table() -> None:
    assigned = ((Role.ATTESTOR, Scope(session_id="s1")),)
    attestor = Person("u", frozenset({Role.ATTESTOR}), scopes=assigned)
    hears = dataclasses.replace(attestor, policy=RightsPolicy(attestors_hear=True))
    stranger = dataclasses.replace(attestor, scopes=())
    other = dataclasses.replace(attestor, scopes=((Role.ATTESTOR, Scope(session_id="s2")),))
    for medium, action in itertools.product(Medium, Action):
        watching = action in (Action.LIVE, Action.REWIND)
        heard = watching and medium in (Medium.PICTURE, Medium.SOUND)
        assert allowed(attestor, medium, action, at(RUNNING)) is heard
        assert allowed(hears, medium, action, at(EVALUATION)) is heard
        seen = watching and medium == Medium.PICTURE
        assert allowed(attestor, medium, action, at(EVALUATION)) is seen
        assert not allowed(attestor, medium, action, at())
        for nobody in (stranger, other):
            assert not allowed(nobody, medium, action, at(RUNNING))


def test_the_venues_table() -> None:
    venue = Person("u", frozenset({Role.VENUE}), (GRANT,))
    for medium, action in itertools.product(Medium, Action):
        live = (medium, action) == (Medium.PICTURE, Action.LIVE)
        assert allowed(venue, medium, action, at(RUNNING)) is live
        assert not allowed(venue, medium, action, at(EVALUATION))
        # However public the result: the room is closed while somebody sits in it.
        over = dataclasses.replace(EVALUATION, phases=(LotPhase.RESULT_PUBLISHED,))
        assert not allowed(venue, medium, action, at(over))
        assert not allowed(venue, medium, action, at())


@pytest.mark.parametrize(
    "role", [Role.OPERATOR, Role.DIRECTOR, Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN]
)
def test_who_never_sees_anything(role: Role) -> None:
    who = Person("u", frozenset({role}), (GRANT,), duties=(DUTY,))
    for medium, action, presence in itertools.product(Medium, Action, (RUNNING, SEALED)):
        assert not allowed(who, medium, action, at(presence))


def test_an_archivist_copies_what_was_granted_and_sees_nothing() -> None:
    who = Person("u", frozenset({Role.ARCHIVIST}), (GRANT,))
    for medium, action in itertools.product(Medium, Action):
        assert allowed(who, medium, action, at(SEALED)) is (action == Action.COPY)


def test_a_supervisor_has_the_screen_by_request() -> None:
    who = dataclasses.replace(SUPERVISOR, grants=(GRANT,))
    assert allowed(who, Medium.SCREEN, Action.LIVE, at(EVALUATION))
    assert not allowed(who, Medium.SCREEN, Action.LIVE, at(SEALED))
    assert not allowed(who, Medium.SCREEN, Action.COPY, at(SEALED))


@pytest.mark.parametrize(
    ("duty", "ground"),
    [
        (DUTY, Ground.ROLE),
        (Duty(0, NOW, "住建局"), Ground.NOT_ON_DUTY),
        (Duty(NOW + 1, NOW + 9, "住建局"), Ground.NOT_ON_DUTY),
        (Duty(0, NOW + 1, "财政局"), Ground.NOT_ON_DUTY),
        (Duty(0, NOW + 1, "住建局", frozenset({ProjectCategory.LAND})), Ground.NOT_ON_DUTY),
        (Duty(0, NOW + 1, "住建局", frozenset({ProjectCategory.CONSTRUCTION})), Ground.ROLE),
        (Duty(0, NOW + 1, "住建局", projects=frozenset({"p2"})), Ground.NOT_ON_DUTY),
        (Duty(0, NOW + 1, "住建局", projects=frozenset({"p1"})), Ground.ROLE),
    ],
)
def test_duty_is_for_a_time_and_a_matter(duty: Duty, ground: Ground) -> None:
    who = dataclasses.replace(SUPERVISOR, duties=(duty,))
    assert may(who, Medium.PICTURE, Action.LIVE, at(RUNNING), NOW).ground == ground
    free = dataclasses.replace(who, policy=RightsPolicy(supervisors_need_duty=False))
    assert allowed(free, Medium.PICTURE, Action.LIVE, at(RUNNING))


def test_duty_wants_all_of_what_a_session_is_about() -> None:
    other = dataclasses.replace(MATTER, project_id="p2", department="财政局")
    both = dataclasses.replace(RUNNING, matters=frozenset({MATTER, other}))
    assert not allowed(SUPERVISOR, Medium.PICTURE, Action.LIVE, at(both))
    unknown = dataclasses.replace(RUNNING, matters=frozenset())
    assert not allowed(SUPERVISOR, Medium.PICTURE, Action.LIVE, at(unknown))
    anybodys = dataclasses.replace(
        RUNNING, matters=frozenset({dataclasses.replace(MATTER, department=None)})
    )
    assert allowed(SUPERVISOR, Medium.PICTURE, Action.LIVE, at(anybodys))


@pytest.mark.parametrize(
    ("scope", "fits"),
    [
        (Scope(site_id="here"), True),
        (Scope(site_id="there"), False),
        (Scope(room_kind=RoomKind.OPENING), True),
        (Scope(room_kind=RoomKind.AUCTION), False),
        (Scope(category=ProjectCategory.CONSTRUCTION), True),
        (Scope(category=ProjectCategory.LAND), False),
        (Scope(department="住建局"), True),
        (Scope(department="财政局"), False),
        (Scope(session_id="s1"), True),
        (Scope(session_id="s2"), False),
        (Scope(site_id="here", department="财政局"), False),
    ],
)
def test_a_role_holds_within_its_scope(scope: Scope, fits: bool) -> None:
    on = dataclasses.replace(at(RUNNING), site_id="here")
    who = dataclasses.replace(SUPERVISOR, scopes=((Role.SUPERVISOR, scope),))
    verdict = may(who, Medium.PICTURE, Action.LIVE, on, NOW)
    assert verdict.ground == (Ground.ROLE if fits else Ground.OUTSIDE_SCOPE)
    # A scope of another role says nothing; a second one of the same role is an alternative.
    other = dataclasses.replace(who, scopes=((Role.VENUE, scope),))
    assert allowed(other, Medium.PICTURE, Action.LIVE, on)
    either = dataclasses.replace(who, scopes=(*who.scopes, (Role.SUPERVISOR, Scope("here"))))
    assert allowed(either, Medium.PICTURE, Action.LIVE, on)


def test_what_is_secret_still_needs_the_department() -> None:
    alone = dataclasses.replace(AUDITOR, grants=(dataclasses.replace(GRANT, department=False),))
    secret = at(dataclasses.replace(EVALUATION, state=SessionState.SEALED))
    for action in (Action.REPLAY, Action.SNAPSHOT, Action.COPY):
        verdict = may(alone, Medium.PICTURE, action, secret, NOW)
        assert (verdict.allowed, verdict.ground) == (False, Ground.NEEDS_DEPARTMENT)
        assert allowed(AUDITOR, Medium.PICTURE, action, secret)
        assert allowed(alone, Medium.PICTURE, action, at(SEALED))
        over = dataclasses.replace(
            EVALUATION, state=SessionState.SEALED, phases=(LotPhase.RESULT_PUBLISHED,)
        )
        assert allowed(alone, Medium.PICTURE, action, at(over))
        small = dataclasses.replace(alone, policy=RightsPolicy(department_approves=False))
        assert allowed(small, Medium.PICTURE, action, secret)


def test_supervisors_rewind_only_what_runs() -> None:
    verdict = may(SUPERVISOR, Medium.PICTURE, Action.REWIND, at(SEALED), NOW)
    assert (verdict.allowed, verdict.ground) == (False, Ground.NOT_RUNNING)
    # A part that belongs to no session is nobody's to rewind.
    half = at(dataclasses.replace(RUNNING, interval=Interval(150, 200)))
    assert may(SUPERVISOR, Medium.PICTURE, Action.REWIND, half, NOW).ground == Ground.UNCLAIMED
    assert allowed(SUPERVISOR, Medium.PICTURE, Action.LIVE, half)
    assert not allowed(SUPERVISOR, Medium.PICTURE, Action.LIVE, at())


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
    who = Person("u", frozenset({Role.ATTESTOR}), (GRANT,))
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
    for room in CLOSED_ROOMS:
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
            department=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    st.lists(
        st.tuples(
            st.sampled_from(Role),
            st.sampled_from([Scope(session_id="s1"), Scope(department="住建局"), Scope()]),
        ),
        max_size=2,
    ).map(tuple),
    st.sampled_from([(), (DUTY,)]),
    st.builds(RightsPolicy, st.booleans(), st.booleans(), st.booleans()),
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
    st.sampled_from([frozenset(), frozenset({MATTER})]),
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


def test_what_came_nearest_to_a_yes_is_told() -> None:
    assert nearest([Ground.PRIVATE_ROOM, Ground.NOT_ON_DUTY, Ground.NO_RULE]) == Ground.NOT_ON_DUTY
    assert nearest([Ground.CLASSIFIED, Ground.PRIVATE_ROOM]) == Ground.CLASSIFIED
    assert nearest([]) == Ground.NO_RULE
