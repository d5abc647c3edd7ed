"""Audit entries are kept as long as the footage they speak of, and half a year at least."""

import pytest
from sqlalchemy import select, update
from support import factories
from support.ledger_site import Site

from bidwitness.storage.holds import NewHold, place_hold
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Claim, Lot, Stream
from bidwitness.storage.trail.keeping import DAY_US, LEAST_US, entry_kept_until, kept_until
from bidwitness.words import ClaimClass

YEAR_US = 366 * DAY_US


@pytest.mark.parametrize(
    ("footage", "until"),
    [
        ([], LEAST_US),
        ([5], LEAST_US),
        ([YEAR_US], YEAR_US),
        ([5, YEAR_US, 7], YEAR_US),
        ([YEAR_US, None], None),
    ],
)
def test_the_rule(footage: list[int | None], until: int | None) -> None:
    assert kept_until(0, footage) == until


def test_six_months_are_never_less_than_six_months() -> None:
    # From the first of March to the first of September: the longest half year there is.
    assert LEAST_US == (31 + 30 + 31 + 30 + 31 + 31) * DAY_US


def test_as_long_as_the_footage_it_speaks_of(site: Site) -> None:
    """Not known, then the lot's end, and for good while there is a hold."""
    now, who = site.clock.utc_us(), Who("somebody")
    end = now + 5 * YEAR_US
    with site.index.write() as orm:
        room = factories.a_room(orm)
        booking = factories.booked(room, now, now + DAY_US)
        session = factories.a_session(orm, site.clock, site.settings, booking).id
        stream = orm.scalars(select(Stream.id).limit(1)).one()
        orm.add(
            Claim(
                session_id=session,
                stream_id=stream,
                from_us=now - 1,
                klass=ClaimClass.OWN,
                made_us=now,
                made_by="test",
            )
        )
        entries = [
            leave_audit_entry(orm, who, "seen", subject, now)
            for subject in (f"session:{session}", f"stream:{stream}", "user:x", "rights")
        ]

    def ends() -> list[int | None]:
        with site.index.read() as orm:
            return [entry_kept_until(orm, entry) for entry in entries]

    assert ends() == [None, None, now + LEAST_US, now + LEAST_US]
    with site.index.write() as orm:
        orm.execute(update(Lot).values(retention_from_us=now, retention_until_us=end))
    assert ends() == [end, end, now + LEAST_US, now + LEAST_US]
    with site.index.write() as orm:
        place_hold(orm, who, now, NewHold(session_id=session, case_no="7", reason="a complaint"))
    assert ends()[:2] == [None, None]
