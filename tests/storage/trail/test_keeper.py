"""`keep` walks by itself and when asked, a little at a time, and alarms what it finds by name."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from support.ledger_site import Site
from support.trail import by_sql

from bidwitness.errors import IndexUnavailable
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.models import Alarm, AuditEntry, AuditRound
from bidwitness.storage.trail.keeper import ALARM, EVERY_US, SUBJECT, TrailKeeper, ask_for_round
from bidwitness.storage.trail.walk import Walk


def keeper(site: Site, rate: int = 1000) -> TrailKeeper:
    return TrailKeeper(site.index, site.settings, site.clock, rate=rate)


def a_round(walker: TrailKeeper) -> int:
    looked_at = 0
    while did := walker.walk_some():
        looked_at += did
    return looked_at


def rounds(orm: Orm) -> list[AuditRound]:
    return list(orm.scalars(select(AuditRound).order_by(AuditRound.id)))


def test_a_round_an_hour_a_little_at_a_time(site: Site) -> None:
    site.act(7)
    site.log()
    walker = keeper(site, rate=4)
    # Two entries of the log's own and seven acts; seven rows; and the outbox has nothing waiting.
    assert a_round(walker) == 16
    assert a_round(walker) == 0
    site.clock.advance(EVERY_US)
    assert a_round(walker) == 16
    with site.index.read() as orm:
        found = rounds(orm)
        assert [(r.looked_at, r.faults, r.findings) for r in found] == [(16, 0, [])] * 2
        assert open_alarm(orm, ALARM, SUBJECT) is None


def test_what_is_found_is_named_in_an_alarm_and_in_the_trail(site: Site) -> None:
    site.act(7)
    site.log()
    by_sql(
        site.index,
        "UPDATE audit_entries SET who = 'nobody' WHERE id = 3",
        "DELETE FROM audit_entries WHERE id = 5",
    )
    walker = keeper(site)
    a_round(walker)
    with site.index.read() as orm:
        (row,) = rounds(orm)
        assert row.faults == 2
        assert [(f["fault"], f["first"]) for f in row.findings] == [("edited", 3), ("removed", 5)]
        alarm = open_alarm(orm, ALARM, SUBJECT)
        assert alarm is not None
        assert "audit entry 3: edited" in alarm.cause
        assert "audit entry 5: removed" in alarm.cause
        told = orm.scalars(select(AuditEntry).where(AuditEntry.action == "audit.differs")).one()
        assert (told.facts or {})["count"] == 2
    # The same is told once; more is told anew, as an alarm of its own.
    site.clock.advance(EVERY_US)
    a_round(walker)
    by_sql(site.index, "UPDATE audit_entries SET who = 'nobody' WHERE id = 1")
    site.clock.advance(EVERY_US)
    a_round(walker)
    with site.index.read() as orm:
        causes = list(orm.scalars(select(Alarm.cause).where(Alarm.kind == ALARM)))
        assert len(causes) == 2
        assert sum("audit entry 1:" in cause for cause in causes) == 1


def test_a_person_asks_for_one(site: Site) -> None:
    site.act(2)
    site.log()
    walker = keeper(site)
    a_round(walker)
    with site.index.write() as orm:
        for _ in range(2):
            ask_for_round(orm, Who("an auditor"), site.clock.utc_us())
    assert a_round(walker) > 0
    assert a_round(walker) == 0
    with site.index.read() as orm:
        assert [row.wanted_by for row in rounds(orm)] == [None, "an auditor"]
        asked = select(AuditEntry.action).where(AuditEntry.who == "an auditor")
        assert list(orm.scalars(asked)) == ["audit.walk"]


def test_a_round_that_an_outage_or_the_end_of_the_process_cut_off_begins_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.act(7)
    site.log()
    walker = keeper(site, rate=4)
    assert walker.walk_some() == 4

    def away(_self: Walk, *_: object) -> None:
        raise IndexUnavailable("The index does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(Walk, "_judge", away)
        with pytest.raises(IndexUnavailable):
            a_round(walker)
    assert a_round(keeper(site)) == 16
    with site.index.read() as orm:
        (row,) = rounds(orm)
        assert (row.looked_at, row.faults) == (16, 0)
