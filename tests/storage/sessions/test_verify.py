"""Verification reads every byte again, from the store, and says what is wrong with what."""

from pathlib import Path

import pytest
from sqlalchemy import select
from support.factories import MINUTE, SECOND, Tape
from support.session_desk import Desk

from bidwitness.errors import Conflict, NotFound, StoreError
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Record, Segment, SessionRecord
from bidwitness.storage.sessions.verify import Verification, verify_session
from bidwitness.words import Outcome

LENGTH = 10 * MINUTE


@pytest.fixture
def desk(index: Database, tmp_path: Path) -> Desk:
    return Desk(index, spool=tmp_path / "spool")


def verified(desk: Desk, session: str) -> Verification:
    assert desk.spool is not None
    return verify_session(desk.index, desk.clock, Footage(desk.spool, desk.store), session)


def sealed(desk: Desk) -> str:
    """A sealed session of ten minutes, its footage in the store and in the spool."""
    session = desk.started(desk.one)
    began = desk.now
    desk.clock.sleep(LENGTH // SECOND)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    desk.clock.sleep(900)
    streams = desk.streams[desk.one.id]
    desk.film(streams[:-1], began - 30 * SECOND, began + LENGTH)
    with desk.index.write() as orm:
        last = Tape(orm, streams[-1], desk.spool)
        last.segments(began, began + 4 * MINUTE)
        last.gap(began + 4 * MINUTE, began + 5 * MINUTE)
        last.segments(began + 5 * MINUTE, began + LENGTH)
        for segment in orm.scalars(select(Segment)):
            file = desk.spool / str(segment.spool_path)  # type: ignore[operator]  # it has one
            stored = desk.store.put(str(segment.spool_path), file, segment.sha256)
            segment.store_key, segment.store_version = stored.key, stored.version
            segment.stored_us = desk.now
    desk.sealer.seal_due()
    return session


def test_a_whole_session_is_verified_with_its_figures(desk: Desk) -> None:
    session = sealed(desk)
    found = verified(desk, session)
    assert found.ok and found.sealed
    assert found.records == len(desk.records(session))
    assert [(s.camera[-1], s.role) for s in found.streams] == [
        ("1", "main"),
        ("1", "sub"),
        ("2", "main"),
        ("2", "sub"),
    ]
    figures = [(s.segments, s.recorded_us, s.gaps) for s in found.streams]
    assert figures[:3] == [(3, LENGTH, 0)] * 3
    assert figures[3] == (9, LENGTH - MINUTE, 1)
    with desk.index.read() as orm:
        assert sum(s.bytes for s in found.streams) == sum(orm.scalars(select(Segment.bytes)))


def test_the_store_is_read_whatever_the_spool_has(desk: Desk) -> None:
    session = sealed(desk)
    key, _ = sorted(desk.store.objects)[3]
    desk.store.rot(key)
    found = verified(desk, session)
    (problem,) = found.all_problems
    assert "not those that were recorded" in problem
    assert sum(len(s.problems) for s in found.streams) == 1
    del desk.store.objects[min(desk.store.objects)]
    assert len(verified(desk, session).all_problems) == 2
    desk.store.down = True
    with pytest.raises(StoreError):
        verified(desk, session)


@pytest.mark.parametrize("harm", ["record", "row", "chain", "session", "claim", "head"])
def test_a_hand_in_the_index_shows(desk: Desk, harm: str) -> None:
    session = sealed(desk)
    with desk.index.write() as orm:
        record = orm.scalars(select(Record).where(Record.seq == 1)).first()
        assert record is not None and record.body is not None
        segment = orm.scalars(select(Segment).where(Segment.record_id == record.id)).one()
        plan = orm.scalars(select(SessionRecord).where(SessionRecord.seq == 0)).one()
        last = orm.scalars(select(SessionRecord).order_by(SessionRecord.seq.desc())).first()
        assert last is not None
        match harm:
            case "record":
                record.body = record.body.replace('"bytes":', '"bytes":1')
            case "row":
                segment.sha256 = bytes(32)
            case "chain":
                orm.delete(segment)
                orm.flush()
                orm.delete(record)
            case "session":
                plan.body = plan.body.replace('"evaluation"', '"opening"')
            case "claim":
                text = orm.scalars(
                    select(SessionRecord).where(SessionRecord.kind == "claim")
                ).first()
                assert text is not None
                orm.delete(text)
            case "head":
                orm.delete(last)
    assert not verified(desk, session).ok


def test_what_does_not_exist_or_has_not_ended_is_not_verified(desk: Desk) -> None:
    with pytest.raises(NotFound):
        verified(desk, "nobody")
    session = desk.started(desk.one)
    with pytest.raises(Conflict, match="recording"):
        verified(desk, session)
    desk.clock.sleep(60)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    found = verified(desk, session)
    assert found.ok and not found.sealed
    assert {s.segments for s in found.streams} == {0}
