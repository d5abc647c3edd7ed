"""``verify.html`` in a real Chromium, asked like the verifiers in Python."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Page, sync_playwright
from support.browser import ARGUMENTS
from support.needs import absent

from bidwitness.intervals import Interval
from bidwitness.storage.evidence.chain import Problem
from bidwitness.storage.evidence.page_bundle import verifier_page
from bidwitness.storage.evidence.report import Report, StreamReport
from bidwitness.storage.evidence.tracks import TrackReport

T = TypeVar("T")


class PageVerifier:
    """Feeds packages to the page and reads its answer back.

    In a thread of its own: the browser's event loop would be in the way of other tests.
    """

    def __init__(self, page: Page, worker: ThreadPoolExecutor) -> None:
        self._page = page
        self._worker = worker

    def verify_package(
        self, package: Path, policy: Path | None = None, *, policy_key: str | None = None
    ) -> Report:
        """Give what the page found."""
        return _report(self.run(lambda page: found_by(page, package, policy, policy_key or "")))

    def run(self, act: Callable[[Page], T]) -> T:
        return self._worker.submit(act, self._page).result()


def found_by(
    page: Page, package: Path, policy: Path | None = None, policy_key: str = ""
) -> dict[str, Any]:
    """Pick a package and what is trusted, as people do; give the report."""
    field = "#folder" if package.is_dir() else "#zip"
    page.locator("#policy").set_input_files([policy] if policy else [])
    page.locator("#policy-key").fill(policy_key)
    page.locator(field).set_input_files(package)
    page.locator("#start").click()
    # By selectors: the page's policy lets nobody evaluate text in it, waiting tests neither.
    failed = page.locator("#status").get_by_text("未能完成")
    page.locator("#report:not(:empty)").or_(failed).first.wait_for(state="attached")
    said = page.locator("#status").inner_text()
    assert "未能完成" not in said, said
    page.locator("#start:enabled").wait_for()
    found: dict[str, Any] = json.loads(page.locator("#report").text_content() or "")
    return found


def _report(found: dict[str, Any]) -> Report:
    return Report(
        package=found["package"],
        exit_code=found["exit_code"],
        session=found["session"],
        sealed=found["sealed"],
        digest=found["tagmanifest_sha256"],
        info=found["info"],
        streams=[_stream(stream) for stream in found["streams"]],
        problems=[Problem(**problem) for problem in found["problems"]],
        logs=found["logs"],
        stamps=[{**stamp, "serial": int(stamp["serial"])} for stamp in found["stamps"]],
        reports=found["reports"],
        trust=found["trust"],
        unproven=[(zh, en) for zh, en in found["unproven"]],
        notes=[(zh, en) for zh, en in found["notes"]],
        not_checked=[(zh, en) for zh, en in found["not_checked"]],
    )


def _stream(found: dict[str, Any]) -> StreamReport:
    return StreamReport(
        stream=found["stream"],
        claimed=[Interval(*span) for span in found["claimed"]],
        segments=found["segments"],
        partial=found["partial"],
        withheld=[Interval(*span) for span in found["withheld"]],
        bytes=found["bytes"],
        recorded_us=found["recorded_us"],
        gaps=[(g["cause"], g["medium"], Interval(g["from"], g["to"])) for g in found["gaps"]],
        unexplained=[Interval(*span) for span in found["unexplained"]],
        tracks=[
            TrackReport(
                *(track["medium"], track["codec"], track["source_codec"], track["files"]),
                *(track["conversion"], track["fragments"], track["fragments_rebuilt"]),
                problems=int(track["verdict"] == "not_authentic"),
            )
            for track in found["tracks"]
        ],
        problems=int(found["verdict"] == "not_authentic"),
    )


@contextmanager
def running_page(folder: Path) -> Iterator[PageVerifier]:
    """Open the page from a file, in a browser that has no network at all."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        absent("Chromium")
    html = folder / "verify.html"
    html.write_text(verifier_page(), encoding="utf-8")
    with ThreadPoolExecutor(1) as worker:
        closing: list[Callable[[], None]] = []
        errors: list[str] = []

        def start() -> Page:
            playwright = sync_playwright().start()
            closing.append(playwright.stop)
            browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
            closing.append(browser.close)
            context = browser.new_context(locale="zh-CN", accept_downloads=True)
            context.set_offline(True)
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text))
            page.goto(html.as_uri())
            return page

        try:
            yield PageVerifier(worker.submit(start).result(), worker)
        finally:
            for close in reversed(closing):
                worker.submit(close).result()
    assert not errors, errors
