"""A supervisor off duty opens a session on her own, and the director reviews it, on the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, running_api
from support.browser import open_page, sign_in, violations
from support.clock import FakeClock
from support.places import MINUTE, Shelf
from support.viewing import Scene

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Grant, Playback
from bidwitness.words import Role, SessionState


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[RunningApi]:
    with running_api(
        sqlite_index, tmp_path, clock=clock, login_hours=10_000, idle_minutes=600_000
    ) as api:
        api.add_user("zhou", Role.SUPERVISOR, on_duty=False)
        api.add_user("dong", Role.DIRECTOR)
        yield api


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_was_refused_is_opened_told_and_reviewed(
    chromium: Browser, site: RunningApi, clock: FakeClock, language: str
) -> None:
    scene = Scene(site.database, site.parts.settings.spool, clock)
    session = scene.session(0, None, state=SessionState.RECORDING)
    Shelf(site.database, site.parts.settings.spool).segment(scene.stream, scene.at(0))
    clock.advance(MINUTE)
    with open_page(chromium, site.base, language) as page:
        sign_in(page, "zhou", PASSWORD)
        page.goto(f"/sessions/{session}")
        page.locator("main .empty button").click()
        dialog = page.locator("dialog")
        expect(dialog.locator("li")).to_have_count(3)
        dialog.locator("button[type=submit]").click()
        expect(dialog.get_by_role("alert")).to_be_visible()
        assert violations(page) == []
        dialog.locator("input[name=reason]").fill("有人举报")
        dialog.locator("button[type=submit]").click()
        expect(dialog).to_have_count(0)
        # What was refused is asked for once more, and comes.
        expect(page.locator(".replay")).to_be_visible()
        with site.database.read() as orm:
            assert orm.scalars(select(Playback)).one().session_id == session
    end_it(site, clock)
    with open_page(chromium, site.base, language) as page:
        sign_in(page, "dong", PASSWORD)
        expect(page.locator("nav a[href='/break-glass'] .count")).to_contain_text("1")
        judge(page)


def end_it(site: RunningApi, clock: FakeClock) -> None:
    with site.database.write() as orm:
        orm.scalars(select(Grant)).one().revoked_us = clock.utc_us()


def judge(page: Page) -> None:
    page.goto("/break-glass")
    card = page.locator("main li")
    expect(card).to_contain_text("有人举报")
    assert violations(page) == []
    card.locator("button").click()
    dialog = page.locator("dialog")
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert")).to_have_count(2)
    assert violations(page) == []
    dialog.locator("input[value=no]").check()
    dialog.locator("input[name=opinion]").fill("可以等待排班")
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)
    expect(card).to_contain_text("可以等待排班")
    expect(card.locator("button")).to_have_count(0)
    assert violations(page) == []
