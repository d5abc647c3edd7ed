"""Footage is asked for, agreed to and entered in the register, on the pages, in both languages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.api import PASSWORD, RunningApi, running_api
from support.browser import open_page, sign_in, violations
from support.places import a_session

from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import RegisterEntry
from bidwitness.storage.register import enter_copy
from bidwitness.words import Role

LANGUAGES = ("zh", "en")
PEOPLE = {
    "li": Role.AUDITOR,
    "dong": Role.DIRECTOR,
    "sec": Role.SECURITY_ADMIN,
    "dang": Role.ARCHIVIST,
}
SCAN = "c" * 64


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(sqlite_index, tmp_path) as running:
        for name, role in PEOPLE.items():
            running.add_user(name, role)
        yield running


@pytest.fixture(params=LANGUAGES)
def page(request: pytest.FixtureRequest, chromium: Browser, site: RunningApi) -> Iterator[Page]:
    with open_page(chromium, site.base, request.param) as opened:
        yield opened


def become(page: Page, name: str) -> None:
    """Sign out if anybody is in, sign in as somebody, and go to the approvals."""
    leave = page.locator("header .foot button")
    if leave.count():
        leave.last.click()
    sign_in(page, name, PASSWORD)
    page.goto("/approvals")


def act(page: Page, number: int) -> None:
    """Press a button of the request's card, and then the dialog's."""
    page.locator("article footer button").nth(number).click()
    dialog = page.locator("dialog")
    expect(dialog).to_be_visible()
    assert violations(page) == []
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.locator(f"dialog input[name={name}]").fill(value)


def test_she_asks_two_agree_and_the_register_has_it(page: Page, site: RunningApi) -> None:
    session = a_session(site.database)
    become(page, "li")
    page.locator(".page-head button").click()
    dialog = page.locator("dialog")
    dialog.locator("button[type=submit]").click()
    # What is missing is said at its field, and nothing is sent.
    expect(dialog.get_by_role("alert").first).to_be_visible()
    assert violations(page) == []
    fill(page, unit="审计局", sessions=session, purpose="审计抽查", document_no="审1号", views="3")
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("article")).to_contain_text("审计抽查")
    for name in ("dong", "sec"):
        become(page, name)
        expect(page.locator("article")).to_contain_text("审计局")
        assert violations(page) == []
        act(page, 0)
    become(page, "li")
    act(page, 0)
    become(page, "dang")
    page.goto("/register")
    row = page.locator("main li").first
    expect(row).to_contain_text("审计局")
    assert violations(page) == []
    page.locator("input[type=search]").fill("没有这样的")
    expect(page.locator("main li")).to_have_count(0)
    page.locator("input[type=search]").fill("审1号")
    expect(page.locator("main li")).to_have_count(1)
    with site.database.write() as orm:
        entry = orm.query(RegisterEntry).one()
        assert entry.grant_id is not None
        file = {"name": "a.zip", "bytes": 42, "sha256": SCAN}
        facts = {"copy": "d" * 16, "files": [file]}
        enter_copy(
            *(orm, Who("dang"), site.parts.clock.utc_us(), entry.grant_id),
            person="li",
            content="录像一份",
            reason="调取",
            facts=facts,
        )
    page.locator("main li a").first.click()
    hand_over(page)


def hand_over(page: Page) -> None:
    """Enter the handover, then the signed list; the list is there to be printed."""
    expect(page.locator(".page-head .acts button")).to_have_count(1)
    assert violations(page) == []
    page.locator(".page-head .acts button").click()
    dialog = page.locator("dialog")
    dialog.locator("fieldset input").check()
    fill(page, serial="WX-77", verification="bidwitness verify: 0")
    dialog.locator("input[name=verified]").check()
    assert violations(page) == []
    dialog.locator("button[type=submit]").click()
    listed = page.locator("article table")
    expect(listed).to_contain_text(SCAN)
    page.locator(".page-head .acts button").nth(1).click()
    fill(page, scan=SCAN, note="双方签字")
    assert violations(page) == []
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".facts")).to_contain_text("双方签字")
    page.emulate_media(media="print")
    expect(page.locator(".facts")).to_be_hidden()
    expect(page.locator("header.rail")).to_be_hidden()
    expect(listed).to_be_visible()
