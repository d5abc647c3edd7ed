"""A real Chromium on our pages: signed in, its tiles read from screenshots, its pages checked."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright
from support.needs import absent
from support.wait import wait_until

from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.spec import FRAME_US, LOOP_FRAMES

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "api" / "static" / "index.html"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
# Never beyond loopback, and no wait for a graphics card that is not there.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

Frames = dict[str, int | str | None]
Image = NDArray[np.uint8]

TILES = """() => [...document.querySelectorAll('figure[data-tile]')].map((tile) => {
    const video = tile.querySelector('video');
    const box = video?.getBoundingClientRect();
    return {
        name: tile.dataset.tile,
        view: tile.dataset.view,
        videoWidth: video?.videoWidth ?? 0,
        videoHeight: video?.videoHeight ?? 0,
        box: box && { x: box.x, y: box.y, width: box.width, height: box.height },
    };
})"""


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start the system's Chromium; stop it at the end."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        absent("Chromium")
    if not STATIC.is_file() or not AXE.is_file():
        absent("The built pages (make web)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Browser, base: str, language: str = "zh") -> Iterator[Page]:
    """Give a page of a fresh profile; fail at its end on any error that its code raised."""
    context = browser.new_context(
        base_url=base, viewport={"width": 1440, "height": 900}, locale="zh-CN"
    )
    context.add_init_script(f"localStorage.setItem('bidwitness.language', '{language}')")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            errors.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    try:
        yield page
    finally:
        context.close()
    assert not errors, errors


def sign_in(page: Page, username: str, password: str) -> None:
    """Sign in through the page, as a person does."""
    page.goto("/")
    page.locator("input[name=username]").fill(username)
    page.locator("input[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.locator("nav").wait_for()


def frames(page: Page) -> Frames:
    """Read a screenshot: per tile its frame number, or what covers it, or None if unreadable."""
    # All places at once: tiles come and go between two questions.
    tiles = page.evaluate(TILES)
    shot = np.frombuffer(page.screenshot(), np.uint8)
    decoded = cv2.imdecode(shot, cv2.IMREAD_COLOR)
    assert decoded is not None
    image = np.asarray(decoded, np.uint8)
    found: Frames = {}
    for tile in tiles:
        if tile["view"] != "picture" or not tile["videoWidth"]:
            found[tile["name"]] = tile["view"]
        else:
            picture = _picture(image, tile["box"], tile["videoWidth"] / tile["videoHeight"])
            # While the page scrolls, a tile may have left the sight.
            found[tile["name"]] = read_bars(picture) if picture.size else None
    return found


def _picture(image: Image, box: dict[str, float], aspect: float) -> Image:
    """Cut out the picture that is fitted into a video element's box."""
    width = min(box["width"], box["height"] * aspect)
    height = width / aspect
    left = box["x"] + (box["width"] - width) / 2
    top = box["y"] + (box["height"] - height) / 2
    if top < 0 or left < 0:
        return image[:0]
    return image[round(top) : round(top + height), round(left) : round(left + width)]


def numbers(page: Page) -> list[int]:
    """Give the frame numbers on the tiles; fail if any tile shows none."""
    found = frames(page)
    assert found and all(isinstance(number, int) for number in found.values()), found
    return [number for number in found.values() if isinstance(number, int)]


def wait_for_pictures(page: Page, count: int, timeout: float = 30) -> None:
    """Return once ``count`` tiles show a picture whose frame number can be read."""

    def shown() -> bool:
        return sum(isinstance(number, int) for number in frames(page).values()) >= count

    wait_until(shown, timeout, f"{count} tiles with a picture")


def advance(before: int, after: int) -> int:
    """Frames from one number to a later one. The virtual cameras' pictures come round again."""
    return (after - before) % LOOP_FRAMES


def apart(numbers: list[int]) -> int:
    """Give the largest distance in frames between any two numbers."""
    return max(min(advance(a, b), advance(b, a)) for a in numbers for b in numbers)


def frame_at(instant_us: int) -> int:
    """Give the number that every virtual camera showed at an instant: they are genlocked."""
    return instant_us // FRAME_US % LOOP_FRAMES


def clock_us(page: Page) -> int:
    """Read the instant that the replay says it shows."""
    return int(page.locator("[data-clock]").get_attribute("data-clock") or 0)


def settled(page: Page, timeout: float = 30) -> list[int]:
    """Wait until the replay says it stands, and does; give the frame numbers of its tiles."""
    last: list[Frames] = [{}]

    def still() -> bool:
        stands = page.locator(".replay[aria-busy=false]").count() == 1
        now = frames(page)
        same = now == last[0] and all(isinstance(number, int) for number in now.values())
        # What is on the screen may be a moment older than what the page has been told of it.
        last[0] = now if stands else {}
        return stands and bool(now) and same

    try:
        wait_until(still, timeout, "the tiles to stand still")
    except AssertionError as error:
        raise AssertionError(f"{error}: {_standing(page)}, last seen {last[0]}") from error
    return [number for number in last[0].values() if isinstance(number, int)]


def _standing(page: Page) -> str:
    """Say what the replay says of itself, and where each tile's media element is."""
    return str(
        page.evaluate(
            """() => [
                document.querySelector('.replay')?.getAttribute('aria-busy'),
                document.querySelector('[data-clock]')?.dataset.clock,
                ...[...document.querySelectorAll('figure[data-tile]')].map((tile) => {
                    const media = tile.querySelector('video');
                    return [tile.dataset.view, media?.currentTime, media?.paused, media?.seeking,
                        media?.readyState, tile.getBoundingClientRect().top].join(' ');
                }),
            ]"""
        )
    )


def violations(page: Page) -> list[str]:
    """Run axe-core on the page as it is; give what it finds, with the places."""
    # Evaluated rather than added as an element: the pages' policy allows no inline script.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        """async (rules) => {
            // Colours on their way from one theme to the other are neither's.
            const ending = document.getAnimations().filter(
                (one) => one.effect.getComputedTiming().endTime !== Infinity,
            );
            await Promise.all(ending.map((one) => one.finished.catch(() => undefined)));
            const result = await axe.run(document, { runOnly: rules });
            return result.violations.map(
                (one) => one.id + ': ' + one.nodes.map((node) => node.target.join(' ')).join(', '),
            );
        }""",
        list(RULES),
    )
    return [str(one) for one in found]
