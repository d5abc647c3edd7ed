"""A telephone line's recorder that belongs to two rooms: recorded, claimed by sessions of either,
proved, heard and shown by its level.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from support.browser import open_page, sign_in, violations, wait_for_pictures
from support.simulator import RunningSimulator, running_simulator, small_camera
from support.system import RunningSystem
from support.wait import wait_until
from support.watching import Viewer

from bidwitness.demo.cast import ROOMS
from bidwitness.demo.processes import bidwitness

pytestmark = pytest.mark.timeout(300)

PHONE, PLACE = "phone", "电话录音 Telephone"
RECORDED_S = 6
FRAGMENT_S = 0.45


@dataclass(frozen=True)
class Line:
    """The line's stream, and a sealed session of each room, at the same time."""

    camera_id: str
    stream_id: str
    sessions: tuple[str, ...]


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator([small_camera(PHONE, sound_only=True)]) as running:
        yield running


@pytest.fixture(scope="module")
def line(system: RunningSystem, simulator: RunningSimulator) -> Iterator[Line]:
    client = system.client
    place = client.post("rooms", {"name": PLACE, "kind": "duty"})["id"]
    rooms = [system.stage.rooms[name] for name in ROOMS]
    for room in rooms:
        client.put(f"rooms/{room}/linked-places", {"place_ids": [place]})
    found = client.post("cameras/probe", {"address": simulator.url(PHONE)})
    assert [stream["codec"] for stream in found["streams"]] == [None]
    assert found["streams"][0]["sound"] == "G.711A" and found["browser_playable"]
    camera = client.post(
        "cameras", {"name": PHONE, "room_id": place, "source_url": simulator.url(PHONE)}
    )
    system.record_on(2)
    sessions = tuple(system.book(room, lot=lot) for room, lot in zip(ROOMS, "12", strict=True))
    grant = {"media": ["picture", "sound"], "actions": ["replay", "copy"], "reason": "test"}
    for session in sessions:
        system.wait_state(session, "recording")
        client.grant({"username": "auditor", "session_id": session, **grant})
    system.record_on(RECORDED_S)
    for session in sessions:
        client.post(f"sessions/{session}/end", {"outcome": "completed"})
    for session in sessions:
        system.wait_state(session, "sealed", 90)
    (known,) = [c for c in client.all("cameras") if c["id"] == camera["id"]]
    yield Line(camera["id"], known["streams"][0]["id"], sessions)
    for room in rooms:
        client.put(f"rooms/{room}/linked-places", {"place_ids": []})
    client.delete(f"cameras/{camera['id']}")


def lane_of(system: RunningSystem, line: Line, session: str) -> dict[str, Any]:
    lanes = system.client.get(f"sessions/{session}/timeline")["streams"]
    (lane,) = [lane for lane in lanes if lane["stream_id"] == line.stream_id]
    return dict(lane)


def test_a_session_of_either_room_claims_it(system: RunningSystem, line: Line) -> None:
    for session in line.sessions:
        facts = system.client.get(f"sessions/{session}")
        (claim,) = [c for c in facts["claims"] if c["stream_id"] == line.stream_id]
        assert claim["class"] == "linked"
        lane = lane_of(system, line, session)
        # Sound is all that was due of it, and no picture is missing.
        assert lane["tracks"] == ["sound"] and lane["gaps"] == []
        assert lane["coverage"] == {"sound": 1.0}
        (camera,) = [c for c in facts["cameras"] if c["camera_id"] == line.camera_id]
        assert [medium["medium"] for medium in camera["media"]] == ["sound"]
        assert system.client.post(f"sessions/{session}/verify")["ok"]


def whole_playlist(viewer: Viewer, base: str) -> str:
    """Give the sound's playlist once it is complete: a shared segment's end may still be written."""

    def playlist() -> str:
        return viewer.http.get(f"{base}/sound/index.m3u8").raise_for_status().text

    wait_until(lambda: "#EXT-X-ENDLIST" in playlist(), 30, "the playlist's end")
    return playlist()


def test_it_is_heard_and_not_seen_in_a_viewing(system: RunningSystem, line: Line) -> None:
    viewer = Viewer(system.base, "auditor", system.passwords["auditor"])
    try:
        for session in line.sessions:
            playback = viewer.open(session)
            (stream,) = [s for s in playback["streams"] if s["stream_id"] == line.stream_id]
            assert stream["tracks"] == ["sound"]
            base = f"/play/{playback['id']}/{line.stream_id}"
            playlist = whole_playlist(viewer, base)
            lines = re.findall(r"#EXTINF:([\d.]+),\n(\S+)", playlist)
            missing = sum(float(seconds) for seconds, name in lines if name.startswith("gap-"))
            heard = sum(float(seconds) for seconds, _ in lines) - missing
            # The fragment in which a session that was not foreseen begins is shown to nobody.
            assert heard > RECORDED_S and missing < 2 * FRAGMENT_S, lines
            for entry in [name for _, name in lines if not name.startswith("gap-")]:
                viewer.http.get(f"{base}/sound/{entry}").raise_for_status()
            for path in ("picture/index.m3u8", "thumbnails"):
                refused = viewer.http.get(f"{base}/{path}")
                assert refused.status_code == 404
                assert "sound alone: there is no picture" in refused.json()["detail"]
            wish = {"playback_id": playback["id"], "stream_id": line.stream_id}
            refused = viewer.http.post(
                "/api/v1/snapshots", json={**wish, "at": playback["from"] + 1, "reason": "test"}
            )
            assert refused.status_code == 404
            assert "sound alone: there is no picture" in refused.json()["detail"]
    finally:
        viewer.close()


def test_its_package_and_its_file_are_whole(
    system: RunningSystem, line: Line, tmp_path: Path
) -> None:
    session = line.sessions[0]
    wait_until(
        lambda: (system.client.get(f"sessions/{session}")["log"] or {}).get("covered"), 90, "log"
    )
    package = tmp_path / "package.zip"
    with system.signed_in("auditor") as auditor:
        job = auditor.post("exports", {"session_id": session, "reason": "test", "form": "package"})[
            "id"
        ]
        wait_until(lambda: auditor.get(f"exports/{job}")["state"] == "done", 60, "the export")
        with package.open("wb") as file:
            auditor.download(f"exports/{job}/package", file.write)
    policy = tmp_path / "policy"
    bidwitness(system.settings, "trust", "--out", str(policy))
    words = ("verify", str(package), "--policy", str(policy), "--json")
    report = json.loads(bidwitness(system.settings, *words))
    assert report["problems"] == [] and report["unproven"] == []
    words = ("clip", session, "--out", str(tmp_path), "--json")
    clips = json.loads(bidwitness(system.settings, *words))["cameras"]
    (clip,) = [clip for clip in clips if clip["camera"] == PHONE]
    assert clip["seconds"] > RECORDED_S and clip["gaps"] == 0


@pytest.fixture
def page(chromium: Browser, system: RunningSystem, line: Line) -> Iterator[Page]:
    with open_page(chromium, system.base) as page:
        yield page


def level(page: Page) -> float:
    meter = page.locator("figure[data-view=sound] [role=meter]")
    return float(meter.get_attribute("aria-valuenow") or -80)


def test_on_the_wall_it_is_a_tile_with_a_level(
    page: Page, system: RunningSystem, line: Line
) -> None:
    # What is said near an evaluation is heard by who is on duty for it, while it runs.
    session = system.book(next(iter(ROOMS)), lot="1")
    system.wait_state(session, "recording")
    sign_in(page, "supervisor", system.passwords["supervisor"])
    page.goto(f"/wall?n=1&cams={line.camera_id}")
    tile = page.locator("figure[data-view=sound]")
    tile.wait_for()
    assert PHONE in (tile.get_attribute("data-tile") or "")
    assert "只有声音" in tile.inner_text() and tile.locator("video").count() == 0
    wait_until(lambda: level(page) > -70, 20, "a level")
    tile.get_by_role("button", name="收听").first.click()
    wait_until(
        lambda: page.evaluate("document.querySelector('audio')?.currentTime > 0.5"), 20, "its sound"
    )
    assert violations(page) == []
    system.client.post(f"sessions/{session}/end", {"outcome": "completed"})


def test_in_a_replay_it_is_a_tile_with_a_level(
    page: Page, system: RunningSystem, line: Line
) -> None:
    sign_in(page, "auditor", system.passwords["auditor"])
    page.goto(f"/sessions/{line.sessions[1]}")
    wait_for_pictures(page, 2)
    tile = page.locator("figure[data-view=sound]")
    tile.wait_for()
    page.keyboard.press(" ")
    wait_until(lambda: level(page) > -70, 30, "a level")
    assert tile.locator("video").count() == 0
    assert violations(page) == []
