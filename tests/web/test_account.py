"""Signing in by two steps, one's own account, and approvals: in both languages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support.api import PASSWORD, RunningApi, running_api
from support.authenticators import code_at
from support.browser import open_page, sign_in, violations

from bidwitness.storage.index.database import Database
from bidwitness.words import Role

LANGUAGES = ("zh", "en")
KEY = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasResidentKey": False,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def site(sqlite_index: Database, tmp_path: Path) -> Iterator[RunningApi]:
    """The pages and the API alone, with the machine's clock."""
    with running_api(sqlite_index, tmp_path) as running:
        running.add_user("wang", Role.AUDITOR)
        yield running


@pytest.fixture(params=LANGUAGES)
def page(request: pytest.FixtureRequest, chromium: Browser, site: RunningApi) -> Iterator[Page]:
    """A page by the host's name: security keys do not answer to addresses."""
    base = site.base.replace("127.0.0.1", "localhost")
    with open_page(chromium, base, request.param) as opened:
        yield opened


def prove(dialog: Locator, password: str = PASSWORD) -> None:
    dialog.locator("input[name=proof]").fill(password)
    dialog.locator("button[type=submit]").click()


def told(page: Page) -> list[str]:
    """Read what is told once, and say that it is kept."""
    dialog = page.locator("dialog")
    expect(dialog.locator("[data-told]").first).to_be_visible()
    assert violations(page) == []
    lines = dialog.locator("[data-told]").all_inner_texts()
    dialog.locator("footer .main").click()
    expect(dialog).to_have_count(0)
    return lines


def sign_out(page: Page) -> None:
    page.locator("header .foot button").last.click()
    page.locator("input[name=password]").wait_for()


def give_password(page: Page) -> None:
    page.locator("input[name=username]").fill("wang")
    page.locator("input[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")


def test_a_code_is_set_up_and_asked_for(page: Page, site: RunningApi) -> None:
    sign_in(page, "wang", PASSWORD)
    page.goto("/account")
    section = page.locator("section[aria-labelledby=account-factors]")
    expect(section.locator("dl")).to_be_visible()
    assert violations(page) == []
    section.locator("dd button").first.click()
    dialog = page.locator("dialog")
    prove(dialog, "Wrong-horse-9")
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    prove(dialog)
    expect(dialog.locator("img")).to_be_visible()
    assert dialog.locator("img").evaluate("image => image.naturalWidth") > 100
    assert violations(page) == []
    secret = dialog.locator("code").inner_text().replace(" ", "")
    now = site.parts.clock.utc_us
    dialog.locator("input[name=code]").fill(code_at(secret, now()))
    dialog.locator("button[type=submit]").click()
    codes = told(page)
    assert len(codes) == 10
    expect(section.locator(".tag.ok")).to_be_visible()
    sign_out(page)
    give_password(page)
    code = page.locator("input[name=code]")
    expect(code).to_be_visible()
    assert violations(page) == []
    code.fill("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    # No code is taken twice: the telephone's clock is a step ahead by now.
    code.fill(code_at(secret, now(), 1))
    page.keyboard.press("Enter")
    page.locator("nav").wait_for()
    sign_out(page)
    give_password(page)
    page.locator(".ways .quiet").first.click()
    code.fill(codes[0])
    page.keyboard.press("Enter")
    page.locator("nav").wait_for()


def test_a_security_key_is_registered_and_signs_in(page: Page) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": KEY})
    sign_in(page, "wang", PASSWORD)
    page.goto("/account")
    section = page.locator("section[aria-labelledby=account-factors]")
    section.locator("dd button").last.click()
    dialog = page.locator("dialog")
    prove(dialog)
    # Without a name nothing is sent.
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.locator("input[name=key-name]").fill("蓝色钥匙")
    prove(dialog)
    assert len(told(page)) == 10
    expect(section.locator("li")).to_contain_text("蓝色钥匙")
    assert violations(page) == []
    sign_out(page)
    give_password(page)
    button = page.locator(".ways .main")
    expect(button).to_be_visible()
    assert violations(page) == []
    button.click()
    page.locator("nav").wait_for()
    page.goto("/account")
    expect(page.locator("section[aria-labelledby=account-logins] tbody tr")).to_have_count(1)


def test_logins_and_tokens_end(page: Page, site: RunningApi) -> None:
    sign_in(page, "wang", PASSWORD)
    with site.as_user("wang") as other:
        page.goto("/account")
        logins = page.locator("section[aria-labelledby=account-logins]")
        expect(logins.locator("tbody tr")).to_have_count(2)
        assert violations(page) == []
        logins.locator("tbody button").click()
        expect(logins.locator("tbody tr")).to_have_count(1)
        assert other.get("/api/v1/auth/me").status_code == 401
    tokens = page.locator("section[aria-labelledby=account-tokens]")
    tokens.locator("button").click()
    dialog = page.locator("dialog")
    dialog.locator("summary").click()
    dialog.locator("input[value=rooms]").check()
    dialog.locator("input[name=token-name]").fill("robot")
    assert violations(page) == []
    prove(dialog)
    (token,) = told(page)
    with site.client(Authorization=f"Bearer {token}") as robot:
        assert robot.get("/api/v1/rooms").status_code == 200
        assert robot.get("/api/v1/sessions").status_code == 403
        expect(tokens.locator("tbody tr")).to_contain_text("robot")
        assert violations(page) == []
        tokens.locator("tbody button").click()
        expect(tokens.locator("tbody tr")).to_have_count(0)
        assert robot.get("/api/v1/rooms").status_code == 401


def test_a_password_is_changed_on_ones_page(page: Page) -> None:
    sign_in(page, "wang", PASSWORD)
    page.goto("/account")
    page.locator("section[aria-labelledby=account-password] button").click()
    dialog = page.locator("dialog")
    for name, text in (("old", PASSWORD), ("new", "Password-2026"), ("again", "Password-2026")):
        dialog.locator(f"input[name={name}]").fill(text)
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    for name in ("new", "again"):
        dialog.locator(f"input[name={name}]").fill("Quiet-lamps-9")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_site_that_requires_it_leads_there(
    chromium: Browser, sqlite_index: Database, tmp_path: Path, language: str
) -> None:
    with running_api(sqlite_index, tmp_path, second_factor="required") as site:
        site.add_user("wang", Role.AUDITOR)
        with open_page(chromium, site.base, language) as page:
            page.goto("/sessions")
            give_password(page)
            expect(page.locator("main dl")).to_be_visible()
            expect(page.locator("nav")).to_have_count(0)
            assert violations(page) == []
            page.locator("dd button").first.click()
            prove(page.locator("dialog"))
            secret = page.locator("dialog code").inner_text().replace(" ", "")
            code = code_at(secret, site.parts.clock.utc_us())
            page.locator("input[name=code]").fill(code)
            page.keyboard.press("Enter")
            assert len(told(page)) == 10
            page.locator("nav").wait_for()


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_administrators_recover_an_account(
    chromium: Browser, site: RunningApi, language: str
) -> None:
    site.add_user("root", Role.SYSTEM_ADMIN)
    site.add_user("toor", Role.SECURITY_ADMIN)
    with open_page(chromium, site.base, language) as one:
        sign_in(one, "root", PASSWORD)
        one.goto("/approvals")
        expect(one.locator(".empty")).to_be_visible()
        assert violations(one) == []
        one.locator(".page-head button").click()
        dialog = one.locator("dialog")
        dialog.locator("option", has_text="wang").wait_for(state="attached")
        dialog.locator("select").select_option(label="wang")
        dialog.locator("input").fill("手机丢失")
        assert violations(one) == []
        dialog.locator("button[type=submit]").click()
        expect(one.locator("article")).to_contain_text("手机丢失")
        # Nobody agrees to her own wish.
        expect(one.locator("article .main")).to_have_count(0)
        with open_page(chromium, site.base, language) as two:
            sign_in(two, "toor", PASSWORD)
            two.locator("nav a[href='/approvals']").click()
            expect(two.locator("article")).to_contain_text("wang")
            assert violations(two) == []
            two.locator("article .main").click()
            two.locator("dialog button[type=submit]").click()
            expect(two.locator("article .tag.info")).to_be_visible()
            assert violations(two) == []
        one.reload()
        one.locator("article .main").click()
        one.locator("dialog button[type=submit]").click()
        (password,) = told(one)
        expect(one.locator(".empty")).to_be_visible()
    with site.client() as wang:
        body = {"username": "wang", "password": password}
        assert wang.post("/api/v1/auth/login", json=body).json()["must_change_password"] is True
