"""Players outside the browser: the master playlist, and addresses that need no login."""

import json
import re
import shutil
import subprocess

import httpx
import pytest
from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.hls_rules import attributes, faults_in_master, faults_in_media
from support.needs import absent
from support.viewing import SECOND, Scene, Watcher, watching

from bidwitness.log import redact
from bidwitness.storage.index.models import AuditEntry, Grant, PlaybackTicket
from bidwitness.words import Role, RoomKind, SessionKind

OPEN = RoomKind.OPENING


@pytest.fixture
def scene(api: RunningApi, clock: FakeClock) -> Scene:
    return Scene(api.database, api.parts.settings.spool, clock, OPEN)


def ticket(watcher: Watcher, **body: int) -> str:
    """Give the path before ``{stream}/master.m3u8``."""
    answer = watcher.client.post(f"/api/v1/playbacks/{watcher.playback['id']}/ticket", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["path"])


def master_of(text: str) -> dict[str, str]:
    (line,) = re.findall("#EXT-X-STREAM-INF:(.+)", text)
    return attributes(line)


def test_a_master_playlist_keeps_the_rules_and_tells_the_bit_rate(
    api: RunningApi, scene: Scene
) -> None:
    reel = scene.reel()
    reel.segments(14)
    reel.skip(5)
    reel.segments(12)
    session = scene.session(0, 31, kind=SessionKind.OPENING)
    scene.clock.advance(90 * SECOND)
    with watching(api, scene, session) as watcher:
        base = watcher.base(scene.stream).removesuffix("picture/")
        text = watcher.client.get(f"{base}master.m3u8").text
        assert faults_in_master(text) == []
        told = master_of(text)
        assert re.fullmatch(r"avc1\.[0-9A-Fa-f]{6},mp4a\.40\.2", told["CODECS"])
        assert (told["RESOLUTION"], told["AUDIO"]) == ("112x64", "sound")
        peaks: list[int] = []
        sizes, seconds = 0, 0.0
        for track in ("picture", "sound"):
            playlist = watcher.playlist(scene.stream, track)
            assert faults_in_media(playlist.text) == []
            lengths = {
                line: len(watcher.get(scene.stream, line.address, track).content)
                for line in playlist.entries
            }
            peaks.append(max(-(-n * 8 // line.seconds) for line, n in lengths.items()))
            if track == "picture":
                sizes, seconds = sum(lengths.values()), sum(line.seconds for line in lengths)
        assert sum(peaks) <= int(told["BANDWIDTH"]) <= sum(peaks) + 2
        assert sizes * 8 / seconds <= int(told["AVERAGE-BANDWIDTH"]) < int(told["BANDWIDTH"])


def test_the_rules_find_what_is_broken() -> None:
    good = (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n#EXT-X-PLAYLIST-TYPE:VOD\n"
        '#EXT-X-MAP:URI="i.mp4"\n#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z\n'
        "#EXTINF:6.0,\na.m4s\n#EXT-X-ENDLIST\n"
    )
    assert faults_in_media(good) == []
    for old, new in (
        ("#EXTM3U\n", ""),
        ("DURATION:6", "DURATION:5"),
        ("#EXTINF:6.0,\n", ""),
        ("VERSION:7", "VERSION:5"),
        ("#EXT-X-ENDLIST\n", ""),
        ('#EXT-X-MAP:URI="i.mp4"\n', ""),
        ("00.000Z", "00.000"),
    ):
        assert faults_in_media(good.replace(old, new)) != [], new
    line = '#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS="fLaC",AUDIO="s"'
    master = f'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="s",NAME="s",URI="s"\n{line}\np\n'
    assert faults_in_master(master) == []
    for old, new in (
        ("BANDWIDTH=9,", ""),
        ('"fLaC"', '"alaw"'),
        ('GROUP-ID="s"', 'GROUP-ID="t"'),
        ("\np\n", "\n"),
        (line, "#EXTINF:1,"),
    ):
        assert faults_in_master(master.replace(old, new)) != [], new


def test_ffmpeg_plays_picture_and_sound_by_a_ticket_alone(api: RunningApi, scene: Scene) -> None:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        absent("ffprobe")
        return
    scene.reel().segments(14)
    session = scene.session(0, 14, kind=SessionKind.OPENING)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        address = f"{api.base}{ticket(watcher)}{scene.stream}/master.m3u8"
        done = subprocess.run(
            [
                *(ffprobe, "-v", "error", "-count_frames", "-of", "json"),
                *("-show_entries", "stream=codec_name,nb_read_frames", address),
            ],
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert done.stderr == b""
        told = {
            s["codec_name"]: int(s["nb_read_frames"]) for s in json.loads(done.stdout)["streams"]
        }
        assert told["h264"] == 14 * 25 and set(told) == {"h264", "aac"}
    with api.database.read() as orm:
        seen = list(orm.scalars(select(AuditEntry).where(AuditEntry.action == "playback.seen")))
        (used,) = orm.scalars(select(AuditEntry).where(AuditEntry.action == "playback.ticket_used"))
    assert {entry.who for entry in [*seen, used]} == {f"auditor.{session} (ticket)"}


def test_a_ticket_ends_by_time_by_a_new_one_by_revocation_and_with_the_login(
    api: RunningApi, scene: Scene
) -> None:
    scene.reel().segments(4)
    session = scene.session(0, 4, kind=SessionKind.OPENING)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher, httpx.Client(base_url=api.base) as player:

        def status(path: str) -> int:
            return player.get(f"{path}{scene.stream}/picture/index.m3u8").status_code

        own = f"/api/v1/playbacks/{watcher.playback['id']}/ticket"
        first = ticket(watcher, minutes=2)
        assert status(first) == 200
        second = ticket(watcher)
        assert (status(first), status(second)) == (401, 200)
        assert watcher.client.post(f"{own}/revoke").status_code == 204
        assert watcher.client.post(f"{own}/revoke").status_code == 204
        assert status(second) == 401
        third = ticket(watcher, minutes=2)
        scene.clock.advance(119 * SECOND)
        assert status(third) == 200
        scene.clock.advance(SECOND)
        assert status(third) == 401
        for minutes in (0, 11):
            answer = watcher.client.post(own, json={"minutes": minutes})
            assert set(problem_of(answer, 422, "invalid-input")["fields"]) == {"minutes"}
        fourth = ticket(watcher)
        assert status(fourth) == 200
        # It is good for this viewing alone, and not where it was not made.
        assert status("/play/with/" + "A" * 22 + "/") == 401
        with api.database.write() as orm:
            for row in orm.scalars(select(PlaybackTicket)):
                row.address = "192.0.2.7"
        assert status(fourth) == 401
        fifth = ticket(watcher)
        with api.database.write() as orm:
            for grant in orm.scalars(select(Grant)):
                grant.revoked_us = scene.clock.utc_us()
        assert status(fifth) == 403
        with api.database.write() as orm:
            for grant in orm.scalars(select(Grant)):
                grant.revoked_us = None
        assert status(fifth) == 200
        watcher.client.post("/api/v1/auth/logout")
        assert status(fifth) == 401


def test_secret_footage_is_not_linked(api: RunningApi, clock: FakeClock) -> None:
    """Nor what becomes secret while the ticket is good, by another session's claim."""
    scene = Scene(api.database, api.parts.settings.spool, clock, RoomKind.EVALUATION)
    scene.reel().segments(4)
    session = scene.session(0, 4)
    clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        own = f"/api/v1/playbacks/{watcher.playback['id']}/ticket"
        problem_of(watcher.client.post(own, json={}), 403, "forbidden")
    with api.database.read() as orm:
        assert list(orm.scalars(select(PlaybackTicket))) == []
        (entry,) = orm.scalars(select(AuditEntry).where(AuditEntry.action == "playback.ticket"))
    assert not entry.allowed


def test_a_ticket_is_for_ones_own_viewing_and_for_people(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(4)
    session = scene.session(0, 4, kind=SessionKind.OPENING)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        own = f"/api/v1/playbacks/{watcher.playback['id']}/ticket"
        with api.as_user("another", Role.AUDITOR) as client:
            problem_of(client.post(own, json={}), 404, "not-found")
            problem_of(client.post(f"{own}/revoke"), 404, "not-found")
        watcher.client.post(f"/api/v1/playbacks/{watcher.playback['id']}/close")
        problem_of(watcher.client.post(own, json={}), 404, "not-found")


def test_logs_do_not_tell_tickets() -> None:
    line = "GET /play/with/AbC-_123/s1/master.m3u8 HTTP/1.1"
    assert redact(line) == "GET /play/with/***/s1/master.m3u8 HTTP/1.1"
