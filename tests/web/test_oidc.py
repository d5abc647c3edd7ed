"""Signing in through an OpenID provider with a real browser, in both languages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from support.api import PASSWORD, RunningApi, running_api
from support.browser import open_page, sign_in, violations
from support.openid import OpenId, running_openid, settings_of

from bidwitness.storage.index.database import Database
from bidwitness.words import Role


@pytest.fixture
def provider() -> Iterator[OpenId]:
    with running_openid() as running:
        yield running


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path, provider: OpenId) -> Iterator[RunningApi]:
    settings = settings_of(provider, tmp_path)
    with running_api(sqlite_index, tmp_path, **settings) as running:
        provider.now_s = running.parts.clock.utc_us() // 1_000_000
        running.add_user("wang", Role.AUDITOR)
        yield running


def test_an_account_is_linked_and_signed_in_with(
    chromium: Browser, site: RunningApi, provider: OpenId
) -> None:
    # By another name than the provider's, as in life: the way back comes from another site.
    base = site.base.replace("127.0.0.1", "localhost")
    with open_page(chromium, base) as page:
        sign_in(page, "wang", PASSWORD)
        page.goto("/account")
        section = page.locator("section[aria-labelledby=account-oidc]")
        section.locator("button").click()
        page.locator("dialog input[name=proof]").fill(PASSWORD)
        page.locator("dialog button[type=submit]").click()
        expect(section).to_contain_text("wang@centre")
        assert violations(page) == []
        page.locator("header .foot button").last.click()
        page.get_by_role("button", name="用 省平台 登录").click()
        page.locator("nav").wait_for()
        page.goto("/account")
        rows = page.locator("section[aria-labelledby=account-logins] tbody tr")
        expect(rows.first).to_contain_text("统一身份认证")


def test_what_goes_wrong_is_said(chromium: Browser, site: RunningApi, provider: OpenId) -> None:
    base = site.base.replace("127.0.0.1", "localhost")
    with open_page(chromium, base, "en") as page:
        page.goto("/")
        button = page.get_by_role("button", name="Sign in with 省平台")
        button.click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("link it in My account")
        assert "oidc" not in page.url
        assert violations(page) == []
        provider.error = "access_denied"
        button.click()
        expect(alert).to_contain_text("did not let you pass")
        page.goto("/?oidc=constructor")
        expect(button).to_be_visible()
        expect(alert).to_have_count(0)
