"""Replay on the wire: what a viewer gets, decoded frame by frame, and what she does not."""

import shutil
import subprocess
from itertools import pairwise

import av
import pytest
from sqlalchemy import delete, select
from support.api import PASSWORD, RunningApi, problem_of
from support.clips import picture_number
from support.clock import FakeClock
from support.factories import booked
from support.footage import FRAME_US, Reel, numbers_in
from support.needs import absent
from support.session_desk import Desk
from support.viewing import SECOND, Scene, Watcher, watching

from bidwitness.storage.index.models import AuditEntry, Claim, FragmentTable, Grant
from bidwitness.words import Medium, Role, RoomKind, SessionState


@pytest.fixture
def scene(api: RunningApi, clock: FakeClock) -> Scene:
    return Scene(api.database, api.parts.settings.spool, clock)


def test_every_frame_of_a_session_once_and_in_order(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(32)
    session = scene.session(0, 32)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        assert watcher.playback["live"] is False
        assert (watcher.playback["from"], watcher.playback["to"]) == (scene.at(0), scene.at(32))
        stream = watcher.playback["streams"][0]
        assert stream["tracks"] == ["picture", "sound"]
        assert watcher.frames(scene.stream) == list(range(32 * 25))
        assert watcher.heard(scene.stream) == pytest.approx(32, abs=0.3)
        playlist = watcher.playlist(scene.stream)
        assert playlist.ended
        assert not playlist.holes
        assert [line.seconds for line in playlist.entries[:4]] == [1, 4, 4, 1]
        for left, right in pairwise(playlist.lines):
            assert abs(right.from_us - left.to_us) < 2
    with api.database.read() as orm:
        (entry,) = orm.scalars(select(AuditEntry).where(AuditEntry.action == "playback.open"))
        assert entry.allowed
        assert entry.facts["streams"] == {scene.stream: ["picture", "sound"]}


def test_program_dates_are_those_of_the_frames(api: RunningApi, scene: Scene) -> None:
    reel = scene.reel()
    reel.segments(8)
    reel.skip(7)
    reel.segments(12)
    session = scene.session(0, 40)
    scene.clock.advance(90 * SECOND)
    with watching(api, scene, session) as watcher:
        playlist = watcher.playlist(scene.stream)
        assert playlist.text.count("#EXT-X-DISCONTINUITY\n") == 1
        assert [line.seconds for line in playlist.holes] == [6, 1, 6, 6, 1]
        assert playlist.holes[0].from_us == scene.at(8)
        assert playlist.lines[-1].to_us == scene.at(40)
        for line in playlist.entries:
            first = numbers_in(watcher.bytes_of(scene.stream, line))[0]
            assert line.from_us == scene.start + first * FRAME_US
        assert watcher.get(scene.stream, playlist.holes[0].address).status_code == 404


def test_two_sessions_three_seconds_apart_show_nothing_of_each_other(
    api: RunningApi, scene: Scene
) -> None:
    """Frame by frame, by the playlist and by guessed addresses; picture and sound."""
    scene.reel().segments(60)
    earlier = scene.session(0.4, 27.3)
    later = scene.session(30.3, 58.1)
    between = range(round(27.3 * 25), round(30.3 * 25) + 1)
    scene.clock.advance(120 * SECOND)
    with watching(api, scene, earlier) as one, watching(api, scene, later) as other:
        seen_one, seen_other = one.frames(scene.stream), other.frames(scene.stream)
        assert seen_one == list(range(25, 27 * 25))
        assert seen_other == list(range(31 * 25, 58 * 25))
        assert not set(seen_one) & set(seen_other)
        assert not (set(seen_one) | set(seen_other)) & set(between)
        assert one.heard(scene.stream) <= 26.9
        assert other.heard(scene.stream) <= 27.8
        for track in ("picture", "sound"):
            for line in other.playlist(scene.stream, track).entries:
                mine = {entry.address for entry in one.playlist(scene.stream, track).entries}
                if line.address not in mine:
                    problem_of(one.get(scene.stream, line.address, track), 404, "not-found")
        run = one.playlist(scene.stream).entries[0].address.split("-")[0]
        assert one.get(scene.stream, f"{run}-0/3-5.m4s").status_code == 200
        for guess in (f"{run}-0/0-2.m4s", f"{run}-2/0-29.m4s", f"{run}-3/6-11.m4s"):
            problem_of(one.get(scene.stream, guess), 404, "not-found")
        # What one has opened is nobody else's.
        other.playback = one.playback
        problem_of(other.get(scene.stream, "index.m3u8"), 404, "not-found")


def test_sessions_that_touch_share_no_frame_and_hide_the_gop_between(
    api: RunningApi, scene: Scene
) -> None:
    scene.reel(gop=50).segments(40)
    earlier, later = scene.session(0, 20.5), scene.session(20.5, 40)
    scene.clock.advance(90 * SECOND)
    with watching(api, scene, earlier) as one, watching(api, scene, later) as other:
        assert one.frames(scene.stream) == list(range(20 * 25))
        assert other.frames(scene.stream) == list(range(22 * 25, 40 * 25))
        assert other.playlist(scene.stream).lines[0].gap


def test_only_the_permitted_medium_leaves(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session, media=(Medium.PICTURE,)) as watcher:
        assert watcher.playback["streams"][0]["tracks"] == ["picture"]
        assert watcher.frames(scene.stream) == list(range(250))
        address = watcher.playlist(scene.stream).entries[0].address
        for name in ("index.m3u8", address):
            problem_of(watcher.get(scene.stream, name, "sound"), 404, "not-found")
        data = watcher.bytes_of(scene.stream, watcher.playlist(scene.stream).entries[0])
        assert b"soun" not in data
        assert b"mp4a" not in data


def test_a_grant_for_a_part_shows_that_part(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(30)
    session = scene.session(0, 30)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session, from_s=9.5, to_s=20) as watcher:
        assert watcher.frames(scene.stream) == list(range(10 * 25, 20 * 25))


def test_a_viewing_may_be_narrower_than_its_session(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(30)
    session = scene.session(0, 30)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        answer = watcher.open(session, **{"from": scene.at(12.5), "to": scene.at(20)})
        assert answer.status_code == 201, answer.text
        # The GOP that holds the wanted instant is needed to show it.
        assert watcher.frames(scene.stream) == list(range(12 * 25, 20 * 25))


def test_what_was_allowed_is_asked_again_at_every_request(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(20)
    session = scene.session(0, 20)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session, expires_s=100) as watcher:
        entry = watcher.playlist(scene.stream).entries[0]
        assert watcher.get(scene.stream, entry.address).status_code == 200
        # Another session's claim, made late, takes the middle out of it at once.
        rival = scene.session(50, 60)
        with api.database.write() as orm:
            row = orm.scalars(select(Claim).where(Claim.session_id == rival)).one()
            row.from_us, row.to_us, row.klass = scene.at(8), scene.at(12), "linked"
        assert watcher.frames(scene.stream) == [*range(8 * 25), *range(12 * 25, 20 * 25)]
        with api.database.write() as orm:
            orm.scalars(select(Grant)).one().revoked_us = scene.clock.utc_us()
        for address in ("index.m3u8", entry.address, entry.init):
            problem_of(watcher.get(scene.stream, address), 403, "forbidden")
        with api.database.write() as orm:
            orm.scalars(select(Grant)).one().revoked_us = None
        assert watcher.get(scene.stream, "index.m3u8").status_code == 200
        scene.clock.set_utc(scene.at(100))
        problem_of(watcher.get(scene.stream, "index.m3u8"), 403, "forbidden")
    with api.database.read() as orm:
        refused = list(
            orm.scalars(select(AuditEntry).where(AuditEntry.action == "playback.refused"))
        )
        assert len(refused) == 1, "one entry a minute, however often the player asks"
        assert not refused[0].allowed


def test_nobody_plays_without_a_right(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    for role in (Role.AUDITOR, Role.SUPERVISOR, Role.SYSTEM_ADMIN):
        with api.as_user(f"a.{role}", role) as client:
            problem_of(Watcher(client).open(session), 403, "forbidden")
    with api.client() as nobody:
        problem_of(Watcher(nobody).open(session), 401, "unauthenticated")
    with api.database.read() as orm:
        entries = list(orm.scalars(select(AuditEntry).where(AuditEntry.action == "playback.open")))
        assert [entry.allowed for entry in entries] == [False, False, False]


def test_a_login_that_ends_ends_its_viewings(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        assert watcher.get(scene.stream, "index.m3u8").status_code == 200
        assert watcher.client.post("/api/v1/auth/logout").status_code == 204
        problem_of(watcher.get(scene.stream, "index.m3u8"), 401, "unauthenticated")


def test_a_closed_viewing_answers_no_more(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        path = f"/api/v1/playbacks/{watcher.playback['id']}/close"
        assert watcher.client.post(path).status_code == 204
        problem_of(watcher.get(scene.stream, "index.m3u8"), 404, "not-found")


@pytest.fixture
def running(scene: Scene) -> str:
    """A session that still records; rewind of it is the supervisor's."""
    return scene.session(0, None, state=SessionState.RECORDING)


def test_rewind_of_a_session_that_records(api: RunningApi, scene: Scene, running: str) -> None:
    """Entries keep their address and their bytes while the segment is open, closed, committed."""
    reel = scene.reel()
    reel.segments(20)
    reel.write(18)
    scene.clock.set_utc(reel.now_us)
    with api.as_user("guard", Role.SUPERVISOR) as client:
        watcher = Watcher(client)
        assert watcher.open(running).status_code == 201
        assert watcher.playback["live"] is True
        assert watcher.playback["to"] is None
        first = watcher.playlist(scene.stream)
        assert not first.ended
        assert "#EXT-X-PLAYLIST-TYPE:EVENT" in first.text
        assert first.entries[-1].to_us >= reel.now_us - 6 * SECOND, "too far behind"
        bytes_then = [watcher.bytes_of(scene.stream, line) for line in first.entries]
        assert watcher.frames(scene.stream) == list(
            range(round(first.entries[-1].to_us - scene.start) // FRAME_US)
        )
        segment = reel.close(commit=False)
        scene.clock.advance(SECOND)
        reel.commit(segment)
        reel.segments(10)
        scene.clock.set_utc(reel.now_us)
        then = watcher.playlist(scene.stream)
        assert then.lines[: len(first.lines)] == first.lines
        again = [watcher.bytes_of(scene.stream, line) for line in first.entries]
        assert again == bytes_then
        assert len(then.lines) > len(first.lines)


def test_when_the_session_ends_its_viewing_gets_an_end(
    api: RunningApi, scene: Scene, running: str
) -> None:
    reel = scene.reel()
    reel.segments(20)
    scene.clock.set_utc(reel.now_us)
    with watching(api, scene, running) as watcher:
        assert not watcher.playlist(scene.stream).ended
        reel.write(5)
        with api.database.write() as orm:
            for claim in orm.scalars(select(Claim).where(Claim.session_id == running)):
                claim.to_us = scene.at(23)
        reel.write(5)
        scene.clock.set_utc(reel.now_us)
        # The room goes on recording; what comes after the end is not of this session.
        assert watcher.frames(scene.stream) == list(range(23 * 25))
        assert watcher.playlist(scene.stream).ended


def test_what_is_closed_but_not_committed_yet_is_shown(
    api: RunningApi, scene: Scene, running: str
) -> None:
    reel = scene.reel()
    reel.segments(10)
    reel.write(10)
    segment = reel.close(commit=False)
    reel.write(9)
    scene.clock.set_utc(reel.now_us)
    with watching(api, scene, running) as watcher:
        before = watcher.playlist(scene.stream)
        assert watcher.frames(scene.stream) == list(
            range(round((before.entries[-1].to_us - scene.start) / FRAME_US))
        )
        reel.commit(segment)
        assert watcher.playlist(scene.stream).lines == before.lines


def test_a_camera_of_a_running_session_that_is_gone_shows_as_a_hole(
    api: RunningApi, scene: Scene, running: str
) -> None:
    scene.reel().segments(10)
    scene.clock.set_utc(scene.at(40))
    with watching(api, scene, running) as watcher:
        playlist = watcher.playlist(scene.stream)
        assert [line.from_us for line in playlist.holes][:1] == [scene.at(10)]
        assert playlist.lines[-1].to_us <= scene.at(30)


def test_streams_without_a_session(api: RunningApi, scene: Scene, running: str) -> None:
    """A supervisor rewinds a stream: what a running session claims, and nothing before it."""
    reel = scene.reel()
    reel.segments(20)
    with api.database.write() as orm:
        for claim in orm.scalars(select(Claim).where(Claim.session_id == running)):
            claim.from_us = scene.at(7)
    scene.clock.set_utc(reel.now_us)
    with api.as_user("guard", Role.SUPERVISOR) as client:
        watcher = Watcher(client)
        answer = watcher.open(stream_ids=[scene.stream], **{"from": scene.at(0)})
        assert answer.status_code == 201, answer.text
        assert watcher.frames(scene.stream)[0] == 7 * 25
        problem_of(watcher.open(stream_ids=[scene.stream]), 422, "invalid-input")
        problem_of(watcher.open(), 422, "invalid-input")
        problem_of(watcher.open("nosuchsession"), 404, "not-found")


def test_a_segment_cut_without_a_key_frame_plays_on(api: RunningApi, scene: Scene) -> None:
    scene.reel(gop=750).segments(60, each=10)
    session = scene.session(0, 60)
    scene.clock.advance(120 * SECOND)
    with watching(api, scene, session) as watcher:
        lines = watcher.playlist(scene.stream).entries
        data = b"".join(watcher.get(scene.stream, line.address).content for line in lines)
        init = watcher.get(scene.stream, lines[0].init).content
        assert numbers_in(init + data) == list(range(1500))


def test_tables_that_were_dropped_are_made_again_from_the_bytes(
    api: RunningApi, scene: Scene
) -> None:
    scene.reel().segments(20)
    session = scene.session(0, 20)
    scene.clock.advance(90 * SECOND)
    with watching(api, scene, session) as watcher:
        before = watcher.playlist(scene.stream), watcher.playlist(scene.stream, "sound")
        with api.database.write() as orm:
            orm.execute(delete(FragmentTable))
        del api.app.state.viewer  # a process that remembers nothing
        assert (watcher.playlist(scene.stream), watcher.playlist(scene.stream, "sound")) == before
        assert watcher.frames(scene.stream) == list(range(20 * 25))


def test_playlists_are_sent_small(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(60)
    session = scene.session(0, 60)
    scene.clock.advance(120 * SECOND)
    with watching(api, scene, session) as watcher:
        answer = watcher.get(scene.stream, "index.m3u8")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["cache-control"] == "private, no-store"
        assert int(answer.headers["content-length"]) < len(answer.text) / 3
        entry = watcher.get(scene.stream, watcher.playlist(scene.stream).entries[1].address)
        assert entry.headers["cache-control"] == "private, no-store"
        assert entry.headers["etag"]


def test_rest_rooms_are_never_shown(api: RunningApi, clock: FakeClock) -> None:
    scene = Scene(api.database, api.parts.settings.spool, clock, kind=RoomKind.REST)
    scene.reel().segments(10)
    session = scene.session(0, 10)
    user = api.add_user("watcher", Role.AUDITOR)
    scene.grant(user, session)
    with api.as_user("watcher") as client:
        problem_of(Watcher(client).open(session), 403, "forbidden")


def test_a_player_outside_the_browser_plays_it(api: RunningApi, scene: Scene) -> None:
    """libav and the system's ffmpeg, by the playlist's address and a Bearer token."""
    reel = scene.reel()
    reel.segments(14)
    reel.skip(5)
    reel.segments(12)
    session = scene.session(0, 31)
    scene.clock.advance(90 * SECOND)
    with watching(api, scene, session) as watcher:
        body = {"username": f"auditor.{session}", "password": PASSWORD}
        token = watcher.client.post("/api/v1/auth/token", json=body).json()["token"]
        headers = f"Authorization: Bearer {token}\r\n"
        address = f"{api.base}{watcher.base(scene.stream)}index.m3u8"
        with av.open(address, options={"headers": headers}) as container:
            seen = [
                picture_number(frame.to_ndarray(format="gray8"))
                for frame in container.decode(video=0)
            ]
        # Where a new connection's times begin again, libav loses the first fragment (0.5 s).
        assert seen[: 14 * 25] == list(range(14 * 25))
        assert seen[14 * 25 :] == list(range(19 * 25 + 12, 31 * 25))
        sound = f"{api.base}{watcher.base(scene.stream, 'sound')}index.m3u8"
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            absent("ffmpeg")
            return
        for media in (address, sound):
            done = subprocess.run(
                [
                    *(ffmpeg, "-nostdin", "-v", "error", "-headers", headers),
                    *("-i", media, "-f", "null", "-"),
                ],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            # A player that does not know gaps asks for them, is told that there is nothing.
            rest = [line for line in done.stderr.splitlines() if "404" not in line]
            assert [line for line in rest if "Failed to open segment" not in line] == []


def test_on_either_database(api_on_both: RunningApi, clock: FakeClock) -> None:
    api = api_on_both
    scene = Scene(api.database, api.parts.settings.spool, clock)
    scene.reel().segments(20)
    session = scene.session(3, 17)
    rival = scene.session(17, 20)
    clock.advance(90 * SECOND)
    with watching(api, scene, session) as one, watching(api, scene, rival) as other:
        assert one.frames(scene.stream) == list(range(3 * 25, 17 * 25))
        assert other.frames(scene.stream) == list(range(17 * 25, 20 * 25))
        entry = one.playlist(scene.stream).entries[0]
        with api.database.write() as orm:
            for grant in orm.scalars(select(Grant)):
                grant.revoked_us = clock.utc_us()
        problem_of(one.get(scene.stream, entry.address), 403, "forbidden")


def test_a_session_created_late_replays_from_its_due_start(
    api: RunningApi, clock: FakeClock
) -> None:
    """Nobody had planned it when it began; the room was recorded all the same."""
    settings = api.parts.settings
    desk = Desk(api.database, settings, clock, settings.spool)
    stream = desk.streams[desk.one.id][0]
    start = clock.utc_us()
    reel = Reel(api.database, settings.spool, stream, start)
    reel.segments(50)
    clock.set_utc(reel.now_us)
    session = desk.plan(booked(desk.one, start + 6 * SECOND, start + 3600 * SECOND))
    desk.tick()
    reel.segments(10)
    clock.set_utc(reel.now_us)
    with api.as_user("guard", Role.SUPERVISOR) as client:
        watcher = Watcher(client)
        assert watcher.open(session).status_code == 201
        assert watcher.playback["from"] == start + 6 * SECOND
        timeline = client.get(f"/api/v1/sessions/{session}/timeline").json()
        assert timeline["due"]["from"] == start + 6 * SECOND
        lane = next(lane for lane in timeline["streams"] if lane["stream_id"] == stream)
        assert not [gap for gap in lane["gaps"] if gap["cause"] == "late_start"]
        seen = watcher.frames(stream)
        assert seen == list(range(6 * 25, len(seen) + 6 * 25))
        assert len(seen) > 50 * 25
