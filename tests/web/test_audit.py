"""The page of the administrator of audit: search, details, CSV, report, and the log's word on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from support.browser import open_page, sign_in, violations
from support.system import RunningSystem

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=("zh", "en"))
def page(
    request: pytest.FixtureRequest, chromium: Browser, system: RunningSystem
) -> Iterator[Page]:
    with open_page(chromium, system.base, request.param) as opened:
        sign_in(opened, "audit", system.passwords["audit"])
        yield opened


def test_the_trail_is_searched_proved_and_taken_away(page: Page, tmp_path: Path) -> None:
    # It is what she comes for: her first page.
    page.wait_for_url("**/audit")
    rows = page.locator("tbody tr")
    expect(rows.first).to_be_visible()
    assert violations(page) == []
    fields = page.locator("form .fields input")
    fields.nth(0).fill("audit")
    fields.nth(1).fill("login*")
    page.locator("form button[type=submit]").click()
    expect(rows.first).to_contain_text("login")
    expect(page.locator("tbody td:nth-child(2)").first).to_have_text("audit")
    rows.first.locator("button").click()
    dialog = page.locator("dialog")
    expect(dialog.locator(".tag")).to_be_visible()
    assert violations(page) == []
    dialog.locator("button").last.click()
    with page.expect_download() as given:
        page.locator("form a[download]").click()
    given.value.save_as(tmp_path / "trail.csv")
    lines = (tmp_path / "trail.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) > 1
    assert all('"login' in line for line in lines[1:])


def test_the_trail_of_a_whole_system_is_as_it_was_logged(page: Page) -> None:
    """Every process of a running site leaves its entries in a way that the walk accepts."""
    card = page.locator("section[aria-labelledby=reconciliation]")
    before = card.locator(".sub").first
    expect(before).not_to_be_empty()
    card.locator("button").click()
    expect(card.locator("button")).to_be_enabled(timeout=60_000)
    expect(card.locator(".tag.ok")).to_be_visible(timeout=60_000)
    expect(card.locator("li")).to_have_count(0)


def test_a_report_is_made_and_fetched(page: Page, tmp_path: Path) -> None:
    page.locator("form .fields input").nth(1).fill("login")
    page.locator("form button[type=submit]").click()
    card = page.locator("section[aria-labelledby=audit-reports]")
    had = card.locator("li").count()
    card.locator("button").click()
    dialog = page.locator("dialog")
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    dialog.locator("input").fill("季度审计")
    dialog.locator("button[type=submit]").click()
    expect(card.locator("li")).not_to_have_count(had, timeout=60_000)
    with page.expect_download() as given:
        card.locator("a[download]").first.click()
    given.value.save_as(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert violations(page) == []
