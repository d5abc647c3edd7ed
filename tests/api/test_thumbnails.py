"""Thumbnails on the wire: each picture on a sheet is read, and none is another session's."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import httpx
import numpy as np
import pytest
from sqlalchemy import select, update
from support.api import RunningApi, problem_of
from support.clips import picture_number
from support.clock import FakeClock
from support.viewing import SECOND, Scene, Watcher

from bidwitness.celery import backlog, make_app
from bidwitness.player.tasks import thumbnails
from bidwitness.retention.copies import remove_expired_copies
from bidwitness.storage.derivatives import THUMBNAILS, expire_with_footage
from bidwitness.storage.index.models import (
    AuditEntry,
    Claim,
    Derivative,
    Grant,
    Job,
    Playback,
    Segment,
)
from bidwitness.storage.jobs import Runner
from bidwitness.words import JobState, Medium, Role, SessionState


@pytest.fixture
def scene(api: RunningApi, clock: FakeClock) -> Scene:
    return Scene(api.database, api.parts.settings.spool, clock)


@dataclass
class Room:
    """A scene with people who may replay sessions of it."""

    api: RunningApi
    scene: Scene

    def watch(self, client: httpx.Client, session: str, **more: object) -> Watcher:
        watcher = Watcher(client)
        answer = watcher.open(session, **more)
        assert answer.status_code == 201, answer.text
        return watcher

    def auditor(self, session: str, **grant: object) -> str:
        name = f"auditor.{session}"
        self.scene.grant(self.api.add_user(name, Role.AUDITOR), session, **grant)
        return name

    def run(self) -> list[JobState | None]:
        parts = self.api.parts
        runner = Runner(
            parts.settings, parts.database, self.scene.clock, "w", {THUMBNAILS: thumbnails}
        )
        with self.api.database.read() as orm:
            waiting = list(orm.scalars(select(Job.id).where(Job.state == JobState.QUEUED)))
        return [runner.run_job(job) for job in waiting]


@pytest.fixture
def room(api: RunningApi, scene: Scene) -> Room:
    return Room(api, scene)


def index_of(watcher: Watcher, stream: str) -> dict[str, object]:
    answer = watcher.client.get(f"/play/{watcher.playback['id']}/{stream}/thumbnails")
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def sheet_of(watcher: Watcher, stream: str, sheet: str) -> httpx.Response:
    return watcher.client.get(f"/play/{watcher.playback['id']}/{stream}/thumbnails/{sheet}.jpg")


def pictures(watcher: Watcher, stream: str) -> dict[int, int]:
    """Fetch all sheets; give the number that each listed picture spells, by its instant.

    Fail if a place that is not listed shows anything.
    """
    index = index_of(watcher, stream)
    width, height, columns = index["width"], index["height"], index["columns"]
    found: dict[int, int] = {}
    for sheet in index["sheets"]:
        answer = sheet_of(watcher, stream, sheet["id"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "private, no-store"
        image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_GRAYSCALE)
        listed = {tile["place"]: tile["at"] for tile in sheet["tiles"]}
        for place in range(image.shape[0] // height * columns):
            y, x = place // columns * height, place % columns * width
            cell = image[y : y + height, x : x + width]
            if place in listed:
                found[listed[place]] = picture_number(cell)
            else:
                assert not cell.size or cell.max() <= 3, f"place {place} is not blank"
    return found


def frame_of(scene: Scene, at: int) -> int:
    return (at - scene.start) * 25 // SECOND


def test_a_picture_a_second_made_once_on_first_demand(room: Room, scene: Scene) -> None:
    scene.reel(gop=25).segments(25)
    session = scene.session(0, 25)
    scene.clock.advance(60 * SECOND)
    api = room.api
    with api.as_user(room.auditor(session)) as client:
        watcher = room.watch(client, session)
        assert index_of(watcher, scene.stream)["state"] == "making"
        assert index_of(watcher, scene.stream)["state"] == "making"
        assert backlog(make_app(api.parts.settings)) == 1
        assert room.run() == [JobState.DONE]
        index = index_of(watcher, scene.stream)
        assert (index["state"], index["width"], index["height"]) == ("ready", 160, 88)
        assert index["step"] == SECOND
        seen = pictures(watcher, scene.stream)
        assert seen == {scene.at(s): s * 25 for s in range(25)}
        assert room.run() == []
    with api.database.read() as orm:
        (row,) = orm.scalars(select(Derivative))
        assert (row.kind, row.session_id, row.stream_id) == (THUMBNAILS, session, scene.stream)
        assert row.expires_us is not None and row.bytes and row.sha256
        made = orm.scalars(select(AuditEntry).where(AuditEntry.action == "thumbnails.made")).one()
        assert made.facts["pictures"] == 25


def test_viewers_of_two_touching_sessions_get_no_picture_of_each_other(
    room: Room, scene: Scene
) -> None:
    """Read off the wire, by what is listed and by the other's address."""
    scene.reel(gop=50).segments(40)
    earlier, later = scene.session(0, 20.5), scene.session(20.5, 40)
    scene.clock.advance(90 * SECOND)
    one, other = room.auditor(earlier), room.auditor(later)
    with room.api.as_user(one) as first, room.api.as_user(other) as second:
        watchers = [room.watch(first, earlier), room.watch(second, later)]
        for watcher in watchers:
            index_of(watcher, scene.stream)
        assert room.run() == [JobState.DONE] * 2
        seen = [pictures(watcher, scene.stream) for watcher in watchers]
        assert list(seen[0].values()) == list(range(0, 500, 50))
        assert list(seen[1].values()) == list(range(550, 1000, 50))
        for found in seen:
            assert all(frame_of(scene, at) == number for at, number in found.items())
        for mine, theirs in (watchers, watchers[::-1]):
            (sheet,) = index_of(theirs, scene.stream)["sheets"]
            problem_of(sheet_of(mine, scene.stream, sheet["id"]), 404, "not-found")
            mine.playback, kept = theirs.playback, mine.playback
            problem_of(sheet_of(mine, scene.stream, sheet["id"]), 404, "not-found")
            mine.playback = kept


def test_a_narrower_right_sees_the_rest_of_the_sheet_blank(room: Room, scene: Scene) -> None:
    scene.reel(gop=25).segments(30)
    session = scene.session(0, 30)
    scene.clock.advance(60 * SECOND)
    with room.api.as_user(room.auditor(session, from_s=9.5, to_s=20)) as client:
        watcher = room.watch(client, session)
        index_of(watcher, scene.stream)
        assert room.run() == [JobState.DONE]
        whole = range(10 * 25, 20 * 25, 25)
        assert list(pictures(watcher, scene.stream).values()) == list(whole)
        # Another session's claim, made late, takes the middle out of what was made before.
        rival = scene.session(50, 60)
        with room.api.database.write() as orm:
            row = orm.scalars(select(Claim).where(Claim.session_id == rival)).one()
            row.from_us, row.to_us, row.klass = scene.at(12), scene.at(15), "linked"
        left = [n for n in whole if not 12 * 25 <= n < 15 * 25]
        assert list(pictures(watcher, scene.stream).values()) == left
        (sheet,) = index_of(watcher, scene.stream)["sheets"]
        with room.api.database.write() as orm:
            orm.scalars(select(Grant)).one().revoked_us = scene.clock.utc_us()
        problem_of(sheet_of(watcher, scene.stream, sheet["id"]), 403, "forbidden")
        answer = client.get(f"/play/{watcher.playback['id']}/{scene.stream}/thumbnails")
        problem_of(answer, 403, "forbidden")


def test_a_narrower_viewing_gets_its_part(room: Room, scene: Scene) -> None:
    scene.reel(gop=25).segments(30)
    session = scene.session(0, 30)
    scene.clock.advance(60 * SECOND)
    with room.api.as_user(room.auditor(session)) as client:
        part = {"from": scene.at(12), "to": scene.at(20)}
        watcher = room.watch(client, session, **part)
        index_of(watcher, scene.stream)
        room.run()
        seen = list(pictures(watcher, scene.stream).values())
        assert seen == list(range(12 * 25, 20 * 25, 25))


def test_who_may_only_listen_gets_none(room: Room, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with room.api.as_user(room.auditor(session, media=(Medium.SOUND,))) as client:
        watcher = room.watch(client, session)
        answer = client.get(f"/play/{watcher.playback['id']}/{scene.stream}/thumbnails")
        problem_of(answer, 404, "not-found")
    assert room.run() == []


def test_a_session_that_records_has_none_yet(room: Room, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, None, state=SessionState.RECORDING)
    scene.clock.set_utc(scene.at(10))
    with room.api.as_user("guard", Role.SUPERVISOR) as client:
        watcher = room.watch(client, session)
        assert index_of(watcher, scene.stream)["state"] == "none"
        free = Watcher(client)
        assert free.open(stream_ids=[scene.stream], **{"from": scene.at(0)}).status_code == 201
        assert index_of(free, scene.stream)["state"] == "none"
    assert room.run() == []


def test_a_gap_has_no_picture(room: Room, scene: Scene) -> None:
    reel = scene.reel()
    reel.segments(8)
    reel.skip(7)
    reel.segments(8)
    session = scene.session(0, 23)
    scene.clock.advance(60 * SECOND)
    with room.api.as_user(room.auditor(session)) as client:
        watcher = room.watch(client, session)
        index_of(watcher, scene.stream)
        room.run()
        seen = pictures(watcher, scene.stream)
        assert list(seen.values()) == [n * 25 for n in (*range(8), *range(15, 23))]
        jumps = [b - a for a, b in pairwise(seen)]
        assert max(jumps) == 8 * SECOND


def test_they_go_with_the_footage(room: Room, scene: Scene) -> None:
    scene.reel().segments(20)
    session = scene.session(0, 20)
    scene.clock.advance(60 * SECOND)
    settings = room.api.parts.settings
    with room.api.as_user(room.auditor(session)) as client:
        watcher = room.watch(client, session)
        index_of(watcher, scene.stream)
        room.run()
        (sheet,) = index_of(watcher, scene.stream)["sheets"]
        # Footage that is being removed shows nowhere from that moment on.
        now = scene.clock.utc_us()
        with room.api.database.write() as orm:
            orm.execute(
                update(Segment).where(Segment.from_us < scene.at(10)).values(removed_us=now)
            )
        left = list(pictures(watcher, scene.stream).values())
        assert left == list(range(10 * 25, 20 * 25, 25))
        with room.api.database.write() as orm:
            expire_with_footage(orm, scene.stream, scene.at(0), scene.at(10), now)
        problem_of(sheet_of(watcher, scene.stream, sheet["id"]), 404, "not-found")
        assert remove_expired_copies(room.api.database, scene.clock, settings) == 1
        assert list(settings.thumbnails.iterdir()) == []
        # What is left of the footage gets its pictures anew when somebody wants them.
        assert index_of(watcher, scene.stream)["state"] == "making"
        assert room.run() == [JobState.DONE]
        assert list(pictures(watcher, scene.stream).values()) == left


def test_an_attempt_that_was_killed_is_done_again(room: Room, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with room.api.as_user(room.auditor(session)) as client:
        watcher = room.watch(client, session)
        index_of(watcher, scene.stream)
        with room.api.database.write() as orm:
            job = orm.scalars(select(Job)).one()
            orm.add(
                Derivative(
                    kind=THUMBNAILS,
                    session_id=session,
                    stream_id=scene.stream,
                    from_us=scene.at(0),
                    to_us=scene.at(10),
                    recipe={"cell": [8, 8], "columns": 1, "step_us": 1, "tiles": []},
                    path="half.jpg",
                    made_us=0,
                    made_by="x",
                    job_id=job.id,
                )
            )
        assert room.run() == [JobState.DONE]
        assert len(pictures(watcher, scene.stream)) == 10


def test_a_changed_sheet_is_damage(room: Room, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with room.api.as_user(room.auditor(session)) as client:
        watcher = room.watch(client, session)
        index_of(watcher, scene.stream)
        room.run()
        (sheet,) = index_of(watcher, scene.stream)["sheets"]
        (path,) = room.api.parts.settings.thumbnails.iterdir()
        path.write_bytes(path.read_bytes() + b"x")
        problem_of(sheet_of(watcher, scene.stream, sheet["id"]), 500, "damage")
        with room.api.database.read() as orm:
            assert orm.scalars(select(Playback)).one()
