"""Fast and backward play by key frames, and the start on the sub-stream: on a real system."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route
from support.browser import (
    advance,
    apart,
    clock_us,
    frame_at,
    frames,
    open_page,
    settled,
    sign_in,
    violations,
    wait_for_pictures,
)
from support.system import SECOND, RunningSystem
from support.wait import wait_until

from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.spec import FPS, LOOP_FRAMES

# The virtual cameras send a key frame each second.
GOP = FPS

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def page(
    request: pytest.FixtureRequest,
    chromium: Browser,
    system: RunningSystem,
    sealed: str,
    cameras: int,
) -> Iterator[Page]:
    """The session's page, standing still at its beginning. A test may choose the language."""
    with open_page(chromium, system.base, getattr(request, "param", "zh")) as page:
        sign_in(page, "auditor", system.passwords["auditor"])
        page.goto(f"/sessions/{sealed}")
        wait_for_pictures(page, cameras)
        settled(page)
        yield page


def go_late(page: Page) -> None:
    """Go to where four fifths of the session are over."""
    box = page.locator(".track > canvas").bounding_box()
    assert box is not None
    before = clock_us(page)
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + 26 + 11)
    wait_until(lambda: clock_us(page) != before, 10, "the clock to leave")


LOOK = """() => {
    window.seen = [];
    window.looking = true;
    let last = '';
    const look = () => {
        const tiles = [...document.querySelectorAll('figure[data-tile]')];
        const keys = tiles.map((tile) => Number(tile.dataset.key));
        if (keys.every((key) => key > 0) && String(keys) !== last) {
            last = String(keys);
            const clock = Number(document.querySelector('[data-clock]').dataset.clock);
            const pictures = tiles.map((tile) => tile.querySelector('canvas').toDataURL());
            seen.push({ clock, keys, pictures });
        }
        if (window.looking) requestAnimationFrame(look);
    };
    look();
}"""


@dataclass(frozen=True)
class Sight:
    """What all tiles showed at one moment of play: the numbers in the pictures."""

    clock: int
    keys: list[int]
    numbers: list[int]


def sights(page: Page, rate: float) -> list[Sight]:
    """Play what is selected at a rate, and stop; give what was seen, in order."""
    page.locator(".transport select").first.select_option(str(rate))
    page.evaluate(LOOK)
    page.locator(".transport .play").click()
    wait_until(lambda: page.evaluate("seen.length") >= 6, 30, "six sights")
    page.keyboard.press("k")
    page.evaluate("window.looking = false")
    return [
        Sight(one["clock"], one["keys"], [number_in(url) for url in one["pictures"]])
        for one in page.evaluate("seen")
    ]


def number_in(url: str) -> int:
    data = np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None
    number = read_bars(np.asarray(image, np.uint8))
    assert number is not None
    return number


def check(seen: list[Sight], rate: float) -> None:
    """Key frames alone, in order, and no camera more than one of them from another."""
    for sight in seen:
        assert all(number % GOP == 0 for number in sight.numbers), seen
        # What a tile says of its picture may be a moment older than the picture.
        for key, number in zip(sight.keys, sight.numbers, strict=True):
            assert apart([number, frame_at(key)]) <= GOP + 1, seen
            # More than a second of play behind it would be masked.
            assert abs(key - sight.clock) < (abs(rate) + 2) * SECOND, seen
        assert apart(sight.numbers) <= GOP, seen
    direction = 1 if rate > 0 else -1
    for before, after in pairwise(seen):
        # The selection begins anew.
        if (after.clock - before.clock) * direction < 0:
            continue
        for old, new in zip(before.numbers, after.numbers, strict=True):
            assert 0 <= advance(old, new) * direction % LOOP_FRAMES < LOOP_FRAMES // 2, seen


def check_standing(page: Page) -> None:
    """All tiles show the frame of the instant that the page names."""
    shown = settled(page)
    assert page.locator("figure[data-key]").count() == 0
    assert apart([*shown, frame_at(clock_us(page))]) <= 1, (shown, clock_us(page))


@pytest.mark.parametrize("page", ["zh", "en"], indirect=True)
def test_forward_at_eight_and_backward_at_four(page: Page) -> None:
    page.keyboard.press("[")
    go_late(page)
    page.keyboard.press("]")
    for rate in (8, -4):
        check(sights(page, rate), rate)
        check_standing(page)


def test_a_hole_is_masked_and_the_page_says_what_it_shows(page: Page, cameras: int) -> None:
    streams: list[str] = []
    middle = clock_us(page) + 6 * SECOND

    def without_some(route: Route) -> None:
        """Of one camera no key frame stands for four seconds."""
        answer = route.fetch()
        body = answer.json()
        stream = route.request.url.split("/")[5]
        if stream not in streams:
            streams.append(stream)
        if stream == streams[0]:
            for piece in body["pieces"]:
                for key in piece["keys"]:
                    if abs(key["at"] - middle) < 2 * SECOND:
                        key["to"] = key["at"]
        route.fulfill(response=answer, body=json.dumps(body))

    page.route("**/keys?*", without_some)
    go_late(page)
    settled(page)
    page.keyboard.press("j")
    note = page.locator(".transport [role=status]", has_text="只显示关键帧")
    note.wait_for()
    assert "无声音" in note.inner_text() and "逐格" in note.inner_text()
    gap = page.locator("figure[data-view=gap]")
    gap.wait_for(timeout=20_000)
    assert "无录像" in gap.inner_text()
    shown = frames(page)
    assert sorted(isinstance(number, int) for number in shown.values()) == [
        False,
        *[True] * (cameras - 1),
    ]
    assert violations(page) == []
    gap.wait_for(state="detached", timeout=20_000)
    page.keyboard.press("l")
    wait_until(lambda: page.locator("figure[data-key]").count() == 0, 10, "the stream itself")
    assert page.locator(".transport select").first.input_value() == "1"
    page.keyboard.press("k")
    check_standing(page)


def test_an_enlarged_tile_keeps_its_picture_until_main_has_one(page: Page) -> None:
    tile = page.locator("figure[data-tile]").first
    width = "tile => tile.querySelector('video').videoWidth"
    small = tile.evaluate(width)
    page.evaluate(
        """() => {
            window.views = new Set();
            const look = () => {
                views.add(document.querySelector('figure[data-tile]')?.dataset.view);
                requestAnimationFrame(look);
            };
            look();
        }"""
    )
    tile.locator(".picture").dblclick()
    wait_until(lambda: page.locator("figure[data-tile]").count() == 1, 10, "one tile")
    wait_until(lambda: tile.evaluate(width) > small, 20, "the main stream's picture")
    wait_until(lambda: tile.locator("video").count() == 1, 10, "the sub-stream to go")
    check_standing(page)
    assert page.evaluate("[...views]") == ["picture"]
