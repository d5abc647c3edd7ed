"""The page of displays, and a display itself: paired, watched, signed in on, and left again."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, put_on_duty, running_api
from support.browser import open_page, sign_in, violations
from support.factories import HOUR, a_room, streams_of
from support.live import LiveProcess, TapCamera, tap_camera
from support.places import a_claim, a_session

from bidwitness.clock import SystemClock
from bidwitness.config import load_settings
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Booking, Login, Marker
from bidwitness.words import BookingRole, Role, RoomKind, SessionKind, SessionState, StreamRole

pytestmark = pytest.mark.timeout(300)
LANGUAGES = ("zh", "en")


@dataclass
class Wall:
    """A running opening before a camera that is none but sends, a guard on duty for it."""

    api: RunningApi
    session: str


@contextmanager
def sending(camera: TapCamera) -> Iterator[None]:
    """Let it send its pictures as a camera does."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.04):
            camera.send(1)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


@pytest.fixture
def wall(sqlite_index: Database, tmp_path: Path) -> Iterator[Wall]:
    settings, clock = load_settings(data=tmp_path), SystemClock()
    now = clock.utc_us()
    with sqlite_index.write() as orm:
        room = a_room(orm, "开标一", RoomKind.OPENING, sub=False)
        (stream,) = streams_of(orm, room, role=StreamRole.MAIN)
        a_room(orm, "监督室", RoomKind.SUPERVISION, cameras=0)
        a_room(orm, "评标一", RoomKind.EVALUATION, sub=False)
    session = a_session(sqlite_index, state=SessionState.RECORDING, kind=SessionKind.OPENING)
    a_claim(sqlite_index, session, stream, now - HOUR, None)
    with sqlite_index.write() as orm:
        orm.add(
            Booking(
                session_id=session,
                room_id=room.id,
                seat_ids=[],
                from_us=now - HOUR,
                to_us=now + HOUR,
                role=BookingRole.MAIN,
            )
        )
    with ExitStack() as stack:
        live = stack.enter_context(LiveProcess(settings.run_dir, settings.live_key_file))
        api = stack.enter_context(running_api(sqlite_index, tmp_path, live_port=live.port))
        camera = stack.enter_context(tap_camera(settings.run_dir, stream))
        camera.begin()
        stack.enter_context(sending(camera))
        api.add_user("security", Role.SECURITY_ADMIN)
        yield Wall(api, session)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_registered_renamed_and_revoked(wall: Wall, chromium: Browser, language: str) -> None:
    with open_page(chromium, wall.api.base, language) as page:
        sign_in(page, "security", PASSWORD)
        page.locator("nav a[href='/displays']").click()
        expect(page.locator(".empty")).to_be_visible()
        expect(page.locator("input[name=duty-at-posts]")).not_to_be_checked()
        assert violations(page) == []
        page.locator(".page-head button").click()
        dialog = page.locator("dialog")
        dialog.locator("button[type=submit]").click()
        expect(dialog.get_by_role("alert").first).to_be_visible()
        dialog.locator("input[name=display-name]").fill("监督室大屏")
        dialog.locator("input[name=display-network]").fill("10.1.2.3/24")
        dialog.locator("input[name=display-reason]").fill("监督室")
        dialog.locator("button[type=submit]").click()
        expect(dialog.get_by_role("alert").first).to_contain_text("10.1.2.0/24")
        assert violations(page) == []
        dialog.locator("input[name=display-network]").fill("")
        dialog.locator("button[type=submit]").click()
        code = page.locator("[data-told]")
        expect(code).to_have_count(1)
        assert len(code.inner_text()) == 14
        expect(page.locator("dialog")).to_contain_text("/display")
        assert violations(page) == []
        page.locator("dialog button").last.click()
        row = page.locator("tbody tr")
        expect(row.locator(".tag.warn")).to_be_visible()
        expect(row).to_contain_text("监督室")
        row.locator("button").nth(0).click()
        dialog.locator("input[name=display-text]").fill("大屏二")
        dialog.locator("button[type=submit]").click()
        expect(row).to_contain_text("大屏二")
        row.locator("button").nth(2).click()
        dialog.locator("button[type=submit]").click()
        expect(dialog.get_by_role("alert")).to_be_visible()
        assert violations(page) == []
        dialog.locator("input[name=display-text]").fill("搬走")
        dialog.locator("button[type=submit]").click()
        expect(row.locator(".tag.idle")).to_be_visible()
        expect(row.locator("button")).to_have_count(0)
        # Where duty is done: a network is listed and taken off, the setting is kept.
        posts = page.locator("section[aria-labelledby=posts-title]")
        posts.locator("input[name=network-name]").fill("监督楼")
        posts.locator("input[name=network-address]").fill("10.1.2.0/24")
        posts.locator("button[type=submit]").click()
        expect(posts.locator("li")).to_contain_text("10.1.2.0/24")
        posts.locator("input[name=duty-at-posts]").check()
        page.reload()
        expect(posts.locator("input[name=duty-at-posts]")).to_be_checked()
        assert violations(page) == []
        posts.locator("li button").click()
        expect(posts.locator("li")).to_have_count(0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_display_is_paired_signed_in_on_and_left(
    wall: Wall, chromium: Browser, language: str
) -> None:
    api = wall.api
    guard = api.add_user("zhou", Role.SUPERVISOR, on_duty=False)
    with api.as_user("security") as security, open_page(chromium, api.base, language) as page:
        body = {"name": "大厅屏", "place": "大厅", "reason": "公示"}
        made = security.post("/api/v1/displays", json=body).json()
        page.goto("/display")
        page.locator("input[name=code]").fill("AAAA-BBBB-CCCC")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert violations(page) == []
        page.locator("input[name=code]").fill(made["code"].lower())
        page.keyboard.press("Enter")
        tile = page.locator("figure[data-tile]")
        # Nobody is on duty: it says so, and of the closed room nothing at all.
        expect(tile).to_have_count(1)
        expect(page.locator("figure[data-view=held]")).to_be_visible()
        expect(page.locator(".duty.nobody")).to_be_visible()
        assert violations(page) == []
        with api.database.write() as orm:
            put_on_duty(orm, guard)
        expect(page.locator("figure[data-view=picture]")).to_be_visible(timeout=15_000)
        expect(page.locator(".duty")).to_contain_text("zhou")
        expect(page.locator("[data-clock]")).to_be_visible()
        assert violations(page) == []
        # A picture is all it has until somebody signs in.
        expect(tile.locator("button")).to_have_count(0)
        page.evaluate("document.querySelector('video').mine = true")
        page.locator("header .acts button").first.click()
        assert violations(page) == []
        page.locator("input[name=username]").fill("zhou")
        page.locator("input[name=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(tile.locator("button")).to_have_count(3)
        expect(page.locator(".person")).to_contain_text("zhou")
        assert violations(page) == []
        tile.locator("button").nth(0).click()
        expect(tile.locator("button").nth(0)).to_have_attribute("aria-pressed", "true")
        tile.locator("button").nth(1).click()
        page.locator("dialog textarea").fill("开标人未到")
        page.locator("dialog button[type=submit]").click()
        expect(page.locator("dialog")).to_have_count(0)
        with api.database.write() as orm:
            assert orm.scalars(select(Marker)).one().text == "开标人未到"
            # Her login ends: the page learns of it, and the pictures go on where they were.
            for login in orm.scalars(select(Login).where(Login.display_id.is_not(None))):
                login.ended_us = SystemClock().utc_us()
        expect(page.locator(".person")).to_have_count(0, timeout=15_000)
        expect(tile.locator("button")).to_have_count(0)
        expect(page.locator("figure[data-view=picture]")).to_be_visible()
        assert page.evaluate("document.querySelector('video').mine") is True
        # Anywhere else it goes back to its pictures; revoked, it asks for a code.
        page.goto("/sessions")
        expect(page).to_have_url(f"{api.base}/display")
        path = f"/api/v1/displays/{made['display']['id']}/revoke"
        assert security.post(path, json={"reason": "搬走"}).status_code == 200
        expect(page.locator("input[name=code]")).to_be_visible(timeout=15_000)
        expect(tile).to_have_count(0)
        assert violations(page) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_display_that_may_show_nothing_says_so(
    wall: Wall, chromium: Browser, language: str
) -> None:
    api = wall.api
    # What is closed is shown in a supervision room only.
    scope = {"room_kind": RoomKind.EVALUATION.value}
    body = {"name": "大厅屏", "place": "大厅", "scope": scope, "reason": "公示"}
    with api.as_user("security") as security, open_page(chromium, api.base, language) as page:
        made = security.post("/api/v1/displays", json=body).json()
        page.goto("/display")
        page.locator("input[name=code]").fill(made["code"])
        page.keyboard.press("Enter")
        expect(page.locator("main .empty")).to_be_visible()
        assert violations(page) == []
