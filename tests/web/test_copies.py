"""Copies on a session's page: asked for with a reason, stopped, made, downloaded; in both languages."""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select
from support.api import PASSWORD, running_api
from support.browser import open_page, sign_in, violations
from support.clock import FakeClock
from support.sealed_session import sealed_session

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Job
from bidwitness.words import Action, JobState, Medium

pytestmark = pytest.mark.timeout(300)

WORDS = {
    "zh": (
        "复制件",
        "尚未申请",
        "申请复制",
        "水印复制件",
        "理由",
        "开始制作",
        "停止",
        "已停止",
        "已完成",
        "重新制作",
    ),
    "en": (
        *("Copies", "none yet", "Ask for a copy", "Watermarked films", "Reason", "Make it"),
        *("Stop", "Stopped", "Ready", "Make it again"),
    ),
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_copy_is_asked_for_stopped_and_downloaded(
    chromium: Browser, sqlite_index: Database, tmp_path: Path, language: str
) -> None:
    clock = FakeClock()
    heading, none, ask, films, reason, make, stop, stopped, ready, again = WORDS[language]
    with running_api(sqlite_index, tmp_path, clock=clock) as api:
        sealed = sealed_session(api, clock)
        sealed.grant("auditor", list(Medium), [Action.REPLAY, Action.COPY])
        with open_page(chromium, api.base, language) as page:
            sign_in(page, "auditor", PASSWORD)
            page.goto(f"/sessions/{sealed.id}")
            card = page.get_by_role("region", name=heading, exact=True)
            expect(card).to_contain_text(none, timeout=30_000)

            def asked(form: str | None) -> None:
                card.get_by_role("button", name=ask).click()
                dialog = page.get_by_role("dialog")
                if form is not None:
                    dialog.get_by_text(form, exact=False).first.click()
                dialog.get_by_role("button", name=make).click()
                expect(dialog.get_by_role("alert")).to_have_count(1)
                assert violations(page) == []
                dialog.get_by_label(reason).fill("case 7")
                dialog.get_by_role("button", name=make).click()
                expect(dialog).to_have_count(0)

            asked(None)
            card.get_by_role("button", name=stop, exact=True).click()
            expect(card.get_by_role("status")).to_have_text(stopped)
            clock.advance(1_000_000)
            asked(films)
            expect(card.get_by_role("status")).to_have_count(2)
            with sqlite_index.read() as orm:
                jobs = orm.scalars(select(Job.id).where(Job.state == JobState.QUEUED)).all()
            with ThreadPoolExecutor(1) as worker:
                assert list(worker.map(sealed.run, jobs)) == [JobState.DONE]
            expect(card.get_by_role("status").first).to_have_text(ready)
            assert violations(page) == []
            with page.expect_download() as loading:
                card.get_by_role("link", name="CSV").click()
            assert loading.value.path().read_bytes().startswith(b"\xef\xbb\xbf")
            card.get_by_role("button", name=again).click()
            expect(card.get_by_role("status").last).not_to_have_text(stopped)
            with page.expect_download() as loading:
                card.get_by_role("link").first.click()
            with zipfile.ZipFile(loading.value.path()) as bag:
                assert "watermark.json" in bag.namelist()
