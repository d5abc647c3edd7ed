"""What takes two people is asked for where the person stands, on the pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select
from support import factories
from support.api import PASSWORD, RunningApi, running_api
from support.browser import open_page, sign_in, violations
from support.clock import FakeClock
from support.places import DAY, HOUR, MINUTE, Shelf, a_claim, a_hold, a_session, a_stream

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Lot, RoleScope, Substitution
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


def asked(site: RunningApi, name: str) -> list[str]:
    """Give the kinds of what somebody has asked for, or may agree to."""
    with site.as_user(name) as client:
        return [one["kind"] for one in client.get("/api/v1/approvals").json()["items"]]


def test_a_hold_and_a_disposal_are_asked_for_where_they_stand(
    page: Page, site: RunningApi, clock: FakeClock
) -> None:
    index, start = site.database, clock.utc_us() - DAY
    stream = a_stream(index)
    due, held = a_session(index), a_session(index)
    Shelf(index, site.parts.settings.spool).segment(stream, start)
    a_claim(index, due, stream, start, start + MINUTE)
    a_hold(index, session=held)
    with index.write() as orm:
        for lot in orm.scalars(select(Lot)):
            lot.retention_until_us = start
    sign_in(page, "dang", PASSWORD)
    page.goto("/keeping")
    holds = page.locator("section[aria-labelledby=holds]")
    expect(holds).to_contain_text("case 1")
    assert violations(page) == []
    holds.locator("button").click()
    give_reason(page, "复议已结")
    disposals = page.locator("section[aria-labelledby=disposals]")
    expect(disposals.locator("input[type=checkbox]")).to_have_count(1)
    disposals.locator(f'input[value="{due}"]').check()
    disposals.locator(".head button").click()
    give_reason(page, "期满")
    assert sorted(asked(site, "dang")) == ["hold.release", "session.dispose"]


def test_a_period_is_lengthened_by_one_and_shortened_by_two(page: Page, site: RunningApi) -> None:
    sign_in(page, "sec", PASSWORD)
    page.goto("/keeping")
    dialog = page.locator("dialog")
    # A first period lets go what was kept for good: it is asked for.
    page.locator("section[aria-labelledby=policies] .head button").click()
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    dialog.locator("select[name=category]").select_option("land")
    dialog.locator("input[name=keep_years]").fill("15")
    dialog.locator("button[type=submit]").click()
    expect(page.locator("dialog input[name=reason]")).to_be_visible()
    give_reason(page, "依法设定")
    assert asked(site, "sec") == ["policy.shorten"]
    page.locator("section[aria-labelledby=policies] .head button").click()
    dialog.locator("select[name=room_kind]").select_option("duty")
    dialog.locator("input[name=loop_days]").fill("900")
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("section[aria-labelledby=policies]")).to_contain_text("900")


def test_classified_time_is_asked_for_on_the_sessions_page(
    page: Page, site: RunningApi, clock: FakeClock
) -> None:
    with site.database.write() as orm:
        room = factories.a_room(orm)
        start = clock.utc_us() + HOUR
        booked = factories.booked(room, start, start + HOUR)
        session = factories.a_session(orm, clock, site.parts.settings, booked).id
    sign_in(page, "chang", PASSWORD)
    page.goto(f"/sessions/{session}")
    items = page.locator(".page-head .menu ul button")
    for end in (False, True):
        page.locator(".page-head .menu > button").click()
        count = items.count()
        items.nth(count - (2 if end else 3)).click()
        if end:
            # Nothing is classified: the API says so, in the dialog.
            page.locator("dialog input[name=reason]").fill("提前结束")
            page.locator("dialog button[type=submit]").click()
            expect(page.locator("dialog .failure")).to_be_visible()
            continue
        page.locator("dialog input[name=register_no]").fill("密2026-1")
        give_reason(page, "议题涉密")
    assert asked(site, "chang") == ["classified.begin"]
    # What is agreed to is told in words; the text that is hashed can be unfolded.
    page.goto("/approvals")
    facts = page.locator("article dl dl")
    expect(facts.locator("dd").filter(has_text="密2026-1")).to_have_count(1)
    expect(facts).not_to_contain_text("register_no")
    expect(page.locator("article h2")).not_to_contain_text(session)
    expect(page.locator("article details code")).to_be_hidden()
    assert violations(page) == []


def test_scopes_and_substitutions_are_made_and_ended(page: Page, site: RunningApi) -> None:
    site.add_user("zhou", Role.SUPERVISOR)
    site.add_user("wu", Role.SUPERVISOR)
    sign_in(page, "sec", PASSWORD)
    page.goto("/users")
    scopes = page.locator("section[aria-labelledby=scopes]")
    scopes.locator(".head button").click()
    dialog = page.locator("dialog")
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert")).to_have_count(3)
    assert violations(page) == []
    dialog.locator("select[name=username]").select_option("zhou")
    dialog.locator("select[name=category]").select_option("land")
    dialog.locator("input[name=reason]").fill("分工")
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)
    expect(scopes).to_contain_text("zhou")
    others = page.locator("section[aria-labelledby=substitutions]")
    others.locator(".head button").click()
    dialog.locator("select[name=absent]").select_option("zhou")
    dialog.locator("select[name=username]").select_option("wu")
    give_reason(page, "休假")
    expect(others).to_contain_text("wu")
    assert violations(page) == []
    for section in (scopes, others):
        section.locator("li button").click()
        give_reason(page, "结束")
        expect(section.locator("li button")).to_have_count(0)
    with site.database.read() as orm:
        assert orm.scalars(select(RoleScope)).one().ended_us is not None
        assert orm.scalars(select(Substitution)).one().ended_us is not None
