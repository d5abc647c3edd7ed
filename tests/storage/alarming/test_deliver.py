"""Alarms told to a real HTTP server and a real SMTP server on loopback, by the jobs' own runner."""

import email
import email.policy
import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.factories import a_room
from support.receivers import Mailed, Posted, running_mail_server, running_webhook

from bidwitness.config import Settings, load_settings
from bidwitness.errors import ConfigError
from bidwitness.storage.alarming import deliver
from bidwitness.storage.alarming.notify import Notifier
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Job
from bidwitness.storage.jobs import HANDLERS, Runner
from bidwitness.words import JobState

SECRET = "a-secret-of-24-characters"
SUBJECT = "stream:abcdefghijklmnop"


class Teller:
    """An index with a room, and who raises alarms there and has them told."""

    def __init__(self, index: Database, settings: Settings) -> None:
        self.index = index
        self.settings = settings
        self.clock = FakeClock()
        self.notifier = Notifier(index, self.clock, settings)
        self.runner = Runner(settings, index, self.clock, "worker-1")
        assert deliver.WEBHOOK in HANDLERS and deliver.MAIL in HANDLERS
        with index.write() as orm:
            self.room = a_room(orm, "评标室一", cameras=0).id

    def raised(self, kind: str = "long_gop", camera: str = "门口") -> str:
        facts = {"room": "评标室一", "camera": camera, "role": "main", "gop_ms": 10_000}
        with self.index.write() as orm:
            return raise_alarm(
                *(orm, kind, f"{SUBJECT}{camera}", self.clock.utc_us()),
                cause="key frames are far apart",
                room_id=self.room,
                facts=facts,
            ).id

    def cleared(self, kind: str = "long_gop", camera: str = "门口") -> None:
        with self.index.write() as orm:
            assert clear_alarm(orm, kind, f"{SUBJECT}{camera}", self.clock.utc_us())

    def tell(self) -> Job:
        """Queue what is to be told, and run it once."""
        self.notifier.notify()
        return self.run()

    def run(self) -> Job:
        with self.index.read() as orm:
            newest = orm.scalars(select(Job).order_by(Job.created_us.desc())).first()
        assert newest is not None
        self.runner.run_job(newest.id)
        with self.index.read() as orm:
            return orm.get_one(Job, newest.id)


@pytest.fixture
def posted() -> Iterator[Posted]:
    with running_webhook() as running:
        yield running


@pytest.fixture
def mailed() -> Iterator[Mailed]:
    with running_mail_server() as running:
        yield running


@pytest.fixture
def by_web(sqlite_index: Database, tmp_path: Path, posted: Posted) -> Teller:
    settings = load_settings(
        data=tmp_path, alarm_webhook=posted.url, alarm_webhook_secret=SECRET, site="site-7"
    )
    return Teller(sqlite_index, settings)


@pytest.fixture
def by_mail(sqlite_index: Database, tmp_path: Path, mailed: Mailed) -> Teller:
    settings = load_settings(
        data=tmp_path,
        alarm_mail_to="duty@example.org, night@example.org",
        alarm_mail_from="bidwitness@example.org",
        alarm_smtp=f"smtp://teller%40example.org@127.0.0.1:{mailed.port}",
        alarm_smtp_password="pw",
        name="见证\nBcc: x@example.org",
    )
    return Teller(sqlite_index, settings)


def test_a_post_holds_the_alarm_in_both_languages_and_its_signature(
    by_web: Teller, posted: Posted
) -> None:
    alarm = by_web.raised()
    job = by_web.tell()
    assert job.state == JobState.DONE
    ((headers, body),) = posted.requests
    at, signed = (part.split("=", 1)[1] for part in headers["BidWitness-Signature"].split(","))
    assert int(at) == by_web.clock.utc_us() // 1_000_000
    expected = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signed, expected)
    assert headers["BidWitness-Delivery"] == job.id
    said = json.loads(body)
    assert said["site"] == "site-7"
    (notice,) = said["notices"]
    assert (notice["alarm_id"], notice["moment"], notice["kind"]) == (alarm, "raised", "long_gop")
    assert notice["room"] == "评标室一" and notice["raised_at"] == by_web.clock.utc_us()
    assert notice["cleared_at"] is None
    assert "每 1–2 秒" in notice["text"]["zh"] and "every 1-2 s" in notice["text"]["en"]
    by_web.clock.sleep(9)
    by_web.cleared()
    by_web.tell()
    (notice,) = json.loads(posted.requests[1][1])["notices"]
    assert (notice["moment"], notice["cleared_at"]) == ("cleared", by_web.clock.utc_us())


def test_a_receiver_that_is_down_is_tried_again_with_the_same_bytes(
    by_web: Teller, posted: Posted
) -> None:
    posted.answers = [503, 429]
    by_web.raised()
    job = by_web.tell()
    assert (job.state, job.attempt, job.error) == (JobState.QUEUED, 1, "The webhook answered 503.")
    by_web.cleared()
    by_web.clock.sleep(5)
    assert by_web.run().state == JobState.QUEUED
    by_web.clock.sleep(10)
    assert by_web.run().state == JobState.DONE
    assert len({body for _, body in posted.requests}) == 1
    assert len({headers["BidWitness-Delivery"] for headers, _ in posted.requests}) == 1


@pytest.mark.parametrize("answer", [301, 400, 401, 410])
def test_a_receiver_that_refuses_is_not_asked_again(
    by_web: Teller, posted: Posted, answer: int
) -> None:
    posted.answers = [answer]
    by_web.raised()
    job = by_web.tell()
    assert job.state == JobState.FAILED and str(answer) in str(job.error)
    assert len(posted.requests) == 1, "no redirect is followed"


@pytest.mark.parametrize(
    "settings",
    [
        {"alarm_webhook": "http://%s/", "alarm_webhook_secret": SECRET},
        {
            "alarm_mail_to": "a@example.org",
            "alarm_mail_from": "b@example.org",
            "alarm_smtp": "smtp://%s",
        },
    ],
)
def test_nobody_there_is_an_outage(
    sqlite_index: Database, tmp_path: Path, settings: dict[str, str]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{nobody.getsockname()[1]}"
        filled = {name: value.replace("%s", at) for name, value in settings.items()}
        teller = Teller(sqlite_index, load_settings(data=tmp_path, **filled))
        teller.raised()
        job = teller.tell()
    assert job.state == JobState.QUEUED and "does not answer" in str(job.error)


def parsed(source: bytes) -> EmailMessage:
    message = email.message_from_bytes(source, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_mail_says_it_in_both_languages_to_all(by_mail: Teller, mailed: Mailed) -> None:
    for camera in ("门口", "主席台"):
        by_mail.raised(camera=camera)
    job = by_mail.tell()
    assert job.state == JobState.DONE, job.error
    ((to, source),) = mailed.mails
    assert to == ["duty@example.org", "night@example.org"]
    message = parsed(source)
    assert message["Subject"].endswith(
        "告警：关键帧间隔过长 / alarm: Key frames too far apart (+1)"
    )
    assert message["Bcc"] is None and "x@example.org" not in to
    assert message["Message-ID"] == f"<{job.id}@site-1.bidwitness>"
    body = message.get_content()
    for words in ("评标室一 · 门口", "评标室一 · 主席台", "每 1–2 秒", "every 1-2 s", "+08:00"):
        assert words in body, body
    assert mailed.logins, "it signed in"
    by_mail.clock.sleep(60)
    by_mail.cleared()
    by_mail.tell()
    assert "告警解除" in parsed(mailed.mails[1][1])["Subject"]


@pytest.mark.parametrize(
    ("said", "state"),
    [(b"451 try again later", JobState.QUEUED), (b"550 no such user", JobState.FAILED)],
)
def test_a_mail_server_refuses_for_now_or_for_good(
    by_mail: Teller, mailed: Mailed, said: bytes, state: JobState
) -> None:
    mailed.refuse = [said, said]
    by_mail.raised()
    assert by_mail.tell().state == state
    assert mailed.mails == []


def test_an_alarm_of_another_kind_is_told_by_its_cause(by_web: Teller, posted: Posted) -> None:
    with by_web.index.write() as orm:
        raise_alarm(orm, "disk_low", "volume:spool", by_web.clock.utc_us(), cause="12 % is free.")
    by_web.tell()
    (notice,) = json.loads(posted.requests[0][1])["notices"]
    assert notice["text"]["zh"] == "volume:spool：磁盘剩余空间不足。"
    assert notice["text"]["en"].endswith("12 % is free.")


@pytest.mark.parametrize(
    "settings",
    [
        {"alarm_webhook": "https://example.org/"},
        {"alarm_webhook": "https://example.org/", "alarm_webhook_secret": "short"},
        {"alarm_webhook": "ftp://example.org/", "alarm_webhook_secret": SECRET},
        {"alarm_mail_to": "a@example.org"},
        {"alarm_mail_to": "a@example.org\nBcc: b@example.org"},
    ],
)
def test_half_a_setting_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="BIDWITNESS"):
        load_settings(**settings)
