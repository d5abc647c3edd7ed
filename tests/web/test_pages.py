"""The pages of who runs the place: signing in, sessions, cameras; in both languages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support.browser import open_page, sign_in, violations
from support.simulator import RunningSimulator, running_simulator, small_camera
from support.system import RunningSystem

from bidwitness.demo.cast import CAMERAS, PROJECT_CODE, ROOMS

LANGUAGES = ("zh", "en")
_, OPENING = ROOMS
FRESH = "Correct-horse-battery-9"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(params=LANGUAGES)
def page(
    request: pytest.FixtureRequest, chromium: Browser, system: RunningSystem
) -> Iterator[Page]:
    """A page that nobody is signed in on, in each language."""
    with open_page(chromium, system.base, request.param) as opened:
        yield opened


@pytest.fixture
def admin(page: Page, system: RunningSystem) -> Page:
    sign_in(page, "admin", system.passwords["admin"])
    return page


@pytest.fixture
def venue(page: Page, system: RunningSystem) -> Page:
    sign_in(page, "venue", system.passwords["venue"])
    return page


def test_a_wrong_password_is_refused_in_words(page: Page) -> None:
    page.goto("/")
    page.locator("input[name=username]").fill("admin")
    page.locator("input[name=password]").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []


def test_the_first_password_must_be_changed(page: Page, system: RunningSystem) -> None:
    username = f"new-{system.clock.utc_us()}"
    made = system.client.post("users", {"username": username, "roles": ["auditor"]})
    page.goto("/sessions")
    page.locator("input[name=username]").fill(username)
    page.locator("input[name=password]").fill(made["password"])
    page.keyboard.press("Enter")
    page.locator("input[name=old]").fill(made["password"])
    page.locator("input[name=new]").fill(FRESH)
    page.locator("input[name=again]").fill(FRESH + "x")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    assert violations(page) == []
    page.locator("input[name=again]").fill(FRESH)
    page.keyboard.press("Enter")
    expect(page.locator("nav a[aria-current=page]")).to_be_visible()
    # An auditor without a grant sees no session, and nothing of rooms or devices; she may ask.
    assert page.locator("nav a").count() == 2


def test_a_session_is_planned_run_and_ended(venue: Page, system: RunningSystem) -> None:
    venue.locator("nav a[href='/sessions']").click()
    venue.locator(".page-head button").click()
    dialog = venue.locator("dialog")
    expect(dialog).to_be_visible()
    assert violations(venue) == []
    dialog.locator("input[list]").fill(PROJECT_CODE)
    lot = dialog.locator("select").nth(1)
    expect(lot.locator("option[value='2']")).to_have_count(1)
    lot.select_option("2")
    room = dialog.locator("select").nth(2)
    room.select_option(system.stage.rooms[OPENING])
    dialog.locator("button[type=submit]").click()
    venue.wait_for_url("**/sessions/*")
    expect(venue.locator("h1")).to_contain_text(PROJECT_CODE)
    session_id = venue.url.rsplit("/", 1)[1].split("?")[0]
    assert violations(venue) == []
    venue.locator(".acts .main").click()
    system.wait_state(session_id, "recording")
    expect(venue.locator(".tag.live")).to_be_visible()
    # Whoever runs a session sees no footage of it.
    expect(venue.locator("video")).to_have_count(0)
    venue.locator(".acts .main").click()
    assert violations(venue) == []
    venue.locator("dialog button[type=submit]").click()
    system.wait_state(session_id, "sealed", 90)


def test_a_roster_is_written_and_approved_by_another(page: Page, system: RunningSystem) -> None:
    sign_in(page, "security", system.passwords["security"])
    page.locator("nav a[href='/rosters']").click()
    page.locator(".page-head button").click()
    dialog = page.locator("dialog")
    dialog.locator("button[type=submit]").click()
    # Nothing is sent before somebody is named.
    expect(dialog.get_by_role("alert").first).to_be_visible()
    assert violations(page) == []
    dialog.locator("input").first.fill("住建局")
    dialog.locator("input[type=checkbox]").first.check()
    dialog.locator("select").first.select_option("supervisor")
    dialog.locator("input").last.fill("十二月排班")
    dialog.locator("button[type=submit]").click()
    # The newest is the first.
    card = page.locator("article").filter(has_text="住建局").first
    expect(card.locator(".tag.warn")).to_be_visible()
    assert violations(page) == []
    page.locator(".foot button").last.click()
    sign_in(page, "director", system.passwords["director"])
    page.goto("/rosters")
    card.locator(".acts button").first.click()
    expect(card.locator(".tag.ok")).to_be_visible()
    expect(card.locator(".acts button")).to_have_count(0)
    assert violations(page) == []


def test_the_navigation_shows_what_a_role_may(page: Page, system: RunningSystem) -> None:
    for role, places in (
        ("operator", ["/cameras"]),
        ("archivist", ["/sessions", "/register", "/keeping", "/approvals"]),
        (
            "security",
            [
                *("/sessions", "/rosters", "/break-glass", "/register", "/keeping", "/users"),
                *("/displays", "/approvals"),
            ],
        ),
    ):
        sign_in(page, role, system.passwords[role])
        page.goto("/")
        expect(page.locator("nav")).to_be_visible()
        found = [a.get_attribute("href") for a in page.locator("nav a").all()]
        assert found == places, role
        page.locator(".foot button").last.click()
        expect(page.locator("input[name=username]")).to_be_visible()


def test_cameras_are_listed_with_their_health(admin: Page) -> None:
    admin.locator("nav a[href='/cameras']").click()
    for camera in CAMERAS:
        expect(admin.get_by_text(camera.name, exact=True)).to_be_visible()
    # On a busy machine a stream may be late for a moment; recording they are, each of them.
    expect(admin.locator("li .tag:is(.ok, .warn)")).to_have_count(len(CAMERAS))
    # Below them, what is known of the store.
    expect(admin.locator("#the-store")).to_be_visible()
    assert violations(admin) == []


def test_a_camera_that_records_sessions_only_says_why(admin: Page, system: RunningSystem) -> None:
    admin.goto("/cameras")
    row = admin.locator("li .row").filter(has_text=CAMERAS[0].name)
    tags = row.locator(".tag.info")
    expect(row).to_be_visible()
    expect(tags).to_have_count(0)
    _ask_for_mode(row)
    dialog = admin.locator("dialog")
    dialog.locator("button[type=submit]").click()
    # Without a reason nothing is sent.
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert violations(admin) == []
    dialog.locator("input").fill("走廊，平时无业务")
    dialog.locator("button[type=submit]").click()
    expect(tags).to_have_count(1)
    expect(row).to_contain_text("走廊，平时无业务")
    assert violations(admin) == []
    # Nobody needs a reason for the way that is usual.
    _ask_for_mode(row)
    expect(dialog.locator("input")).to_have_count(0)
    dialog.locator("button[type=submit]").click()
    expect(tags).to_have_count(0)
    (entry,) = [c for c in system.client.get("cameras")["items"] if c["name"] == CAMERAS[0].name]
    assert (entry["mode"], entry["mode_reason"]) == ("continuous", None)


def _ask_for_mode(row: Locator) -> None:
    row.locator(".menu button").first.click()
    row.locator(".menu ul button").nth(1).click()


def test_a_camera_is_tried_before_it_is_added(admin: Page, system: RunningSystem) -> None:
    address = system.cameras.addresses["cameras"][0]["streams"]["main"]
    admin.goto("/cameras")
    admin.locator(".page-head button").click()
    dialog = admin.locator("dialog")
    dialog.locator("input[type=url]").fill("file:///etc/passwd")
    dialog.locator("button[type=submit]").click()
    expect(dialog.get_by_role("alert").first).to_be_visible()
    assert violations(admin) == []
    dialog.locator("input[type=url]").fill(address)
    dialog.locator("input[autocomplete=off]").nth(1).fill("demo")
    dialog.locator("input[name=camera-password]").fill("demo-camera")
    dialog.locator("button[type=submit]").click()
    expect(dialog.locator("table")).to_contain_text("1920 × 1080", timeout=30_000)
    assert violations(admin) == []


@pytest.fixture(scope="module")
def readable() -> Iterator[RunningSimulator]:
    """A camera that wants its password readable."""
    with running_simulator(
        [small_camera("old", user="op", password="pw", auth="basic")]
    ) as cameras:
        yield cameras


def test_a_risk_is_offered_when_a_camera_is_refused_for_it(
    admin: Page, readable: RunningSimulator
) -> None:
    admin.goto("/cameras")
    admin.locator(".page-head button").click()
    dialog = admin.locator("dialog")
    expect(dialog.get_by_role("checkbox")).to_have_count(0)
    dialog.locator("input[type=url]").fill(readable.url("old", login=False))
    dialog.locator("input[autocomplete=off]").nth(1).fill("op")
    dialog.locator("input[name=camera-password]").fill("pw")
    dialog.locator("button[type=submit]").click()
    risk = dialog.get_by_role("checkbox", name="Basic")
    expect(risk).not_to_be_checked(timeout=30_000)
    assert readable.status()["refused_logins"] == 0
    assert violations(admin) == []
    risk.check()
    dialog.locator("button[type=submit]").click()
    expect(dialog.locator("table")).to_contain_text("640 × 360", timeout=30_000)


def test_the_language_is_switched_on_the_spot(admin: Page) -> None:
    before = admin.locator("html").get_attribute("lang")
    admin.locator(".foot button").first.click()
    after = admin.locator("html").get_attribute("lang")
    assert {before, after} == {"zh-CN", "en-GB"}
    admin.reload()
    expect(admin.locator("nav")).to_be_visible()


def test_an_unknown_address_says_so(admin: Page) -> None:
    admin.goto("/nowhere/at-all")
    expect(admin.locator("main a[href='/']")).to_be_visible()
    assert violations(admin) == []
