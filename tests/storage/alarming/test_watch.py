"""Alarms of streams as rows: opened once, closed when it is well again, told once."""

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.factories import HOUR, PERSON, a_room, a_session, booked, streams_of

from bidwitness.config import load_settings
from bidwitness.recorder.status import StreamState
from bidwitness.recorder.status_rows import save_status_rows
from bidwitness.storage.alarming.notify import MAIL, WEBHOOK, Notifier
from bidwitness.storage.alarming.watch import StreamWatch
from bidwitness.storage.happenings import acknowledge_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm, Camera, Job, Stream
from bidwitness.storage.sessions.commands import Said, SessionCommands
from bidwitness.words import GapCause, Health, Role, StreamFault

WEB = {"alarm_webhook": "https://example.org/a", "alarm_webhook_secret": "0123456789abcdef"}
POST = {"alarm_mail_to": "a@example.org", "alarm_mail_from": "b@example.org"}


class Site:
    """One room with one camera of one stream, and who watches it."""

    def __init__(self, index: Database) -> None:
        self.index = index
        self.clock = FakeClock()
        self.watch = StreamWatch(index, self.clock)
        with index.write() as orm:
            self.room = a_room(orm, "评标室一", cameras=1)
            self.stream, *others = streams_of(orm, self.room)
            for other in others:
                orm.get_one(Stream, other).enabled = False

    def report(self, state: Health, cause: GapCause | None = None, **more: object) -> None:
        """What the recorder says now."""
        now = self.clock.utc_us()
        # The names that follow are the fields of the state.
        said = StreamState(self.stream, state, cause, now, **more)  # type: ignore[arg-type]
        with self.index.write() as orm:
            save_status_rows(orm, "recorder-1", [said], now)

    def goes_on(
        self, seconds: int, state: Health, cause: GapCause | None = None, **more: object
    ) -> None:
        """The recorder reports, and the watch looks, every second."""
        for _ in range(seconds):
            self.clock.sleep(1)
            self.report(state, cause, **more)
            self.watch.watch()

    def alarms(self, kind: str | None = None) -> list[Alarm]:
        with self.index.read() as orm:
            rows = orm.scalars(select(Alarm).order_by(Alarm.raised_us)).all()
            return [row for row in rows if kind in (None, row.kind)]

    def open(self) -> set[str]:
        return {alarm.kind for alarm in self.alarms() if alarm.cleared_us is None}


@pytest.fixture
def site(index: Database) -> Site:
    return Site(index)


def test_an_alarm_opens_once_and_closes_when_it_is_well_again(site: Site) -> None:
    site.goes_on(3, Health.OK)
    began = site.clock.utc_us()
    site.goes_on(20, Health.STALLED, GapCause.STALL)
    site.goes_on(20, Health.OFFLINE, GapCause.OFFLINE)
    (alarm,) = site.alarms()
    assert (alarm.kind, alarm.subject) == ("not_recording", f"stream:{site.stream}")
    assert alarm.room_id == site.room.id and alarm.facts["cause"] == "stall"
    assert alarm.cause and "sends nothing" in alarm.cause
    assert alarm.raised_us - began <= 8_000_000
    site.goes_on(1, Health.OK)
    (alarm,) = site.alarms()
    assert alarm.cleared_us == site.clock.utc_us()
    site.goes_on(10, Health.OFFLINE, GapCause.NETWORK)
    assert [a.cleared_us is None for a in site.alarms()] == [False, True]


def test_a_reconnect_is_no_alarm(site: Site) -> None:
    for _ in range(5):
        site.goes_on(4, Health.OFFLINE, GapCause.NETWORK)
        site.goes_on(2, Health.OK)
    assert site.alarms() == []


def test_a_dead_recorder_is_alarmed_and_a_second_watch_finds_the_alarm(site: Site) -> None:
    site.goes_on(2, Health.OK)
    for _ in range(12):
        site.clock.sleep(1)
        site.watch.watch()
    assert site.alarms()[0].facts["cause"] == "recorder_down"
    site.watch = StreamWatch(site.index, site.clock)
    for _ in range(12):
        site.clock.sleep(1)
        site.watch.watch()
    assert len(site.alarms()) == 1
    site.goes_on(2, Health.OK)
    assert site.open() == set()


def test_an_acknowledgement_keeps_who_and_when_past_the_end(site: Site) -> None:
    site.goes_on(9, Health.OFFLINE, GapCause.OFFLINE)
    seen = site.clock.utc_us()
    with site.index.write() as orm:
        acknowledge_alarm(orm, PERSON, seen, site.alarms()[0].id)
    site.goes_on(9, Health.OFFLINE, GapCause.OFFLINE)
    site.goes_on(2, Health.OK)
    (alarm,) = site.alarms()
    assert (alarm.acknowledged_by, alarm.acknowledged_us) == (PERSON.name, seen)
    assert alarm.cleared_us is not None and alarm.cleared_us > seen


def test_faults_are_alarmed_apart_and_keep_standing_while_nothing_is_known(site: Site) -> None:
    verdicts = {StreamFault.LONG_GOP: True, StreamFault.CLOCK_OFFSET: True}
    site.goes_on(2, Health.OK, verdicts=verdicts, gop_ms=10_000, clock_us=5_000_000)
    assert site.open() == {"long_gop", "clock_offset"}
    site.goes_on(3, Health.STALLED, GapCause.STALL)
    site.goes_on(3, Health.OK)
    assert site.open() == {"long_gop", "clock_offset"}, "after a reconnect: not known yet"
    site.goes_on(1, Health.OK, verdicts={StreamFault.LONG_GOP: False}, gop_ms=1000)
    assert site.open() == {"clock_offset"}
    with site.index.write() as orm:
        stream = orm.get_one(Stream, site.stream)
        orm.get_one(Camera, stream.camera_id).enabled = False
    site.watch.watch()
    assert site.open() == set(), "a camera that is switched off has no alarms"


def test_silence_is_quiet_in_recess(site: Site) -> None:
    now = site.clock.utc_us()
    clock, settings = site.clock, load_settings()
    with site.index.write() as orm:
        session = a_session(orm, clock, settings, booked(site.room, now, now + HOUR)).id

    def do(verb: str) -> None:
        with site.index.write() as orm:
            commands = SessionCommands(orm, clock, settings, PERSON, frozenset(Role))
            if verb == "start":
                commands.start(session)
            else:
                getattr(commands, verb)(session, Said("lunch"))

    silent = {StreamFault.SILENT: True}
    do("start")
    site.goes_on(2, Health.DEGRADED, verdicts=silent, centi_dbfs=-10_000)
    assert site.open() == {"no_sound"}
    do("recess")
    site.goes_on(5, Health.DEGRADED, verdicts=silent, centi_dbfs=-10_000)
    assert site.open() == set()
    site.goes_on(3, Health.DEGRADED, GapCause.NO_AUDIO)
    assert site.open() == {"no_sound"}, "a line that is cut is no quiet room"
    site.goes_on(2, Health.DEGRADED, verdicts=silent)
    do("resume")
    site.goes_on(2, Health.DEGRADED, verdicts=silent, centi_dbfs=-10_000)
    assert [a.cleared_us is None for a in site.alarms("no_sound")] == [False, False, True]


def notices(site: Site) -> list[tuple[str, list[str]]]:
    with site.index.read() as orm:
        jobs = orm.scalars(select(Job).order_by(Job.created_us, Job.kind)).all()
        return [(j.kind, [n["moment"] for n in j.payload["notices"]]) for j in jobs]


def test_each_moment_is_told_once_on_each_channel(site: Site) -> None:
    settings = load_settings(**WEB, **POST, alarm_smtp="smtp://mail.example.org")
    notifier = Notifier(site.index, site.clock, settings)
    assert notifier.notify() == 0
    site.goes_on(9, Health.OFFLINE, GapCause.OFFLINE)
    assert [notifier.notify(), notifier.notify()] == [1, 0]
    assert notices(site) == [(MAIL, ["raised"]), (WEBHOOK, ["raised"])]
    site.goes_on(1, Health.OK)
    assert [notifier.notify(), notifier.notify()] == [1, 0]
    assert notices(site)[2:] == [(MAIL, ["cleared"]), (WEBHOOK, ["cleared"])]
    site.goes_on(9, Health.OFFLINE, GapCause.OFFLINE)
    site.goes_on(1, Health.OK)
    notifier.notify()
    assert notices(site)[4:] == [(MAIL, ["raised", "cleared"]), (WEBHOOK, ["raised", "cleared"])]


def test_who_wants_no_notices_gets_none_later_either(site: Site) -> None:
    site.goes_on(9, Health.OFFLINE, GapCause.OFFLINE)
    Notifier(site.index, site.clock, load_settings()).notify()
    assert Notifier(site.index, site.clock, load_settings(**WEB)).notify() == 0
    assert notices(site) == []
