"""The page of users: made, given a role, shut out; and the badge of what waits for one's word."""

from collections.abc import Iterator

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
        sign_in(opened, "security", system.passwords["security"])
        yield opened


def test_a_person_is_made_changed_and_shut_out(page: Page, system: RunningSystem) -> None:
    username = f"person-{system.clock.utc_us()}"
    page.locator("nav a[href='/users']").click()
    row = page.locator("tbody tr").filter(has_text=username)
    expect(page.locator("tbody tr").first).to_be_visible()
    assert violations(page) == []
    page.locator(".page-head button").click()
    dialog = page.locator("dialog")
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert").first).to_be_visible()
    assert violations(page) == []
    dialog.locator("input[name=person-username]").fill(username)
    # Two that are a check on one another are refused with the reason.
    dialog.locator("input[value=archivist]").check()
    dialog.locator("input[value=audit_admin]").check()
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert").first).to_be_visible()
    dialog.locator("input[value=audit_admin]").uncheck()
    dialog.locator("button[type=submit]").click()
    expect(page.locator("[data-told]")).to_have_count(1)
    assert violations(page) == []
    page.locator("dialog button").last.click()
    expect(row.locator(".tag.ok")).to_be_visible()
    row.locator("button").first.click()
    dialog.locator("input[name=person-name]").fill("王档案")
    dialog.locator("input[type=checkbox]").last.check()
    dialog.locator("button[type=submit]").click()
    expect(row.locator(".tag.idle")).to_be_visible()
    expect(row).to_contain_text("王档案")


def test_what_waits_for_her_is_counted_in_the_navigation(
    page: Page, chromium: Browser, system: RunningSystem
) -> None:
    username = f"lost-{system.clock.utc_us()}"
    made = system.client.post("users", {"username": username, "roles": ["operator"]})
    with open_page(chromium, system.base) as other:
        sign_in(other, "admin", system.passwords["admin"])
        other.goto("/users")
        row = other.locator("tbody tr").filter(has_text=username)
        # Who is no administrator of security changes nobody, and may ask for a recovery.
        expect(row.locator("button")).to_have_count(1)
        row.locator("button").click()
        expect(other.locator("dialog select")).to_have_value(made["id"])
        other.locator("dialog input").last.fill("忘记密码")
        other.locator("dialog button[type=submit]").click()
        expect(other.locator("dialog")).to_have_count(0)
    badge = page.locator("nav a[href='/approvals'] .count")
    expect(badge).to_be_visible(timeout=30_000)
    assert violations(page) == []
