from hypothesis import given
from hypothesis import strategies as st

from bidwitness.access import Grant, Ground, Person, may
from bidwitness.intervals import Interval
from bidwitness.items import Item
from bidwitness.player.rights import permission
from bidwitness.rights import RightsPolicy
from bidwitness.storage.sights import Concern, StreamView
from bidwitness.words import (
    Action,
    ClaimClass,
    LotPhase,
    Medium,
    Role,
    RoomKind,
    SessionKind,
    SessionState,
    StreamRole,
)

END = 30
SESSIONS = ("a", "b", "c")
SEEING = (Action.REPLAY, Action.REWIND)

intervals = st.builds(
    lambda start, length: Interval(start, start + length), st.integers(0, END), st.integers(1, 12)
)
concerns = st.builds(
    Concern,
    session_id=st.sampled_from(SESSIONS),
    kind=st.sampled_from([SessionKind.OPENING, SessionKind.EVALUATION]),
    state=st.sampled_from([SessionState.RECORDING, SessionState.SEALED]),
    interval=intervals,
    klass=st.sampled_from([*ClaimClass, None]),
    items=st.lists(
        st.builds(
            Item,
            st.just("lot"),
            st.sampled_from([LotPhase.EVALUATING, LotPhase.ENDED]),
            st.none() | intervals,
        ),
        max_size=2,
    ).map(tuple),
)
grants = st.builds(
    Grant,
    id=st.just("g"),
    session_id=st.sampled_from(SESSIONS),
    media=st.sampled_from([frozenset(Medium), frozenset({Medium.PICTURE})]),
    actions=st.just(frozenset({Action.REPLAY})),
    interval=st.none() | intervals,
    revoked=st.booleans(),
    department=st.booleans(),
)
people = st.builds(
    Person,
    user_id=st.just("u"),
    roles=st.sampled_from([frozenset({Role.AUDITOR}), frozenset({Role.SUPERVISOR})]),
    grants=st.lists(grants, max_size=3).map(tuple),
    policy=st.sampled_from([RightsPolicy(), RightsPolicy(supervisors_need_duty=False)]),
)


def view_of(found: list[Concern], kind: RoomKind = RoomKind.OPENING) -> StreamView:
    return StreamView(
        *("s", StreamRole.MAIN, (Medium.PICTURE,), (), "c", "camera", "r", "room"),
        room_kind=kind,
        concerns=tuple(found),
    )


@given(
    people,
    st.lists(concerns, max_size=4),
    st.sampled_from([RoomKind.OPENING, RoomKind.EVALUATION, RoomKind.REST]),
    st.sampled_from([Medium.PICTURE, Medium.SOUND]),
    st.lists(intervals, min_size=1, max_size=2),
    st.none() | st.sampled_from(SESSIONS),
)
def test_what_is_shown_is_what_may_allows_at_each_instant(
    who: Person,
    found: list[Concern],
    kind: RoomKind,
    medium: Medium,
    wanted: list[Interval],
    session: str | None,
) -> None:
    view = view_of(found, kind)
    given_ = permission(who, medium, SEEING, view, wanted, session, 0)
    for instant in range(END + 13):
        context = view.context(Interval(instant, instant + 1))
        allowed = any(may(who, medium, action, context, 0).allowed for action in SEEING)
        asked = any(interval.contains(instant) for interval in wanted)
        shown = any(span.contains(instant) for span in given_.spans)
        assert shown == (asked and allowed)
        hidden = any(other.contains(instant) for other in given_.others)
        assert hidden or not (asked and not allowed), "what is denied must hide its GOP too"
    for concern in found:
        if session is not None and concern.klass == ClaimClass.OWN:
            mine = concern.session_id == session
            covered = any(
                other.start <= concern.interval.start and concern.interval.end <= other.end
                for other in given_.others
            )
            assert mine or covered, "another session's footage is not another's"


def test_the_ground_is_given() -> None:
    own = Concern("a", SessionKind.OPENING, SessionState.SEALED, Interval(0, 9), ClaimClass.OWN, ())
    grant = Grant("g", "a", frozenset(Medium), frozenset({Action.REPLAY}))
    auditor = Person("u", frozenset({Role.AUDITOR}), (grant,))
    asked = (Medium.PICTURE, SEEING, view_of([own]), [Interval(0, 9)], "a", 0)
    assert permission(auditor, *asked).ground == Ground.GRANT
    nobody = Person("u", frozenset({Role.AUDITOR}))
    assert permission(nobody, *asked).ground in (Ground.NEEDS_GRANT, Ground.NO_RULE)
    admin = Person("u", frozenset({Role.SYSTEM_ADMIN}), (grant,))
    assert permission(admin, *asked).ground == Ground.ADMIN
    assert permission(admin, *asked).spans == ()
