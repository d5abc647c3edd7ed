"""Service accounts on the page of users: made, given a token that is told once, revoked."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from support.api import PASSWORD, running_api
from support.browser import open_page, sign_in, violations

from bidwitness.storage.index.database import Database
from bidwitness.words import Role


@pytest.mark.parametrize("language", ("zh", "en"))
def test_a_service_account_gets_a_token(
    chromium: Browser, sqlite_index: Database, tmp_path: Path, language: str
) -> None:
    with running_api(sqlite_index, tmp_path) as site:
        site.add_user("sec", Role.SECURITY_ADMIN)
        site.add_user("wang", Role.DIRECTOR)
        with open_page(chromium, site.base, language) as page:
            sign_in(page, "sec", PASSWORD)
            page.goto("/users")
            section = page.locator("section[aria-labelledby=people-services]")
            section.locator("button").click()
            dialog = page.locator("dialog")
            dialog.locator("button[type=submit]").click()
            expect(dialog.get_by_role("alert")).to_have_count(2)
            assert violations(page) == []
            dialog.locator("input[name=service-username]").fill("trade")
            dialog.locator("select").select_option(label="wang")
            dialog.locator("button[type=submit]").click()
            row = section.locator("tbody tr")
            expect(row).to_contain_text("wang")
            row.locator("button").last.click()
            tokens = page.locator("section[aria-labelledby=service-tokens]")
            tokens.locator("button").click()
            dialog.locator("input[name=token-name]").fill("booking")
            dialog.locator("input[name=proof]").fill(PASSWORD)
            dialog.locator("button[type=submit]").click()
            # What it is for has to be said.
            expect(dialog.get_by_role("alert")).to_be_visible()
            dialog.locator("input[value=projects]").check()
            dialog.locator("input[name=token-networks]").fill("127.0.0.0/8，10.0.0.1")
            assert violations(page) == []
            dialog.locator("button[type=submit]").click()
            token = dialog.locator("[data-told]").inner_text()
            dialog.locator("footer .main").click()
            expect(tokens.locator("tbody tr")).to_contain_text("127.0.0.0/8")
            assert violations(page) == []
            with site.client(Authorization=f"Bearer {token}") as trade:
                assert trade.get("/api/v1/projects").status_code == 200
                tokens.locator("tbody button").click()
                expect(tokens.locator("tbody tr")).to_have_count(0)
                assert trade.get("/api/v1/projects").status_code == 401
