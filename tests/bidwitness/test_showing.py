"""What a display may show: place × kind of room × kind of sitting × who is on duty × medium."""

import dataclasses
import itertools

import pytest

from bidwitness.access import Context, Grant, Ground, Person, Presence, may
from bidwitness.intervals import Interval
from bidwitness.rights import (
    BY_DISPLAY,
    CLOSED_ROOMS,
    Duty,
    Matter,
    RightsPolicy,
    Scope,
    Whence,
)
from bidwitness.showing import Screen, may_show
from bidwitness.words import (
    Action,
    Medium,
    ProjectCategory,
    Role,
    RoomKind,
    SessionKind,
    SessionState,
)

NOW = 1000
INSTANT = Interval(NOW, NOW + 1)
MATTER = Matter("p1", ProjectCategory.CONSTRUCTION, "住建局")
OPENING = Presence(
    *("s1", SessionKind.OPENING, SessionState.RECORDING, Interval(0, 2000)),
    matters=frozenset({MATTER}),
)
EVALUATION = dataclasses.replace(OPENING, kind=SessionKind.EVALUATION)
GUARD = Person("zhou", frozenset({Role.SUPERVISOR}), duties=(Duty(0, 2000, "住建局"),))
OTHER = Person("wu", frozenset({Role.SUPERVISOR}), duties=(Duty(0, 2000, "水利局"),))
WALL = Screen("d1", True, (GUARD,), RightsPolicy())
HALL = dataclasses.replace(WALL, in_supervision=False)


def at(*presences: Presence, room: RoomKind = RoomKind.OPENING) -> Context:
    return Context("x", INSTANT, room, presences, site_id="site", near=presences, room_id="r1")


def shows(screen: Screen, on: Context, medium: Medium = Medium.PICTURE) -> bool:
    return may_show(screen, on, NOW, medium).allowed


def test_the_whole_table() -> None:
    for supervision, room, sitting, medium, watched in itertools.product(
        (True, False), RoomKind, (OPENING, EVALUATION, None), Medium, (True, False)
    ):
        screen = dataclasses.replace(
            WALL, in_supervision=supervision, attending=(GUARD, OTHER) if watched else (OTHER,)
        )
        # Between sessions somebody is on duty because one is near.
        on = at(*[sitting] if sitting else [], room=room)
        on = dataclasses.replace(on, near=on.near or (OPENING,))
        closed = room in CLOSED_ROOMS or sitting is EVALUATION
        wanted = (
            medium == Medium.PICTURE
            and room != RoomKind.REST
            and watched
            and (supervision or not closed)
        )
        assert shows(screen, on, medium) is wanted, (supervision, room, sitting, medium, watched)


def test_live_pictures_are_all_that_any_display_is_given() -> None:
    for actions in BY_DISPLAY.values():
        assert set(actions) == {Action.LIVE}
        for cell in actions.values():
            assert cell.open | cell.closed | cell.idle | cell.idle_closed == {Medium.PICTURE}


def test_it_shows_no_more_than_whoever_is_on_duty_may_watch() -> None:
    for room, state, classified in itertools.product(RoomKind, SessionState, (True, False)):
        sitting = dataclasses.replace(EVALUATION, state=state)
        on = dataclasses.replace(at(sitting, room=room), classified=classified)
        if shows(WALL, on):
            assert may(GUARD, Medium.PICTURE, Action.LIVE, on, NOW).allowed


def test_it_says_who_is_on_duty_for_it_and_why_not() -> None:
    both = dataclasses.replace(WALL, attending=(GUARD, OTHER))
    assert may_show(both, at(EVALUATION), NOW).on_duty == ("zhou",)
    nobody = dataclasses.replace(WALL, attending=(OTHER,))
    assert may_show(nobody, at(EVALUATION), NOW).verdict.ground == Ground.NOBODY_ON_DUTY
    assert may_show(HALL, at(EVALUATION), NOW).verdict.ground == Ground.NO_RULE
    assert may_show(WALL, at(OPENING), NOW, Medium.SOUND).verdict.ground == Ground.NO_RULE
    ended = dataclasses.replace(OPENING, state=SessionState.SEALED)
    assert may_show(WALL, at(ended), NOW).verdict.ground == Ground.NOT_RUNNING


def test_nothing_of_what_is_classified() -> None:
    for policy in (RightsPolicy(), RightsPolicy(supervisors_need_duty=False)):
        screen = dataclasses.replace(WALL, policy=policy)
        assert shows(screen, at(OPENING))
        hidden = dataclasses.replace(at(OPENING), classified=True)
        assert may_show(screen, hidden, NOW).verdict.ground == Ground.CLASSIFIED


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (Scope(site_id="site"), True),
        (Scope(site_id="elsewhere"), False),
        (Scope(room_kind=RoomKind.OPENING), True),
        (Scope(room_kind=RoomKind.AUCTION), False),
        (Scope(category=ProjectCategory.CONSTRUCTION), True),
        (Scope(category=ProjectCategory.LAND), False),
        (Scope(department="住建局"), True),
        (Scope(department="水利局"), False),
    ],
)
def test_its_scope_narrows_it_whoever_is_on_duty(scope: Scope, inside: bool) -> None:
    for policy in (RightsPolicy(), RightsPolicy(supervisors_need_duty=False)):
        screen = dataclasses.replace(WALL, scope=scope, policy=policy)
        assert shows(screen, at(OPENING)) is inside
        elsewhere = dataclasses.replace(screen, room_ids=frozenset({"r2"}))
        assert not shows(elsewhere, at(OPENING))
        here = dataclasses.replace(screen, room_ids=frozenset({"r1", "r2"}))
        assert shows(here, at(OPENING)) is inside


def test_without_the_need_of_duty_its_scope_decides() -> None:
    free = dataclasses.replace(WALL, attending=(), policy=RightsPolicy(supervisors_need_duty=False))
    assert shows(free, at(EVALUATION))
    assert shows(free, at(room=RoomKind.EVALUATION))
    assert not shows(dataclasses.replace(free, in_supervision=False), at(EVALUATION))


def test_what_somebody_was_granted_or_sees_by_her_scope_alone_attends_nothing() -> None:
    grant = Grant("g", "s1", frozenset(Medium), frozenset(Action))
    granted = dataclasses.replace(OTHER, grants=(grant,))
    outside = dataclasses.replace(
        GUARD, scopes=((Role.SUPERVISOR, Scope(category=ProjectCategory.LAND)),)
    )
    for person in (granted, outside):
        assert not shows(dataclasses.replace(WALL, attending=(person,)), at(OPENING))


def test_where_duty_is_done_is_not_asked_of_whoever_attends() -> None:
    """She sits somewhere; the display is a post itself."""
    posts = RightsPolicy(duty_at_posts=True)
    guard = dataclasses.replace(GUARD, policy=posts)
    assert shows(dataclasses.replace(WALL, attending=(guard,), policy=posts), at(EVALUATION))


def test_duty_is_done_at_a_post_where_the_centre_wants_it() -> None:
    posts = RightsPolicy(duty_at_posts=True)
    for need in (True, False):
        who = dataclasses.replace(
            GUARD, policy=dataclasses.replace(posts, supervisors_need_duty=need)
        )
        for medium, action in itertools.product(Medium, (Action.LIVE, Action.REWIND)):
            if medium == Medium.SCREEN:
                continue
            away = may(who, medium, action, at(OPENING), NOW)
            assert (away.allowed, away.ground) == (False, Ground.NOT_AT_POST)
            for whence in (Whence(display_id="d1"), Whence("10.1.2.3", None, ("10.1.2.0/24",))):
                there = dataclasses.replace(who, whence=whence)
                assert may(there, medium, action, at(OPENING), NOW).allowed
    # What she was granted she sees anywhere, and off duty she is told that.
    grant = Grant("g", "s1", frozenset(Medium), frozenset(Action))
    granted = dataclasses.replace(GUARD, policy=posts, grants=(grant,))
    assert may(granted, Medium.PICTURE, Action.LIVE, at(OPENING), NOW).ground == Ground.GRANT
    off = dataclasses.replace(GUARD, policy=posts, duties=())
    assert may(off, Medium.PICTURE, Action.LIVE, at(OPENING), NOW).ground == Ground.NOT_ON_DUTY
