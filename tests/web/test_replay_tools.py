"""Small pictures under the cursor, an exact snapshot, markers: by mouse and key, on a real system."""

import io
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from support.browser import (
    apart,
    clock_us,
    frame_at,
    open_page,
    settled,
    sign_in,
    violations,
    wait_for_pictures,
)
from support.system import SECOND, RunningSystem
from support.wait import wait_until

from bidwitness.simulator.bars import read_bars

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def page(
    request: pytest.FixtureRequest,
    chromium: Browser,
    system: RunningSystem,
    sealed: str,
    cameras: int,
) -> Iterator[Page]:
    """The session's page, standing still; it asks nobody but our own server for anything.

    A test may choose the language by a parameter.
    """
    asked: set[str] = set()
    with open_page(chromium, system.base, getattr(request, "param", "zh")) as page:
        page.on("request", lambda sent: asked.add(sent.url))
        sign_in(page, "auditor", system.passwords["auditor"])
        page.goto(f"/sessions/{sealed}")
        wait_for_pictures(page, cameras)
        settled(page)
        yield page
    own = urlsplit(system.base).netloc
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {own}


def hover(page: Page, share: float) -> None:
    """Put the cursor on the first camera's lane, so far along the track."""
    box = page.locator(".track > canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + 26 + 11)


def thumbnail(page: Page, share: float) -> tuple[int, int | None]:
    """Wait for the small picture there; give its instant and the number that it spells."""
    picture = page.locator(".hover .picture")

    def there() -> bool:
        # The page asks again as the cursor moves, as it does under a hand.
        hover(page, share + 0.001)
        hover(page, share)
        return picture.count() == 1

    wait_until(there, 40, "the small picture")
    at = int(picture.get_attribute("data-at") or 0)
    image = cv2.imdecode(np.frombuffer(picture.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return at, read_bars(np.asarray(image, np.uint8))


def test_small_pictures_under_the_cursor(page: Page) -> None:
    before = clock_us(page)
    seen = [thumbnail(page, share) for share in (0.3, 0.7)]
    for at, number in seen:
        # A recorder's clock is that of arrival: a frame may count as the next one's, no more.
        assert number is not None
        assert apart([number, frame_at(at)]) <= 1
    assert seen[1][0] - seen[0][0] > 2 * SECOND
    assert clock_us(page) == before, "looking is not seeking"
    for theme in ("dark", "light"):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        hover(page, 0.5)
        assert page.locator(".hover .picture").is_visible()
        assert violations(page) == []
    # The twin of the canvas is as it was.
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    wait_until(lambda: clock_us(page) > before, 10, "the slider to move")


@pytest.mark.parametrize("page", ["en"], indirect=True)
def test_a_snapshot_shows_the_frame_of_the_asked_instant(page: Page, system: RunningSystem) -> None:
    # Away from the start: there the streams of a camera need not begin with the same frame.
    began = clock_us(page)
    page.keyboard.press("ArrowRight")
    wait_until(lambda: clock_us(page) > began + 4 * SECOND, 10, "the clock to go on")
    page.keyboard.press(".")
    shown = settled(page)
    asked = clock_us(page)
    page.keyboard.press("s")
    dialog = page.get_by_role("dialog")
    assert violations(page) == []
    dialog.locator("button[type=submit]").click()
    assert dialog.get_by_role("alert").count() == 1
    dialog.locator("input").fill("笔录附图")
    with page.expect_response("**/api/v1/snapshots") as answered:
        dialog.locator("button[type=submit]").click()
    assert answered.value.status == 201, answered.value.text()
    made = answered.value.json()
    picture = dialog.locator("img")
    wait_until(
        lambda: picture.count() == 1 and picture.evaluate("img => img.naturalWidth > 0"),
        20,
        "the snapshot",
    )
    assert violations(page) == []
    assert made["provenance"]["asked_us"] == asked
    assert made["from"] <= asked < made["to"]
    png = page.context.request.get(made["picture"]).body()
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    image = np.asarray(image, np.uint8)
    number = read_bars(image[: image.shape[1] * 9 // 16])
    assert number is not None
    assert apart([number, shown[0], frame_at(asked)]) <= 1, (number, shown, asked)
    with page.expect_download() as downloaded:
        dialog.locator("a[download$='.json']").click()
    provenance = json.load(io.BytesIO(downloaded.value.path().read_bytes()))
    assert provenance == made["provenance"]
    assert provenance["segments"][0]["fragments"][0]["sha256"]
    register = system.client.get("register")["items"]
    later = [row for entry in register for row in entry["later"]]
    assert [row["kind"] for row in later if row["reason"] == "笔录附图"] == ["copy"]


def test_a_marker_is_set_found_and_taken_back(page: Page) -> None:
    at = clock_us(page)
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog")
    assert violations(page) == []
    text = f"专家离席 {at}"
    dialog.locator("textarea").fill(text)
    dialog.locator("select").select_option("supervision")
    dialog.locator("button[type=submit]").click()
    listed = page.locator("section[aria-labelledby=markers]")
    row = listed.locator("tr", has_text=text)
    row.wait_for()
    assert violations(page) == []
    page.get_by_role("slider").focus()
    page.keyboard.press("End")
    wait_until(lambda: clock_us(page) != at, 10, "the clock to leave")
    row.locator("button.jump").click()
    wait_until(lambda: abs(clock_us(page) - at) <= SECOND // 25, 10, "the clock to come back")
    row.locator("td.act button").click()
    dialog.locator("input").fill("记错时间")
    dialog.locator("button[type=submit]").click()
    row.wait_for(state="detached")


def test_without_the_right_to_copy_there_is_no_button(
    chromium: Browser, system: RunningSystem, sealed: str, cameras: int
) -> None:
    grants = system.client.get("grants")["items"]
    for grant in grants:
        if grant["session_id"] == sealed:
            system.client.post(f"grants/{grant['id']}/revoke", {"reason": "test"})
    grant = {"media": ["picture"], "actions": ["replay"], "reason": "test"}
    system.client.grant({"username": "auditor", "session_id": sealed, **grant})
    with open_page(chromium, system.base, "en") as page:
        sign_in(page, "auditor", system.passwords["auditor"])
        page.goto(f"/sessions/{sealed}")
        wait_for_pictures(page, cameras)
        assert page.get_by_role("button", name="Marker").count() == 1
        assert page.get_by_role("button", name="Snapshot").count() == 0
        page.keyboard.press("s")
        assert page.get_by_role("dialog").count() == 0


def test_the_watermark_lies_over_every_picture(page: Page) -> None:
    layers = page.evaluate(
        """() => [...document.querySelectorAll('[data-tile] .picture')].map((picture) => {
            const height = (one) => Number(getComputedStyle(one).zIndex) || 0;
            const marks = [...picture.querySelectorAll('canvas:not(.keys)')].map(height);
            const pictures = [...picture.querySelectorAll('video, canvas.keys')].map(height);
            return [Math.min(...marks), Math.max(...pictures), marks.length, pictures.length];
        })"""
    )
    assert layers
    for mark, picture, marks, pictures in layers:
        assert mark > picture and marks == 1 and pictures >= 2


def test_a_record_of_what_was_watched(page: Page, system: RunningSystem, cameras: int) -> None:
    page.get_by_role("button", name="查看笔录").click()
    dialog = page.get_by_role("dialog")
    assert violations(page) == []
    dialog.locator("button[type=submit]").click()
    link = dialog.get_by_role("link", name="下载 PDF")
    wait_until(lambda: link.count() == 1, 60, "the record")
    assert "一致" in dialog.get_by_role("status").inner_text()
    for theme in ("dark", "light"):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        assert violations(page) == []
    document = page.context.request.get(str(link.get_attribute("href"))).body()
    assert document.startswith(b"%PDF")
    json_link = dialog.get_by_role("link", name="下载 JSON").get_attribute("href")
    facts = page.context.request.get(str(json_link)).json()
    # Every camera showed a picture, so something of each was sent, and those bytes still stand.
    watched = {item["stream"] for item in facts["sent"] if item["spans"]}
    assert len({one["camera"] for one in facts["streams"] if one["stream"] in watched}) == cameras
    assert {item["state"] for item in facts["files"]} == {"ok"}
