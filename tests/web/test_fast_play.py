"""Fast and backward play by key frames, and the start on the sub-stream: on a real system."""

import json
from collections.abc import Iterator
from itertools import pairwise

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


def choose(page: Page, rate: float) -> None:
    page.locator(".transport select").first.select_option(str(rate))


def toggle(page: Page) -> None:
    page.locator(".transport .play").click()


def go_late(page: Page) -> None:
    """Go to where four fifths of the session are over."""
    box = page.locator(".track > canvas").bounding_box()
    assert box is not None
    before = clock_us(page)
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + 26 + 11)
    wait_until(lambda: clock_us(page) != before, 10, "the clock to leave")


def sights(page: Page, count: int) -> list[list[int]]:
    """Give the numbers on all tiles at some instants of play, none twice."""
    found: list[list[int]] = []

    def enough() -> bool:
        shown = list(frames(page).values())
        playing = page.locator("figure[data-key]").count() == len(shown)
        numbers = [number for number in shown if isinstance(number, int)]
        if playing and len(numbers) == len(shown) and numbers not in found[-1:]:
            found.append(numbers)
        return len(found) >= count

    wait_until(enough, 20, f"{count} sights")
    return found


def check_in_step(seen: list[list[int]]) -> None:
    """Key frames alone, and no camera more than one of them from another."""
    for numbers in seen:
        assert all(number % GOP == 0 for number in numbers), seen
        assert apart(numbers) <= GOP, seen


def check_standing(page: Page) -> None:
    """All tiles show the frame of the instant that the page names."""
    shown = settled(page)
    assert page.locator("figure[data-key]").count() == 0
    assert apart([*shown, frame_at(clock_us(page))]) <= 1, (shown, clock_us(page))


@pytest.mark.parametrize("page", ["zh", "en"], indirect=True)
def test_forward_at_eight_and_backward_at_four(page: Page) -> None:
    began = clock_us(page)
    choose(page, 8)
    toggle(page)
    seen = sights(page, 3)
    page.keyboard.press("k")
    check_in_step(seen)
    steps = [advance(a[0], b[0]) for a, b in pairwise(seen)]
    assert all(0 < step < LOOP_FRAMES // 2 for step in steps), seen
    check_standing(page)
    there = clock_us(page)
    assert there - began > 2 * SECOND
    go_late(page)
    check_standing(page)
    choose(page, -4)
    toggle(page)
    seen = sights(page, 3)
    page.keyboard.press("k")
    check_in_step(seen)
    steps = [advance(b[0], a[0]) for a, b in pairwise(seen)]
    assert all(0 < step < LOOP_FRAMES // 2 for step in steps), seen
    check_standing(page)


def test_a_hole_is_masked_and_the_page_says_what_it_shows(
    page: Page, system: RunningSystem
) -> None:
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
    for _ in range(2):
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
