"""Evidence reports on a session's page: none yet, asked for, listed, downloaded; in both languages."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select
from support.api import PASSWORD, running_api
from support.browser import open_page, sign_in, violations
from support.clock import FakeClock
from support.sealed_session import sealed_session, signed_and_logged

from bidwitness.storage.derivatives import EVIDENCE_REPORT
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Job
from bidwitness.words import JobState, Role

pytestmark = pytest.mark.timeout(300)

WORDS = {
    "zh": ("固证报告", "尚未出具", "重新出具", "正在出具", "场次根"),
    "en": ("Evidence reports", "None yet", "Make a new one", "It is being made", "Root"),
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_reports_are_listed_made_and_downloaded(
    chromium: Browser, sqlite_index: Database, tmp_path: Path, language: str
) -> None:
    clock = FakeClock()
    heading, none, new, asked, root = WORDS[language]
    with running_api(sqlite_index, tmp_path, clock=clock) as api:
        api.add_user("root", Role.ARCHIVIST)
        sealed = sealed_session(api, clock)
        signed_and_logged(sealed)
        with open_page(chromium, api.base, language) as page:
            sign_in(page, "root", PASSWORD)
            page.goto(f"/sessions/{sealed.id}")
            card = page.get_by_role("region", name=heading)
            expect(card).to_contain_text(none)
            card.get_by_role("button", name=new).click()
            expect(page.locator("body")).to_contain_text(asked)
            with sqlite_index.read() as orm:
                jobs = orm.scalars(select(Job.id).where(Job.kind == EVIDENCE_REPORT)).all()
            # One that the seal has queued, one that was asked for.
            assert len(jobs) == 2
            clock.sleep(10)
            # Elsewhere: the browser has an event loop in this thread, the signing starts its own.
            with ThreadPoolExecutor(1) as worker:
                assert list(worker.map(sealed.run, jobs)) == [JobState.DONE] * 2
            page.reload()
            links = card.get_by_role("link")
            expect(links).to_have_count(2)
            expect(card).to_contain_text(root)
            assert violations(page) == []
            with page.expect_download() as loading:
                links.first.click()
            download = loading.value
            assert download.suggested_filename == f"GZ-site-1-{sealed.id}-001.pdf"
            assert download.path().read_bytes().startswith(b"%PDF-1.7")
