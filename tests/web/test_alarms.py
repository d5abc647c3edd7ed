"""Alarms about streams on the cameras' page: in words, in both languages, acknowledged."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select
from support.api import PASSWORD, running_api
from support.browser import open_page, sign_in, violations
from support.factories import a_room

from bidwitness.clock import SystemClock
from bidwitness.recorder.status import StreamState
from bidwitness.recorder.status_rows import save_status_rows
from bidwitness.storage.alarming.watch import StreamWatch
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm, Stream
from bidwitness.words import Health, Role, StreamFault

pytestmark = pytest.mark.timeout(300)

WORDS = {
    "zh": ("关键帧间隔过长", "每 1–2 秒一个关键帧", "麦克风无信号", "+90.0"),
    "en": ("Key frames too far apart", "a key frame every 1–2 s", "Microphone", "+90.0"),
}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_alarms_are_worded_and_acknowledged(
    chromium: Browser, sqlite_index: Database, tmp_path: Path, language: str
) -> None:
    clock = SystemClock()
    with sqlite_index.write() as orm:
        a_room(orm, "评标室一", cameras=1)
        streams = orm.scalars(select(Stream.id)).all()
        found = [
            StreamState(
                *(stream, Health.DEGRADED, None, clock.utc_us()),
                last_us=clock.utc_us(),
                gop_ms=10_000,
                centi_dbfs=-8000,
                clock_us=90_000_000,
                verdicts=dict.fromkeys(StreamFault, True),
            )
            for stream in streams[:1]
        ]
        # As if from a recorder that goes on: the page is read seconds later.
        save_status_rows(orm, "recorder-1", found, clock.utc_us() + 120_000_000)
    StreamWatch(sqlite_index, clock).watch()
    with (
        running_api(sqlite_index, tmp_path) as api,
        open_page(chromium, api.base, language) as page,
    ):
        api.add_user("root", Role.SYSTEM_ADMIN)
        sign_in(page, "root", PASSWORD)
        page.goto("/cameras")
        alarms = page.locator("section.alarms")
        for words in WORDS[language]:
            expect(alarms).to_contain_text(words)
        said = page.locator("main").inner_text()
        assert not re.search(r"[a-z]+_[a-z]+", said), "a raw code is shown"
        expect(page.locator("meter")).to_have_count(1)
        assert violations(page) == []
        alarms.get_by_role("button").first.click()
        expect(alarms).to_contain_text("root")
    with sqlite_index.read() as orm:
        seen = [a for a in orm.scalars(select(Alarm)) if a.acknowledged_us is not None]
        assert [a.acknowledged_by for a in seen] == ["root"]
