"""An exact picture as a copy: its frame, its watermark, its provenance, its lines in the books."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import httpx
import numpy as np
import pytest
from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.clips import picture_number
from support.clock import FakeClock
from support.footage import FRAME_US, SIZE
from support.viewing import SECOND, Scene, Watcher

from bidwitness.retention.copies import remove_expired_copies
from bidwitness.storage.index.models import AuditEntry, Derivative, Grant, RegisterEntry, Segment
from bidwitness.words import Action, Medium, Role, SessionState

REPLAY, COPY = (Action.REPLAY,), (Action.REPLAY, Action.COPY)


@pytest.fixture
def scene(api: RunningApi, clock: FakeClock) -> Scene:
    return Scene(api.database, api.parts.settings.spool, clock)


@contextmanager
def auditor(
    api: RunningApi, scene: Scene, session: str, actions: tuple[Action, ...] = COPY, **grant: object
) -> Iterator[Watcher]:
    name = f"auditor.{session}"
    scene.grant(api.add_user(name, Role.AUDITOR), session, actions=actions, **grant)
    with api.as_user(name) as client:
        watcher = Watcher(client)
        assert watcher.open(session).status_code == 201
        yield watcher


def snap(watcher: Watcher, stream: str, at: int, reason: str = "笔录附图") -> httpx.Response:
    body = {
        "playback_id": watcher.playback["id"],
        "stream_id": stream,
        "at": at,
        "reason": reason,
    }
    return watcher.client.post("/api/v1/snapshots", json=body)


def image_of(watcher: Watcher, made: dict[str, object]) -> np.ndarray:
    answer = watcher.client.get(str(made["picture"]))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-store"
    assert hashlib.sha256(answer.content).hexdigest() == made["sha256"]
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image)


def number_on(image: np.ndarray) -> int:
    return picture_number(cv2.cvtColor(image[:SIZE], cv2.COLOR_BGR2GRAY))


def test_the_frame_of_the_asked_instant(api: RunningApi, scene: Scene) -> None:
    """At both edges of a frame, on a key frame, at the end of a GOP, over a segment's cut."""
    scene.reel(gop=25).segments(20)
    session = scene.session(0, 20)
    scene.clock.advance(60 * SECOND)
    first, last = 0, FRAME_US - 1
    with auditor(api, scene, session) as watcher:
        for frame, inside in ((0, first), (24, last), (25, first), (249, last), (250, first)):
            at = scene.start + frame * FRAME_US + inside
            answer = snap(watcher, scene.stream, at)
            assert answer.status_code == 201, answer.text
            made = answer.json()
            assert number_on(image_of(watcher, made)) == frame
            begun = scene.start + frame * FRAME_US
            assert (made["from"], made["to"]) == (begun, begun + FRAME_US)


def test_it_can_be_traced_to_its_bytes(api: RunningApi, scene: Scene) -> None:
    scene.reel(gop=25).segments(20)
    session = scene.session(0, 20)
    scene.clock.advance(60 * SECOND)
    with auditor(api, scene, session) as watcher:
        at = scene.start + 260 * FRAME_US
        made = snap(watcher, scene.stream, at).json()
        assert watcher.client.get(f"/api/v1/snapshots/{made['id']}").json() == made
    found = made["provenance"]
    assert (found["asked_us"], found["stream"]["id"], found["session"]) == (
        at,
        scene.stream,
        session,
    )
    assert found["picture_sha256"] == made["sha256"]
    (named,) = found["segments"]
    with api.database.read() as orm:
        rows = {(row.run_id, row.run_seq): row for row in orm.scalars(select(Segment))}
    row = rows[named["run"], named["run_seq"]]
    assert named["sha256"] == row.sha256.hex()
    data = (api.parts.settings.spool / str(row.spool_path)).read_bytes()
    assert hashlib.sha256(data).digest() == row.sha256
    assert len(named["fragments"]) >= 1
    for piece in named["fragments"]:
        part = data[piece["offset"] : piece["offset"] + piece["bytes"]]
        assert part[4:8] == b"moof"
        assert hashlib.sha256(part).hexdigest() == piece["sha256"]


def test_it_is_marked_and_entered_like_other_copies(api: RunningApi, scene: Scene) -> None:
    scene.reel(gop=25).segments(20)
    session = scene.session(0, 20)
    scene.clock.advance(60 * SECOND)
    settings = api.parts.settings
    with auditor(api, scene, session) as watcher:
        # Frame 0 is black all over: whatever else is in its picture was burned in.
        made = snap(watcher, scene.stream, scene.start, "case 7").json()
        image = image_of(watcher, made)
        assert image[:SIZE].max() > 40
        assert image.shape[0] > SIZE and image[SIZE:].max() > 120
        with api.database.write() as orm:
            row = orm.scalars(select(Derivative)).one()
            assert (row.kind, row.made_by) == ("snapshot", f"auditor.{session}")
            entry = orm.scalars(select(RegisterEntry)).one()
            assert entry.reason == "case 7"
            assert entry.grant_id == orm.scalars(select(Grant)).one().id
            for action in ("snapshot.make", "snapshot.fetch"):
                query = select(AuditEntry).where(AuditEntry.action == action)
                assert orm.scalars(query).one().allowed
            orm.scalars(select(Grant)).one().actions = ["replay"]
        problem_of(watcher.client.get(made["picture"]), 403, "forbidden")
        with api.database.write() as orm:
            orm.scalars(select(Grant)).one().actions = ["copy"]
        assert watcher.client.get(made["picture"]).status_code == 200
        with api.as_user("other", Role.AUDITOR) as other:
            problem_of(other.get(made["picture"]), 404, "not-found")
        with api.database.write() as orm:
            orm.scalars(select(Derivative)).one().expires_us = scene.clock.utc_us()
        problem_of(watcher.client.get(made["picture"]), 404, "not-found")
        assert remove_expired_copies(api.database, scene.clock, settings) == 1
        assert list(settings.exports.iterdir()) == []


def test_who_may_only_look_gets_no_copy(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with auditor(api, scene, session, REPLAY) as watcher:
        problem_of(snap(watcher, scene.stream, scene.at(3)), 403, "forbidden")
        problem_of(snap(watcher, scene.stream, scene.at(3), reason=" "), 422, "invalid-input")
        with api.as_user("other", Role.AUDITOR) as other:
            stranger = Watcher(other, watcher.playback)
            problem_of(snap(stranger, scene.stream, scene.at(3)), 404, "not-found")
    with api.database.read() as orm:
        entry = orm.scalars(select(AuditEntry).where(AuditEntry.action == "snapshot.make")).one()
        assert not entry.allowed
        assert list(orm.scalars(select(Derivative))) == []


def test_a_supervisor_who_rewinds_copies_nothing(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, None, state=SessionState.RECORDING)
    scene.clock.set_utc(scene.at(10))
    with api.as_user("guard", Role.SUPERVISOR) as client:
        watcher = Watcher(client)
        assert watcher.open(session).status_code == 201
        problem_of(snap(watcher, scene.stream, scene.at(3)), 403, "forbidden")


def test_no_picture_of_a_gap_the_seam_or_another_session(api: RunningApi, scene: Scene) -> None:
    reel = scene.reel(gop=50)
    reel.segments(10)
    reel.skip(4)
    reel.segments(26)
    earlier, later = scene.session(0, 20.5), scene.session(20.5, 40)
    scene.clock.advance(90 * SECOND)
    with auditor(api, scene, earlier) as watcher:
        made = snap(watcher, scene.stream, scene.at(19.98))
        assert number_on(image_of(watcher, made.json())) == 499
        # A hole; the GOP on the seam; the other session; before and beyond everything.
        for at in (12, 20.2, 20.5, 30, 39):
            answer = snap(watcher, scene.stream, scene.at(at))
            assert answer.status_code in (403, 404), (at, answer.text)
        for at in (0, scene.start - 1, 2**53 - 1):
            assert snap(watcher, scene.stream, at).status_code in (403, 404)
        problem_of(snap(watcher, "a" * 16, scene.at(3)), 404, "not-found")
    with auditor(api, scene, later) as watcher:
        assert snap(watcher, scene.stream, scene.at(21)).status_code in (403, 404)
        made = snap(watcher, scene.stream, scene.at(22))
        assert number_on(image_of(watcher, made.json())) == 550


def test_a_right_to_listen_gives_no_picture(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with auditor(api, scene, session, media=(Medium.SOUND,)) as watcher:
        problem_of(snap(watcher, scene.stream, scene.at(3)), 404, "not-found")


def test_footage_that_is_damaged_is_said_to_be(api: RunningApi, scene: Scene) -> None:
    (segment,) = scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    path = api.parts.settings.spool / str(segment.spool_path)
    data = bytearray(path.read_bytes())
    middle = range(len(data) // 3, len(data) * 2 // 3)
    for place in middle:
        data[place] = 0xFF
    path.write_bytes(bytes(data))
    with auditor(api, scene, session) as watcher:
        problem_of(snap(watcher, scene.stream, scene.at(5)), 500, "damage")
