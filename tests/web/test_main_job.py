"""The pages on a system that records: watched live, rewound, and replayed in step.

What a viewer sees is read from screenshots: the bar code in every picture spells its number.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page
from support.browser import (
    advance,
    apart,
    clock_us,
    frame_at,
    frames,
    numbers,
    open_page,
    settled,
    sign_in,
    violations,
    wait_for_pictures,
)
from support.system import SECOND, RunningSystem
from support.wait import wait_until

from bidwitness.demo.cast import CAMERAS, LOTS, PROJECT_CODE
from bidwitness.simulator.spec import FRAME_US, LOOP_FRAMES

FPS = 25
# Long enough to rewind by 20 s and to seek beyond what a player loads ahead.
RECORDED_S = 36
# The virtual cameras' pictures come round after 16 s; less than half is surely forward.
HALF_ROUND = LOOP_FRAMES // 2
LANGUAGES = ("zh", "en")

pytestmark = pytest.mark.timeout(300)


@dataclass
class Recording:
    """The session that every test here looks at; it still records until ``end``."""

    system: RunningSystem
    session_id: str

    def seconds(self) -> float:
        session = self.system.client.get(f"sessions/{self.session_id}")
        return float(self.system.clock.utc_us() - session["started_at"]) / SECOND

    def end(self) -> None:
        if self.system.state(self.session_id) == "recording":
            wait_until(lambda: self.seconds() > RECORDED_S, RECORDED_S + 5, "enough footage")
            self.system.client.post(f"sessions/{self.session_id}/end", {"outcome": "completed"})
        self.system.wait_state(self.session_id, "sealed", 90)


@pytest.fixture(scope="module")
def recording(system: RunningSystem) -> Recording:
    now = system.clock.utc_us()
    body = {
        "items": [{"project_code": PROJECT_CODE, "lot_code": lot} for lot in LOTS],
        "kind": "opening",
        "bookings": [
            {"room_id": room, "from": now, "to": now + 3600 * SECOND, "role": role}
            for room, role in zip(system.stage.rooms.values(), ("main", "sub"), strict=True)
        ],
        "classified": False,
    }
    session_id = str(system.client.post("sessions", body)["id"])
    grant = {"media": ["picture", "sound"], "actions": ["replay"], "reason": "test"}
    system.client.grant({"username": "auditor", "session_id": session_id, **grant})
    system.wait_state(session_id, "recording")
    return Recording(system, session_id)


@pytest.fixture
def supervisor(chromium: Browser, system: RunningSystem) -> Iterator[Page]:
    with open_page(chromium, system.base) as page:
        sign_in(page, "supervisor", system.passwords["supervisor"])
        yield page


@pytest.fixture
def auditor(chromium: Browser, system: RunningSystem) -> Iterator[Page]:
    with open_page(chromium, system.base) as page:
        sign_in(page, "auditor", system.passwords["auditor"])
        yield page


def test_the_wall_shows_moving_pictures(recording: Recording, supervisor: Page) -> None:
    supervisor.goto("/wall")
    wait_for_pictures(supervisor, len(CAMERAS))
    before = numbers(supervisor)

    def all_moved() -> bool:
        return all(
            0 < advance(old, new) < HALF_ROUND
            for old, new in zip(before, numbers(supervisor), strict=True)
        )

    wait_until(all_moved, 10, "every tile to show a later frame")
    # Live tiles are not held in step, but none may lag far behind the others.
    assert apart(numbers(supervisor)) <= 2 * FPS


def test_a_running_session_is_rewound(recording: Recording, supervisor: Page) -> None:
    wait_until(lambda: recording.seconds() > 30, 60, "footage to rewind in")
    supervisor.goto(f"/sessions/{recording.session_id}")
    wait_for_pictures(supervisor, len(CAMERAS))
    supervisor.get_by_role("button", name="跟上录制").click()
    wait_until(lambda: _moves(supervisor), 20, "the replay to follow the recording")
    supervisor.keyboard.press("k")
    latest = settled(supervisor)
    _assert_true(supervisor, latest)
    before = clock_us(supervisor)
    for _ in range(2):
        supervisor.get_by_role("button", name="后退 10 秒").click()
    wait_until(lambda: clock_us(supervisor) < before - 19 * SECOND, 10, "the clock to go back")
    earlier = settled(supervisor)
    _assert_true(supervisor, earlier)
    assert before - clock_us(supervisor) <= 20 * SECOND + FRAME_US
    supervisor.keyboard.press("l")
    wait_until(lambda: _moves(supervisor), 20, "the rewound replay to play")
    assert recording.system.state(recording.session_id) == "recording"


def _assert_true(page: Page, shown: list[int]) -> None:
    """Assert that all tiles show the frame of the instant that the page names."""
    assert len(set(shown)) == 1, shown
    # A recorder's clock is that of arrival: a frame may count as the next one's, no more.
    assert apart([shown[0], frame_at(clock_us(page))]) <= 1, (shown, clock_us(page))


def _moves(page: Page) -> bool:
    """Tell whether all tiles show a picture, and later ones than a moment ago."""
    before, after = frames(page), frames(page)
    pairs = list(zip(before.values(), after.values(), strict=True))
    return bool(pairs) and all(
        isinstance(old, int) and isinstance(new, int) and 0 < advance(old, new) < HALF_ROUND
        for old, new in pairs
    )


def test_a_sealed_session_is_replayed_in_step(recording: Recording, auditor: Page) -> None:
    recording.end()
    auditor.goto(f"/sessions/{recording.session_id}")
    wait_for_pictures(auditor, len(CAMERAS))
    auditor.keyboard.press("Space")
    wait_until(lambda: _moves(auditor), 20, "the tiles to play")
    spreads = []
    for _ in range(3):
        playing = numbers(auditor)
        spreads.append(apart(playing))
        auditor.keyboard.press("Space")
        _assert_true(auditor, settled(auditor))
        auditor.keyboard.press("Space")
        wait_until(lambda: _moves(auditor), 20, "the tiles to play on")
    # A screenshot may fall between the paints of two tiles.
    assert sorted(spreads)[1] <= 1, spreads


def test_a_seek_to_what_is_not_loaded_paints_the_frame_that_was_asked_for(
    recording: Recording, auditor: Page
) -> None:
    recording.end()
    auditor.goto(f"/sessions/{recording.session_id}")
    wait_for_pictures(auditor, len(CAMERAS))
    settled(auditor)
    began = clock_us(auditor)
    auditor.get_by_role("slider").focus()
    # 23.44 s on: beyond the 12 s that a tile loads ahead, in the middle of a GOP of a second.
    for key, times in (("Shift+ArrowRight", 2), ("ArrowRight", 3), (".", 11)):
        for _ in range(times):
            auditor.keyboard.press(key)
    wait_until(lambda: clock_us(auditor) - began > 23 * SECOND, 10, "the clock to be there")
    _assert_true(auditor, settled(auditor))


def test_frames_are_stepped_one_by_one(recording: Recording, auditor: Page) -> None:
    recording.end()
    auditor.goto(f"/sessions/{recording.session_id}")
    wait_for_pictures(auditor, len(CAMERAS))
    first = settled(auditor)[0]
    for step in range(1, 4):
        auditor.keyboard.press(".")
        expected = [(first + step) % LOOP_FRAMES] * len(CAMERAS)
        wait_until(lambda want=expected: numbers(auditor) == want, 5, f"step {step}")
    auditor.keyboard.press(",")
    wait_until(
        lambda: numbers(auditor) == [(first + 2) % LOOP_FRAMES] * len(CAMERAS), 5, "the step back"
    )


def test_sound_is_heard_only_when_asked_for(recording: Recording, auditor: Page) -> None:
    recording.end()
    auditor.goto(f"/sessions/{recording.session_id}")
    wait_for_pictures(auditor, len(CAMERAS))
    auditor.keyboard.press("Space")
    audio = auditor.locator("audio")
    assert audio.evaluate("audio => audio.paused && !audio.currentSrc")
    auditor.keyboard.press("m")
    wait_until(
        lambda: audio.evaluate("audio => !audio.paused && audio.readyState >= 3"), 15, "the sound"
    )
    # Pictures carry no sound of their own.
    assert auditor.locator("video").evaluate_all("all => all.every((video) => video.muted)")


def test_a_gap_is_stated_and_no_picture_stands_for_it(
    system: RunningSystem, chromium: Browser
) -> None:
    """The recorder is killed twice: in the middle of a session, and just before its end."""
    room = next(iter(system.stage.rooms))
    session_id = system.book(room)
    system.wait_state(session_id, "recording")
    grant = {"media": ["picture"], "actions": ["replay"], "reason": "test"}
    system.client.grant({"username": "auditor", "session_id": session_id, **grant})
    system.record_on(4)
    system.kill("record")
    system.record_on(11)
    system.kill("record")
    killed = system.clock.utc_us()
    wait_until(lambda: system.clock.utc_us() - killed > 2 * SECOND, 10, "a hole at the end")
    system.client.post(f"sessions/{session_id}/end", {"outcome": "completed"})
    system.wait_state(session_id, "sealed", 90)
    with open_page(chromium, system.base) as page:
        sign_in(page, "auditor", system.passwords["auditor"])
        page.goto(f"/sessions/{session_id}")
        cameras = len([camera for camera in CAMERAS if camera.room == room])
        wait_for_pictures(page, cameras)
        jumps = page.locator("section[aria-labelledby=gaps] button.jump")
        for jump in (jumps.first, jumps.last):
            _assert_gap_covered(page, jump, cameras)
        assert violations(page) == []


def _assert_gap_covered(page: Page, jump: Locator, cameras: int) -> None:
    """Go to a gap by its line in the table, and see every tile say what is missing and why."""
    # The table of gaps leads to two seconds before one.
    jump.click()
    _assert_true(page, settled(page))
    page.get_by_role("slider").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    wait_until(lambda: set(frames(page).values()) == {"gap"}, 10, "every tile to be covered")
    covers = page.locator("figure[data-tile] .mask").all_inner_texts()
    assert len(covers) == cameras
    said = re.compile(r"无录像 \d\d:\d\d:\d\d–\d\d:\d\d:\d\d\s+录制服务停止")
    assert all(said.search(text) for text in covers), covers


@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing_where_footage_is_seen(
    recording: Recording, chromium: Browser, language: str
) -> None:
    recording.end()
    system = recording.system
    with open_page(chromium, system.base, language) as page:
        sign_in(page, "auditor", system.passwords["auditor"])
        page.goto(f"/sessions/{recording.session_id}")
        wait_for_pictures(page, len(CAMERAS))
        assert violations(page) == []
    with open_page(chromium, system.base, language) as page:
        sign_in(page, "supervisor", system.passwords["supervisor"])
        page.goto("/wall")
        wait_for_pictures(page, len(CAMERAS))
        assert violations(page) == []
