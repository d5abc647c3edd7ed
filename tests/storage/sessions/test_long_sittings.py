"""Sittings that last for days, rolls that stop at a neighbour, and places that several share."""

import shutil
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from support.clock import FakeClock
from support.factories import HOUR, SECOND, a_room, booked, link, streams_of
from support.session_desk import Desk

from bidwitness.config import load_settings
from bidwitness.storage.evidence.session_records import CloseFacts
from bidwitness.storage.index.database import Database, open_database
from bidwitness.storage.index.models import Seat
from bidwitness.storage.sessions.commands import Said
from bidwitness.words import ClaimClass, Outcome, RoomKind, SessionState

DAY_S = 86_400


def test_over_thirty_six_hours_with_nights_rooms_and_an_extension(
    sqlite_index: Database, tmp_path: Path
) -> None:
    desk = Desk(sqlite_index, spool=tmp_path / "spool", settings=load_settings(undo_seconds=0))
    desk.clock.set_utc((desk.now // (DAY_S * SECOND) + 1) * DAY_S * SECOND - 3 * HOUR)
    began = desk.now
    session = desk.plan(booked(desk.one, began, began + 8 * HOUR))
    desk.tick()
    desk.clock.sleep(2 * 3600)
    desk.do(lambda c: c.recess(session, Said()))
    desk.tick(12 * 3600)
    assert desk.alarm("overrun", session) is not None
    desk.do(lambda c: c.resume(session, Said()))
    desk.do(lambda c: c.extend(session, began + 40 * HOUR))
    assert desk.alarm("overrun", session) is None
    desk.clock.sleep(6 * 3600)
    room_two = [booked(desk.two, desk.now, began + 40 * HOUR)]
    desk.do(lambda c: c.move(session, room_two, reason="空调故障"))
    moved = desk.now
    desk.do(lambda c: c.suspend(session, Said("等待澄清", "王主任", "评〔7〕")))
    desk.clock.sleep(17 * 3600)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    ended = desk.now
    assert ended - began > 36 * HOUR
    desk.film(desk.streams[desk.one.id], began, moved, HOUR)
    desk.film(desk.streams[desk.two.id], moved, ended, HOUR)
    assert desk.spans(session) == {(began, moved), (moved, ended)}
    desk.clock.sleep(5)
    desk.sealer.seal_due()
    (close,) = [facts for facts in desk.facts(session) if isinstance(facts, CloseFacts)]
    days = {
        room: sorted({head.day for head in close.heads if head.stream in streams})
        for room, streams in desk.streams.items()
    }
    # Two midnights: the first in the one room, the second in the other.
    assert (len(days[desk.one.id]), len(days[desk.two.id])) == (2, 2)
    assert len({*days[desk.one.id], *days[desk.two.id]}) == 3
    row = desk.session(session)
    assert row.state == SessionState.SEALED
    assert (row.report["coverage_ppm"], row.report["gaps"]) == (1_000_000, 0)


sittings = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 90)), min_size=2, max_size=5)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(plan=[(0, 1), (0, 1)], margins=(0, 0, 600))
@example(plan=[(0, 9), (5, 1)], margins=(60, 600, 0))
@given(
    plan=sittings,
    margins=st.tuples(st.integers(0, 1800), st.integers(0, 1800), st.integers(0, 1800)),
)
def test_rolls_never_enter_anothers_footage(
    migrated_sqlite: Path, plan: list[tuple[int, int]], margins: tuple[int, int, int]
) -> None:
    """Sessions of one room, (minutes of pause before it, minutes long), one after the other."""
    lead_in, pre, post = margins
    chosen = load_settings(
        lead_in_seconds=lead_in, pre_roll_seconds=pre, post_roll_seconds=post, undo_seconds=0
    )
    with TemporaryDirectory() as folder:
        shutil.copyfile(migrated_sqlite, f"{folder}/index.db")
        index = open_database(f"sqlite:///{folder}/index.db")
        desk = Desk(index, settings=chosen, clock=FakeClock())
        stream = desk.streams[desk.one.id][0]
        cores: list[tuple[str, int, int]] = []
        for pause, length in plan:
            desk.clock.sleep(pause * 60)
            session = desk.started(desk.one)
            start = desk.now
            desk.clock.sleep(length * 60)
            desk.do(lambda c, one=session: c.end(one, Outcome.COMPLETED))
            cores.append((session, start, desk.now))
        spans = []
        for number, (session, start, end) in enumerate(cores):
            ((_, low, high, klass),) = [c for c in desk.claims(session) if c[0] == stream]
            assert klass is ClaimClass.OWN and high is not None
            assert low <= start and end <= high
            reach = start - (lead_in + pre) * SECOND
            taken = spans[-1][1] if spans else 0
            # The lead-in and the rolls are taken as far as they are nobody else's.
            assert low == max(reach, taken)
            after = cores[number + 1][1] if number + 1 < len(cores) else high
            assert high == min(end + post * SECOND, after)
            spans.append((low, high))
        assert all(a[1] <= b[0] for a, b in pairwise(spans)), spans
        index.close()


@pytest.fixture
def desk(index: Database) -> Desk:
    return Desk(index)


def test_a_place_linked_to_two_rooms_is_shared_and_seats_are_not(desk: Desk) -> None:
    with desk.index.write() as orm:
        hall = a_room(orm, "入口", RoomKind.CORRIDOR)
        seats = a_room(orm, "评标室三", seats=("1", "2"))
        for room in (desk.one, desk.two, seats):
            link(orm, room, hall)
        entrance = set(streams_of(orm, hall))
        rows = orm.scalars(select(Seat).where(Seat.room_id == seats.id))
        ids = {seat.name: seat.id for seat in rows}
    first, second = desk.started(desk.one), desk.started(desk.two)
    left = desk.plan(booked(seats, desk.now, desk.now + HOUR, seats=[ids["1"]]))
    right = desk.plan(booked(seats, desk.now, desk.now + HOUR, seats=[ids["2"]]))
    for session in (left, right):
        desk.do(lambda c, one=session: c.start(one))
    own: list[str] = []
    for session in (first, second, left, right):
        claims = desk.claims(session)
        linked = {stream for stream, _, _, klass in claims if klass is ClaimClass.LINKED}
        assert linked == entrance
        own += [stream for stream, _, _, klass in claims if klass is ClaimClass.OWN]
    assert len(own) == len(set(own)) == 4 + 4 + 2 + 2
