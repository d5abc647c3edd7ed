"""A site that runs: virtual cameras, some of our processes, a person at a Chromium."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from support.browser import open_page, sign_in
from support.simulator import RunningSimulator, running_simulator
from support.system import all_ok, supervised

from bidwitness.config import Settings
from bidwitness.demo.client import wait_for
from bidwitness.demo.processes import demo_environment, make_logins
from bidwitness.demo.run import demo_settings
from bidwitness.demo.staff import Staff
from bidwitness.serve import child_environment, our_commands
from bidwitness.simulator.spec import CameraSpec

READY_S = 90
PAINTING = Path(__file__).with_name("painting.js")
WIDE = {"width": 1920, "height": 1080}


@dataclass
class Site:
    """Our processes, and who may sign in. ``client`` is all of the centre's people."""

    settings: Settings
    base: str
    client: Staff
    passwords: dict[str, str]
    pids: dict[str, int]


@contextmanager
def running_processes(settings: Settings, names: Sequence[str]) -> Iterator[Site]:
    """Run these of our processes on ``settings``; the API is among them."""
    with ExitStack() as stack:
        passwords = make_logins(settings)
        commands = {name: command for name, command in our_commands().items() if name in names}
        environment = child_environment(settings, **demo_environment(settings))
        logs = settings.data / "logs"
        supervisor = stack.enter_context(supervised(commands, environment, logs))
        base = f"http://{settings.host}:{settings.port}"
        client = stack.enter_context(Staff(base, passwords))
        wait_for("the API", client.is_ready, READY_S)
        yield Site(settings, base, client, passwords, supervisor.pids())


@contextmanager
def recording_site(
    folder: Path, specs: Sequence[CameraSpec]
) -> Iterator[tuple[Site, RunningSimulator]]:
    """Record virtual cameras, each in a room of its own, with recorder, live and API."""
    settings = demo_settings(folder / "data", None, unattended=True)
    with (
        running_simulator(specs) as cameras,
        running_processes(settings, ("api", "record", "live")) as site,
    ):
        for spec in specs:
            room = site.client.post("rooms", {"name": f"room {spec.name}", "kind": "opening"})
            body = {
                "name": spec.name,
                "room_id": room["id"],
                "source_url": cameras.url(spec.name, "main"),
                "sub_url": cameras.url(spec.name, "sub"),
            }
            site.client.post("cameras", body)
        # There are no sessions for anybody to be on duty for.
        site.client.patch("rights/settings", {"supervisors_need_duty": False})
        wait_for("every camera to record", lambda: all_ok(site.client), READY_S)
        yield site, cameras


@contextmanager
def watching(browser: Browser, site: Site, username: str) -> Iterator[Page]:
    """Give a page that notes what it paints, signed in."""
    with open_page(browser, site.base) as page:
        page.set_viewport_size(WIDE)
        page.context.add_init_script(path=PAINTING)
        sign_in(page, username, site.passwords[username])
        yield page


def reset(page: Page, every: int = 1) -> None:
    """Forget what was painted; from now on read one frame number in ``every`` of each tile."""
    page.evaluate("every => bidwitnessBench.reset(every)", every)


def taken(page: Page) -> dict[str, Any]:
    """Give what was noted since ``reset``; times are in ms of the page, UTC by ``offset``."""
    found: dict[str, Any] = page.evaluate("() => bidwitnessBench.take()")
    return found


def p95(values: Sequence[float]) -> float:
    """Give the value that 95 of a hundred do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.95))]
