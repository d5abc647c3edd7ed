"""What takes two people is asked for where the person stands, on the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support import factories
from support.api import PASSWORD, RunningApi, running_api
from support.browser import open_page, sign_in, violations
from support.clock import FakeClock
from support.places import HOUR

from bidwitness.storage.index.database import Database
from bidwitness.words import Role

PEOPLE = {
    "xi": Role.SYSTEM_ADMIN,
    "chang": Role.VENUE,
    "sec": Role.SECURITY_ADMIN,
    "dang": Role.ARCHIVIST,
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[RunningApi]:
    with running_api(
        sqlite_index, tmp_path, clock=clock, login_hours=10_000, idle_minutes=600_000
    ) as api:
        for name, role in PEOPLE.items():
            api.add_user(name, role)
        yield api


@pytest.fixture(params=["zh", "en"])
def page(request: pytest.FixtureRequest, chromium: Browser, site: RunningApi) -> Iterator[Page]:
    with open_page(chromium, site.base, request.param) as opened:
        yield opened


def give_reason(page: Page, text: str) -> None:
    """Try without a reason, which is said at its field, and then with one."""
    dialog = page.locator("dialog")
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert").first).to_be_visible()
    assert violations(page) == []
    dialog.locator("input[name=reason]").fill(text)
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)


def test_a_camera_is_not_switched_off_by_one_while_a_session_is_due(
    page: Page, site: RunningApi, clock: FakeClock
) -> None:
    with site.database.write() as orm:
        room = factories.a_room(orm)
        start = clock.utc_us() + HOUR
        factories.a_session(
            *(orm, clock, site.parts.settings), factories.booked(room, start, start + HOUR)
        )
    sign_in(page, "xi", PASSWORD)
    page.goto("/cameras")
    page.locator("main li .menu button").first.click()
    page.locator(".menu ul button").nth(2).click()
    page.locator("dialog button[type=submit]").click()
    # The dialog that would switch it off gives way to the one that asks.
    expect(page.locator("dialog input[name=reason]")).to_be_visible()
    give_reason(page, "镜头损坏，须更换")
    with site.as_user("chang") as chang:
        (row,) = chang.get("/api/v1/approvals").json()["items"]
    assert (row["kind"], row["content"]["enabled"], row["may_vote"]) == ("pull.stop", False, True)
