"""Break-glass stands in for a turn of duty, and for nothing else; its review is due on a working day."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bidwitness.access import Context, Grant, Ground, Person, Presence, Verdict, may
from bidwitness.break_glass import media_to_take, review_due_us
from bidwitness.errors import Conflict, Forbidden
from bidwitness.intervals import Interval
from bidwitness.rights import RightsPolicy, Scope
from bidwitness.words import Action, Medium, Role, RoomKind, SessionKind, SessionState

NOW = 1_000
SPAN = Interval(0, 2_000)
TAKEN = Grant(
    id="g1",
    session_id="s1",
    media=frozenset({Medium.PICTURE, Medium.SOUND}),
    actions=frozenset({Action.LIVE, Action.REWIND}),
    expires_us=NOW + 60,
    break_glass=True,
)
ZHOU = Person("zhou", frozenset({Role.SUPERVISOR}), (TAKEN,))


def at(*sessions: str, room: RoomKind = RoomKind.EVALUATION, **more: object) -> Context:
    found = tuple(
        Presence(one, SessionKind.EVALUATION, SessionState.RECORDING, SPAN) for one in sessions
    )
    found = tuple(replace(one, **more) for one in found)  # type: ignore[arg-type]  # fields by name
    return Context("st", Interval(NOW, NOW + 1), room, found)


def asked(who: Person, on: Context, action: Action = Action.LIVE, now_us: int = NOW) -> Ground:
    verdict = may(who, Medium.PICTURE, action, on, now_us)
    assert verdict.allowed is (verdict.ground in (Ground.BREAK_GLASS, Ground.ROLE, Ground.GRANT))
    return verdict.ground


def test_it_shows_what_a_turn_of_duty_would_and_ends_at_its_time() -> None:
    for action in (Action.LIVE, Action.REWIND):
        assert asked(ZHOU, at("s1"), action) == Ground.BREAK_GLASS
        assert asked(ZHOU, at("s1"), action, NOW + 60) == Ground.NOT_ON_DUTY
    assert asked(ZHOU, at("s1"), Action.REPLAY) == Ground.NEEDS_GRANT
    revoked = replace(ZHOU, grants=(replace(TAKEN, revoked=True),))
    assert asked(revoked, at("s1")) == Ground.NOT_ON_DUTY


@pytest.mark.parametrize(
    ("on", "ground"),
    [
        (at("s2"), Ground.NOT_ON_DUTY),
        (at("s1", "s2"), Ground.NOT_ON_DUTY),
        (at(), Ground.NOT_ON_DUTY),
        (at("s1", state=SessionState.SEALED), Ground.NOT_RUNNING),
        (at("s1", classified=True), Ground.CLASSIFIED),
        (at("s1", room=RoomKind.REST), Ground.PRIVATE_ROOM),
    ],
)
def test_it_reaches_over_its_own_running_session_alone(on: Context, ground: Ground) -> None:
    assert asked(ZHOU, on) == ground


def test_it_lifts_neither_the_scope_nor_the_role_nor_a_no_of_the_centre() -> None:
    scoped = replace(ZHOU, scopes=((Role.SUPERVISOR, Scope(department="财政局")),))
    assert asked(scoped, at("s1")) == Ground.OUTSIDE_SCOPE
    assert asked(replace(ZHOU, roles=frozenset({Role.AUDITOR})), at("s1")) == Ground.NO_RULE
    assert asked(replace(ZHOU, roles=frozenset({Role.SECURITY_ADMIN})), at("s1")) == Ground.ADMIN
    forbidden = replace(ZHOU, policy=RightsPolicy(break_glass=False))
    assert asked(forbidden, at("s1")) == Ground.NOT_ON_DUTY
    silent = replace(ZHOU, grants=(replace(TAKEN, media=frozenset({Medium.SOUND})),))
    assert asked(silent, at("s1")) == Ground.NOT_ON_DUTY


OFF_DUTY = (Medium.PICTURE, Verdict(False, Ground.NOT_ON_DUTY))
HERS = (Medium.PICTURE, Verdict(True, Ground.ROLE))
CLASSIFIED = (Medium.PICTURE, Verdict(False, Ground.CLASSIFIED))


def test_she_takes_what_lacks_a_turn_of_duty() -> None:
    sound = (Medium.SOUND, Verdict(False, Ground.NO_RULE))
    taken = media_to_take(ZHOU, [OFF_DUTY, sound], standing=False, overdue=False)
    assert set(taken) == {Medium.PICTURE}
    for verdicts, error in (([HERS], Conflict), ([], Conflict), ([CLASSIFIED], Forbidden)):
        with pytest.raises(error):
            media_to_take(ZHOU, verdicts, standing=False, overdue=False)
    with pytest.raises(Conflict, match="already"):
        media_to_take(ZHOU, [OFF_DUTY], standing=True, overdue=False)
    with pytest.raises(Forbidden, match="reviewed"):
        media_to_take(ZHOU, [OFF_DUTY], standing=False, overdue=True)
    forbidden = replace(ZHOU, policy=RightsPolicy(break_glass=False))
    with pytest.raises(Forbidden, match="switched off"):
        media_to_take(forbidden, [OFF_DUTY], standing=False, overdue=False)


@pytest.mark.parametrize(
    ("taken", "due"),
    [
        # A Monday: Tuesday, Wednesday, Thursday, to its last instant in the centre's time.
        ("2026-03-02T02:00:00", "2026-03-05T16:00:00"),
        # A Friday evening in UTC is a Saturday here: the weekend does not count.
        ("2026-03-06T20:00:00", "2026-03-11T16:00:00"),
        ("2026-03-06T02:00:00", "2026-03-11T16:00:00"),
    ],
)
def test_the_review_is_due_after_three_working_days(taken: str, due: str) -> None:
    def us(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000

    assert review_due_us(us(taken), 3) == us(due)
