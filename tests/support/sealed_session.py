"""A session behind an API, recorded, ended and sealed, and what people then do with it."""

from dataclasses import dataclass
from pathlib import Path

import httpx
from support.api import RunningApi
from support.clock import FakeClock
from support.footage import Reel
from support.session_desk import Desk

from bidwitness.player import tasks as player_tasks
from bidwitness.recorder.epochs import EpochMaker
from bidwitness.storage.evidence_report import tasks as report_tasks
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.models import Grant
from bidwitness.storage.jobs import HANDLERS, Runner
from bidwitness.storage.ledger.ledger import Ledger
from bidwitness.storage.ledger.trust import write_policy
from bidwitness.storage.sessions.seal import Sealer
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import Action, GrantKind, JobState, Medium, Outcome, Role

SECOND = 1_000_000
# Imported, so that their jobs are known.
TASKS = (player_tasks, report_tasks)


@dataclass
class Sealed:
    """A sealed session of one camera's footage (10 s to 30 s of what was recorded)."""

    api: RunningApi
    clock: FakeClock
    id: str
    streams: list[str]
    start: int

    def grant(self, username: str, media: list[Medium], actions: list[Action]) -> None:
        user = self.api.add_user(username, Role.AUDITOR)
        with self.api.database.write() as orm:
            orm.add(
                Grant(
                    kind=GrantKind.REQUEST,
                    user_id=user,
                    session_id=self.id,
                    media=media,
                    actions=actions,
                    reason="a complaint",
                    made_us=self.start,
                    made_by="test",
                    department_us=self.start,
                    department_by="department",
                )
            )

    def run(self, job_id: str) -> JobState | None:
        parts = self.api.parts
        runner = Runner(parts.settings, parts.database, self.clock, "w", HANDLERS)
        return runner.run_job(job_id)


def sealed_session(api: RunningApi, clock: FakeClock) -> Sealed:
    """Record, end and seal a session; its seal waits for what was never heard of."""
    settings = api.parts.settings
    desk = Desk(api.database, settings, clock, settings.spool)
    main, sub = desk.streams[desk.one.id][:2]
    start = clock.utc_us()
    reels = [
        Reel(api.database, settings.spool, stream, start, sound=stream == main)
        for stream in (main, sub)
    ]
    session = desk.plan(desk.book(desk.one, 10 * SECOND))
    clock.set_utc(start + 10 * SECOND)
    desk.do(lambda c: c.start(session))
    clock.set_utc(start + 30 * SECOND)
    desk.do(lambda c: c.end(session, outcome=Outcome.COMPLETED))
    for reel in reels:
        reel.segments(40, each=8)
    clock.set_utc(start + 45 * SECOND)
    desk.do(lambda c: c.seal(session))
    desk.sealer.seal_due()
    return Sealed(api, clock, session, [main, sub], start)


def fetched(client: httpx.Client, export_id: str, folder: Path) -> Path:
    answer = client.get(f"/api/v1/exports/{export_id}/package")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    target = folder / f"{export_id}.zip"
    target.write_bytes(answer.content)
    return target


def signed_and_logged(sealed: Sealed, *, epoch: bool = True) -> Path:
    """Do what the recorder and `keep` do, and write the site's trust material."""
    settings, database = sealed.api.parts.settings, sealed.api.database
    # The other camera of the room was never heard of.
    sealed.clock.sleep(601)
    Sealer(database, sealed.clock, settings, open_footage(settings, sealed.clock)).seal_due()
    if epoch:
        EpochMaker(settings, database, sealed.clock).make_due()
    ledger = Ledger(database, settings, sealed.clock, SystemFiles())
    ledger.log_some()
    ledger.close()
    policy = settings.data / "policy"
    policy.write_bytes(write_policy(database, settings))
    return policy


def exported(sealed: Sealed, username: str, folder: Path) -> Path:
    with sealed.api.as_user(username) as client:
        body = {"session_id": sealed.id, "reason": "case 7", "form": "package"}
        job = client.post("/api/v1/exports", json=body).json()
        assert sealed.run(job["id"]) == JobState.DONE
        return fetched(client, job["id"], folder)
