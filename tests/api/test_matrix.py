"""Everybody at every sight: role × scope × duty × grant × medium × action × place × state × phase,
over the wire, against a second table written here by hand.

What the table does not allow is refused, and every sight, had or refused, is in the audit trail.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from support.api import RunningApi, put_on_duty, running_api
from support.clock import FakeClock
from support.factories import a_room, streams_of
from support.places import HOUR, MINUTE, a_claim, a_session
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from bidwitness.access import may
from bidwitness.intervals import Interval
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Booking, Grant, RoleScope, Track, User
from bidwitness.storage.sights import AFTER_US, ENTRY_US, person_of, stream_view
from bidwitness.words import (
    Action,
    BookingRole,
    GrantKind,
    LotPhase,
    Medium,
    ProjectCategory,
    Role,
    RoomKind,
    SessionKind,
    SessionState,
    StreamRole,
)

PICTURE, SOUND, SCREEN = Medium.PICTURE, Medium.SOUND, Medium.SCREEN
RECORDING, SEALED, SCHEDULED = (
    SessionState.RECORDING,
    SessionState.SEALED,
    SessionState.SCHEDULED,
)


# So few are tried over the wire; no number of scenes or media is a multiple of it.
ONE_IN = 13


@dataclass(frozen=True)
class Scene:
    """A room with one stream of all media, and what sits in it. ``state`` empty: nothing."""

    room: RoomKind
    kind: SessionKind = SessionKind.OPENING
    state: SessionState | None = RECORDING
    phase: LotPhase = LotPhase.EVALUATING

    @property
    def closed(self) -> bool:
        return self.kind == SessionKind.EVALUATION or self.room in (
            RoomKind.EVALUATION,
            RoomKind.EXPERT_DRAW,
            RoomKind.SUPERVISION,
            RoomKind.CORRIDOR,
        )

    @property
    def secret(self) -> bool:
        return self.closed and self.phase != LotPhase.RESULT_PUBLISHED


EVALUATION = (RoomKind.EVALUATION, SessionKind.EVALUATION)
SCENES = [
    Scene(RoomKind.OPENING),
    Scene(RoomKind.OPENING, state=SEALED),
    Scene(RoomKind.OPENING, state=SCHEDULED),
    Scene(RoomKind.OPENING, state=None),
    Scene(RoomKind.AUCTION, SessionKind.AUCTION),
    # A closed sitting in a room of another kind, and the other way round.
    Scene(RoomKind.OPENING, SessionKind.EVALUATION),
    Scene(RoomKind.CORRIDOR),
    Scene(RoomKind.CORRIDOR, state=None),
    Scene(RoomKind.SUPERVISION, state=None),
    Scene(RoomKind.EXPERT_DRAW),
    Scene(*EVALUATION),
    Scene(*EVALUATION, phase=LotPhase.RESULT_PUBLISHED),
    Scene(*EVALUATION, state=SEALED),
    Scene(*EVALUATION, state=SEALED, phase=LotPhase.CANDIDATES_PUBLISHED),
    Scene(*EVALUATION, state=SEALED, phase=LotPhase.FAILED),
    Scene(*EVALUATION, state=SEALED, phase=LotPhase.RESULT_PUBLISHED),
    Scene(*EVALUATION, state=SCHEDULED),
    Scene(RoomKind.REST),
]


@dataclass(frozen=True)
class Who:
    """Somebody. ``scope``: none, one that fits, one that does not. ``granted``: these media, by a
    grant that the department has agreed to or not, that stands or has been revoked."""

    role: Role
    scope: bool | None = None
    duty: bool = False
    granted: frozenset[Medium] = frozenset()
    department: bool = True
    revoked: bool = False

    @property
    def username(self) -> str:
        marks = [
            {None: "", True: "in", False: "out"}[self.scope],
            "duty" if self.duty else "",
            "".join(sorted(medium[:2] for medium in self.granted)),
            "" if self.department else "alone",
            "revoked" if self.revoked else "",
        ]
        return "-".join([self.role.value, *filter(None, marks)])


EVERYTHING = frozenset(Medium)
PEOPLE = [
    *(Who(role, granted=EVERYTHING, duty=True) for role in Role if role != Role.SUPERVISOR),
    *(Who(role) for role in Role),
    Who(Role.SUPERVISOR, duty=True),
    Who(Role.SUPERVISOR, duty=True, scope=True),
    Who(Role.SUPERVISOR, duty=True, scope=False),
    Who(Role.SUPERVISOR, granted=frozenset({SCREEN})),
    Who(Role.ATTESTOR, scope=True),
    Who(Role.ATTESTOR, scope=False),
    Who(Role.VENUE, scope=False),
    Who(Role.AUDITOR, granted=frozenset({PICTURE})),
    Who(Role.AUDITOR, granted=EVERYTHING, department=False),
    Who(Role.AUDITOR, granted=EVERYTHING, revoked=True),
    Who(Role.ARCHIVIST, granted=EVERYTHING, department=False),
]


def expected(who: Who, medium: Medium, action: Action, scene: Scene) -> bool:
    """The table, by hand."""
    if scene.room == RoomKind.REST or who.role in (
        Role.SYSTEM_ADMIN,
        Role.SECURITY_ADMIN,
        Role.AUDIT_ADMIN,
        Role.OPERATOR,
        Role.DIRECTOR,
        Role.SERVICE,
    ):
        return False
    return _by_role(who, medium, action, scene) or _by_grant(who, medium, action, scene)


def _by_role(who: Who, medium: Medium, action: Action, scene: Scene) -> bool:
    if who.scope is False or medium == SCREEN:
        return False
    match who.role, action:
        case Role.SUPERVISOR, Action.LIVE if who.duty and scene.state == SCHEDULED:
            return medium == PICTURE or not scene.closed
        case Role.SUPERVISOR, Action.LIVE | Action.REWIND if who.duty:
            return scene.state == RECORDING
        case Role.ATTESTOR, Action.LIVE | Action.REWIND if who.scope:
            return scene.state == RECORDING and (medium == PICTURE or not scene.closed)
        case Role.VENUE, Action.LIVE:
            return scene.state == RECORDING and not scene.closed and medium == PICTURE
    return False


GIVEN = {
    Role.SUPERVISOR: {Action.LIVE, Action.REWIND, Action.REPLAY},
    Role.AUDITOR: {Action.REPLAY, Action.SNAPSHOT, Action.COPY},
    Role.ARCHIVIST: {Action.COPY},
}


def _by_grant(who: Who, medium: Medium, action: Action, scene: Scene) -> bool:
    if medium not in who.granted or who.revoked or action not in GIVEN.get(who.role, ()):
        return False
    if scene.state not in (RECORDING, SEALED):
        return False
    if action in (Action.LIVE, Action.REWIND):
        return scene.state == RECORDING
    return who.department or not scene.secret


@dataclass
class Set:
    """The scenes as they were built, and everybody's token."""

    api: RunningApi
    streams: dict[Scene, str] = field(default_factory=dict)
    sessions: dict[Scene, str] = field(default_factory=dict)
    tokens: dict[Who, str] = field(default_factory=dict)

    def build(self, scene: Scene, now: int) -> None:
        index = self.api.database
        with index.write() as orm:
            room = a_room(orm, f"{len(self.streams)}", scene.room, sub=False)
            (stream,) = streams_of(orm, room, role=StreamRole.MAIN)
            orm.add(Track(stream_id=stream, medium=SCREEN, codec="avc1", source_codec="h264"))
        self.streams[scene] = stream
        if scene.state is None:
            return
        session = a_session(index, state=scene.state, kind=scene.kind, phase=scene.phase)
        self.sessions[scene] = session
        if scene.state == RECORDING:
            a_claim(index, session, stream, now - HOUR, None)
        elif scene.state == SEALED:
            # Longer ago than a turn of duty reaches.
            a_claim(index, session, stream, now - 5 * HOUR, now - 4 * HOUR)
        else:
            with index.write() as orm:
                orm.add(
                    Booking(
                        session_id=session,
                        room_id=room.id,
                        seat_ids=[],
                        from_us=now - MINUTE,
                        to_us=now + HOUR,
                        role=BookingRole.MAIN,
                    )
                )

    def enter(self, who: Who) -> None:
        self.tokens[who] = self.api.token_of(who.username, who.role, on_duty=False)
        with self.api.database.write() as orm:
            user = orm.scalars(select(User.id).where(User.username == who.username)).one()
            if who.duty:
                put_on_duty(orm, user)
            for scope in self._scopes(who):
                orm.add(
                    RoleScope(
                        user_id=user, role=who.role, reason="t", made_us=0, made_by="t", **scope
                    )
                )
            for session in self.sessions.values() if who.granted else ():
                orm.add(
                    Grant(
                        kind=GrantKind.REQUEST,
                        user_id=user,
                        session_id=session,
                        media=sorted(who.granted),
                        actions=sorted(Action),
                        reason="t",
                        made_us=0,
                        made_by="t",
                        department_us=1 if who.department else None,
                        revoked_us=1 if who.revoked else None,
                    )
                )

    def _scopes(self, who: Who) -> list[dict[str, object]]:
        if who.scope is None:
            return []
        if who.role == Role.ATTESTOR and who.scope:
            return [{"session_id": session} for session in self.sessions.values()]
        category = ProjectCategory.CONSTRUCTION if who.scope else ProjectCategory.LAND
        return [{"category": category}]

    def watches(self, who: Who, scene: Scene, medium: Medium) -> bool:
        """Ask for it live; there is no process `live`, and who may is told so."""
        address = self.api.base.replace("http", "ws")
        with connect(
            f"{address}/api/v1/live/{self.streams[scene]}?track={medium}",
            additional_headers={"Authorization": f"Bearer {self.tokens[who]}"},
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=0.2,
        ) as viewer:
            state = json.loads(viewer.recv(timeout=10))["state"]
        assert state in ("offline", "forbidden")
        return bool(state == "offline")


@pytest.fixture
def everything(sqlite_index: Database, tmp_path: Path) -> Iterator[Set]:
    clock = FakeClock()
    # Nobody listens there: who may watch is told that `live` does not answer.
    with running_api(sqlite_index, tmp_path, clock=clock, live_port=1) as api:
        built = Set(api)
        for scene in SCENES:
            built.build(scene, clock.utc_us())
        for who in PEOPLE:
            built.enter(who)
        yield built


def entries(api: RunningApi) -> Counter[tuple[str, bool]]:
    with api.database.read() as orm:
        query = select(AuditEntry.action, AuditEntry.allowed, func.count())
        rows = orm.execute(query.group_by(AuditEntry.action, AuditEntry.allowed))
        return Counter({(action, allowed): count for action, allowed, count in rows})


def test_live(everything: Set) -> None:
    """All are asked of the one function; one in so many comes by the WebSocket as well."""
    api = everything.api
    seen = Counter[bool]()
    with api.database.read() as orm:
        ids = {row.username: row.id for row in orm.scalars(select(User))}
        now = api.parts.clock.utc_us()
        people = {who: person_of(orm, ids[who.username], now) for who in PEOPLE}
        views = {
            scene: stream_view(orm, stream, now - AFTER_US, now + ENTRY_US)
            for scene, stream in everything.streams.items()
        }
    instant = Interval(now, now + 1)
    asked = [(who, scene, medium) for who in PEOPLE for scene in SCENES for medium in Medium]
    for number, (who, scene, medium) in enumerate(asked):
        wanted = expected(who, medium, Action.LIVE, scene)
        where = (who.username, scene, medium)
        context = views[scene].context(instant)
        verdict = may(people[who], medium, Action.LIVE, context, now)
        assert verdict.allowed is wanted, (where, verdict)
        if number % ONE_IN == 0 and who.role is Role.SERVICE:
            # The rule of the route refuses it before anything is asked.
            with pytest.raises(InvalidStatus):
                everything.watches(who, scene, medium)
        elif number % ONE_IN == 0:
            assert everything.watches(who, scene, medium) is wanted, where
            seen[wanted] += 1
    noted = entries(api)
    assert noted[("live.start", True)] == seen[True] > 3
    assert noted[("live.start", False)] == seen[False] > 20


def test_playbacks_and_copies(everything: Set) -> None:
    asked = Counter[tuple[str, bool]]()
    with everything.api.client() as client:
        for who in PEOPLE:
            client.headers["Authorization"] = f"Bearer {everything.tokens[who]}"
            for number, scene in enumerate(SCENES):
                session = everything.sessions.get(scene)
                turn = len(who.username) + number
                if session is not None and turn % 3 == 0:
                    medium = list(Medium)[turn // 3 % 3]
                    asked += check_playback(client, who, scene, session)
                    asked += check_copy(client, who, scene, session, medium)
    noted = entries(everything.api)
    for (action, allowed), count in asked.items():
        assert noted[(action, allowed)] == count, (action, allowed)
    assert asked[("playback.open", True)] > 10
    assert asked[("export.request", True)] > 10


def check_playback(
    client: httpx.Client, who: Who, scene: Scene, session: str
) -> Counter[tuple[str, bool]]:
    answer = client.post("/api/v1/playbacks", json={"session_id": session})
    if who.role is Role.SERVICE:
        assert answer.status_code == 403
        return Counter()
    wanted = {
        medium
        for medium in Medium
        if expected(who, medium, Action.REPLAY, scene)
        or expected(who, medium, Action.REWIND, scene)
    }
    where = (who.username, scene)
    if scene.state == SCHEDULED:
        assert answer.status_code == 404, where
        return Counter()
    if not wanted:
        assert answer.status_code == 403, where
        return Counter({("playback.open", False): 1})
    assert answer.status_code == 201, (where, answer.text)
    (stream,) = answer.json()["streams"]
    assert set(stream["tracks"]) == wanted, where
    for medium in Medium:
        # What was not opened is not there: neither its playlist nor any piece of it.
        base = f"/play/{answer.json()['id']}/{stream['stream_id']}/{medium}"
        status = client.get(f"{base}/index.m3u8").status_code
        assert status == (200 if medium in wanted else 404), (where, medium)
    return Counter({("playback.open", True): 1})


def check_copy(
    client: httpx.Client, who: Who, scene: Scene, session: str, medium: Medium
) -> Counter[tuple[str, bool]]:
    body = {"session_id": session, "media": [medium], "reason": "case 7"}
    status = client.post("/api/v1/exports", json=body).status_code
    if who.role is Role.SERVICE:
        assert status == 403
        return Counter()
    if scene.state == SCHEDULED:
        assert status == 404
        return Counter()
    wanted = expected(who, medium, Action.COPY, scene)
    assert status == (202 if wanted else 403), (who.username, scene, medium)
    return Counter({("export.request", wanted): 1})
