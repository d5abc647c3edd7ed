"""Sealing: what is stated, what is waited for, and what alone refuses it."""

from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from support.factories import HOUR, MINUTE, SECOND, Tape, a_room
from support.session_desk import Desk

from bidwitness.errors import Conflict
from bidwitness.storage.evidence.session_records import CloseFacts, SupplementFacts
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Event, Record, Segment
from bidwitness.words import GapCause, Health, Medium, Outcome, SessionState

UNDO_S = 900
LENGTH = 10 * MINUTE


@pytest.fixture
def desk(index: Database, tmp_path: Path) -> Desk:
    return Desk(index, spool=tmp_path / "spool")


def ended(desk: Desk) -> tuple[str, int]:
    """A session of ten minutes in room one whose undo window has closed; footage is up to you."""
    session = desk.started(desk.one)
    began = desk.now
    desk.clock.sleep(LENGTH // SECOND)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    desk.clock.sleep(UNDO_S)
    return session, began


def close_of(desk: Desk, session: str) -> CloseFacts:
    (close,) = [f for f in desk.facts(session) if isinstance(f, CloseFacts)]
    return close


def test_the_seal_states_claims_chains_and_coverage(desk: Desk) -> None:
    session, began = ended(desk)
    streams = desk.streams[desk.one.id]
    desk.film(streams, began - MINUTE, began + LENGTH + MINUTE, MINUTE)
    desk.sealer.seal_due()
    row = desk.session(session)
    assert (row.state, row.sealed_us, row.log_position) == (SessionState.SEALED, desk.now, None)
    close = close_of(desk, session)
    assert (close.started, close.ended, close.outcome) == (began, began + LENGTH, "completed")
    assert {(c.stream, c.start, c.end) for c in close.claims} == {
        (stream, began, began + LENGTH) for stream in streams
    }
    # Twelve minutes were recorded; the claim points at the ten that are its own.
    assert {(h.stream, h.first, h.last) for h in close.heads} == {(s, 1, 10) for s in streams}
    with desk.index.read() as orm:
        for head in close.heads:
            leaf = orm.scalar(
                select(Record.leaf).where(
                    Record.stream_id == head.stream,
                    Record.day == int(head.day),
                    Record.seq == head.last,
                )
            )
            assert leaf is not None and leaf.hex() == head.head
    assert {(c.medium, c.due_us, c.recorded_us, c.degraded_us) for c in close.coverage} == {
        (medium, LENGTH, LENGTH, 0) for medium in ("picture", "sound")
    }
    assert (row.report["coverage_ppm"], row.report["gaps"]) == (1_000_000, 0)
    assert desk.edges(session) == []


def test_the_claim_and_the_seal_have_the_locks_looked_at(desk: Desk) -> None:
    def marked() -> set[int | None]:
        with desk.index.read() as orm:
            due = set(orm.scalars(select(Segment.lock_due_us)))
        with desk.index.write() as orm:
            orm.execute(update(Segment).values(lock_due_us=None))
        return due

    desk.film(desk.streams[desk.one.id], desk.now - MINUTE, desk.now + LENGTH, MINUTE)
    assert marked() == {None}
    session = desk.started(desk.one)
    assert marked() == {None, 0}
    desk.clock.sleep(LENGTH // SECOND)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    desk.clock.sleep(UNDO_S)
    marked()
    desk.sealer.seal_due()
    assert desk.session(session).state is SessionState.SEALED
    assert marked() == {None, 0}


def test_a_session_past_midnight_points_into_both_days(desk: Desk) -> None:
    day = 86_400 * SECOND
    desk.clock.set_utc((desk.now // day + 1) * day - 5 * MINUTE)
    session, began = ended(desk)
    desk.film(desk.streams[desk.one.id], began, began + LENGTH, MINUTE)
    desk.sealer.seal_due()
    close = close_of(desk, session)
    stream = desk.streams[desk.one.id][0]
    heads = [(h.day, h.first, h.last) for h in close.heads if h.stream == stream]
    assert [(first, last) for _, first, last in heads] == [(0, 4), (0, 4)]
    assert int(heads[1][0]) > int(heads[0][0])


def test_gaps_are_stated_and_never_refuse_a_seal(desk: Desk) -> None:
    session, began = ended(desk)
    end = began + LENGTH
    first, second = desk.streams[desk.one.id][:2], desk.streams[desk.one.id][2:]
    with desk.index.write() as orm:
        main, sub = (Tape(orm, stream, desk.spool) for stream in first)
        main.segments(began + 30 * SECOND, began + 4 * MINUTE)  # 30 s late, nobody knows why
        main.gap(began + 4 * MINUTE, began + 5 * MINUTE, GapCause.OFFLINE)
        main.segments(began + 5 * MINUTE, end)
        main.gap(began + 6 * MINUTE, began + 7 * MINUTE, GapCause.NO_AUDIO, Medium.SOUND)
        sub.sound = False
        sub.segments(began + 4 * MINUTE, end)
    desk.film(second, began, end)
    desk.sealer.seal_due()
    report = desk.session(session).report
    one = report["cameras"][0]
    picture, sound = one["media"]
    assert [(g["from"] - began, g["cause"]) for g in picture["gaps"]] == [(0, "late_start")]
    assert picture["degraded_us"] == MINUTE, "the sub-stream has what main lacks"
    assert picture["recorded_us"] == LENGTH - 30 * SECOND - MINUTE
    assert [(g["from"] - began, g["cause"]) for g in sound["gaps"]] == [
        (0, "late_start"),
        (4 * MINUTE, "offline"),
        (6 * MINUTE, "no_audio"),
    ]
    assert report["gaps"] == 3
    assert report["coverage_ppm"] < 1_000_000
    assert desk.edges(session) == [("late_start", began, began + 30 * SECOND)]
    facts = {(c.stream, c.medium): c for c in close_of(desk, session).coverage}
    assert facts[first[0], "picture"].degraded_us == MINUTE


def test_nothing_is_sealed_before_its_time_or_before_the_end_is_committed(desk: Desk) -> None:
    session = desk.started(desk.one)
    began = desk.now
    streams = desk.streams[desk.one.id]
    desk.clock.sleep(600)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    desk.film(streams[:-1], began, began + LENGTH)
    with pytest.raises(Conflict, match="undone"):
        desk.sealer.seal(session)
    desk.do(lambda c: c.seal(session))  # by hand: no need to wait for the window
    assert desk.session(session).undo_until_us == desk.now
    with pytest.raises(Conflict, match="1 stream"):
        desk.sealer.seal(session)
    with desk.index.write() as orm:
        Tape(orm, streams[-1]).status(desk.now)
    desk.sealer.seal_due()
    assert desk.session(session).state == SessionState.ENDED
    desk.film(streams[-1:], began, began + LENGTH)
    desk.sealer.seal_due()
    assert desk.session(session).state == SessionState.SEALED


def test_a_living_recorder_is_waited_for_and_a_dead_one_is_not(desk: Desk) -> None:
    session, began = ended(desk)
    streams = desk.streams[desk.one.id]
    desk.film(streams[:-1], began, began + LENGTH)
    with desk.index.write() as orm:
        Tape(orm, streams[-1], desk.spool).segments(began, began + 8 * MINUTE)
        Tape(orm, streams[-1]).status(desk.now)
    desk.sealer.seal_due()
    assert "1 stream" in str(desk.alarm("seal_waits", session))
    desk.clock.sleep(599)
    desk.sealer.seal_due()
    assert desk.session(session).state == SessionState.ENDED
    desk.clock.sleep(1)
    sealer = desk.sealer
    sealer.seal_due()
    row = desk.session(session)
    assert (row.state, row.report["open"]) == (SessionState.SEALED, [streams[-1]])
    assert desk.alarm("seal_waits", session) is None
    assert "1 stream" in str(desk.alarm("seal_open", session))
    sealer.seal_due()
    assert desk.records(session)[-1] == "close"
    with desk.index.write() as orm:
        Tape(orm, streams[-1], desk.spool).segments(began + 8 * MINUTE, began + LENGTH)
    sealer.seal_due()
    supplement = desk.facts(session)[-1]
    assert isinstance(supplement, SupplementFacts)
    assert {(h.stream, h.last) for h in supplement.heads} == {
        (stream, 9 if stream == streams[-1] else 1) for stream in streams
    }
    assert desk.alarm("seal_open", session) is None
    assert desk.session(session).report["open"] == []


def test_a_camera_that_is_offline_is_not_waited_for_beyond_ten_minutes(desk: Desk) -> None:
    session, began = ended(desk)
    *others, lost = desk.streams[desk.one.id]
    desk.film(others, began, began + LENGTH)
    with desk.index.write() as orm:
        Tape(orm, lost).status(desk.now, Health.OFFLINE)
    desk.sealer.seal_due()
    assert desk.session(session).report["open"] == [lost]


@pytest.mark.parametrize("harm", ["missing", "changed", "no row"])
def test_bytes_that_a_record_names_and_that_are_not_there_refuse_the_seal(
    desk: Desk, harm: str
) -> None:
    session, began = ended(desk)
    desk.film(desk.streams[desk.one.id], began, began + LENGTH)
    with desk.index.write() as orm:
        segment = orm.scalars(select(Segment).order_by(Segment.id)).all()[5]
        file = desk.spool / str(segment.spool_path)
        body = file.read_bytes()
        kept = {c.name: getattr(segment, c.name) for c in Segment.__table__.columns}
        if harm == "no row":
            orm.execute(delete(Segment).where(Segment.id == segment.id))
    if harm == "missing":
        file.unlink()
    elif harm == "changed":
        file.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    sealer = desk.sealer
    sealer.seal_due()
    assert desk.session(session).state == SessionState.ENDED
    assert str(desk.alarm("seal_refused", session)).startswith("1: ")
    assert "close" not in desk.records(session)
    file.write_bytes(body)
    if harm == "no row":
        with desk.index.write() as orm:
            orm.add(Segment(**kept))
    sealer.seal_due()
    assert desk.session(session).state == SessionState.ENDED, "not read again at once"
    desk.clock.sleep(60)
    sealer.seal_due()
    assert desk.session(session).state == SessionState.SEALED
    assert desk.alarm("seal_refused", session) is None


def test_a_record_that_was_changed_refuses_the_seal(desk: Desk) -> None:
    session, began = ended(desk)
    desk.film(desk.streams[desk.one.id], began, began + LENGTH)
    with desk.index.write() as orm:
        record = orm.scalars(select(Record).where(Record.seq == 1)).first()
        assert record is not None and record.body is not None
        record.body = record.body.replace('"quality":"arrival"', '"quality":"camera"')
    desk.sealer.seal_due()
    assert "not the one that was made" in str(desk.alarm("seal_refused", session))
    assert desk.session(session).state == SessionState.ENDED


def test_a_store_that_is_away_delays_a_seal_without_accusing_anybody(desk: Desk) -> None:
    session, began = ended(desk)
    desk.film(desk.streams[desk.one.id], began, began + LENGTH)
    with desk.index.write() as orm:
        for segment in orm.scalars(select(Segment)):
            stored = desk.store.put(
                str(segment.spool_path), desk.spool / str(segment.spool_path), segment.sha256
            )
            segment.spool_path = None
            segment.store_key, segment.store_version = stored.key, stored.version
    desk.store.down = True
    sealer = desk.sealer
    sealer.seal_due()
    assert desk.session(session).state == SessionState.ENDED
    assert desk.alarm("seal_refused", session) is None
    desk.store.down = False
    desk.clock.sleep(60)
    sealer.seal_due()
    assert desk.session(session).state == SessionState.SEALED


def test_what_changes_while_bytes_are_read_is_not_sealed_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, began = ended(desk)
    streams = desk.streams[desk.one.id]
    desk.film(streams, began - 5 * MINUTE, began + LENGTH)
    sealer = desk.sealer
    read = sealer._damaged

    def claim_meanwhile(seen: object) -> object:
        desk.do(lambda c: c.claim(session, streams, began - MINUTE, began, "漏录"))
        return read(seen)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(sealer, "_damaged", claim_meanwhile)
    with pytest.raises(Conflict, match="Load it again"):
        sealer.seal(session)
    monkeypatch.undo()
    sealer.seal_due()
    assert {c.start for c in close_of(desk, session).claims} == {began, began - MINUTE}


def test_a_session_in_a_room_without_cameras_is_sealed_with_nothing(desk: Desk) -> None:
    with desk.index.write() as orm:
        bare = a_room(orm, "空房", cameras=0)
    session = desk.started(bare)
    desk.clock.sleep(60)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    desk.clock.sleep(UNDO_S)
    desk.sealer.seal_due()
    row = desk.session(session)
    assert (row.state, row.report["coverage_ppm"]) == (SessionState.SEALED, None)
    assert close_of(desk, session).heads == ()


def test_nothing_is_claimed_after_the_seal(desk: Desk) -> None:
    session, began = ended(desk)
    streams = desk.streams[desk.one.id]
    desk.film(streams, began - 5 * MINUTE, began + LENGTH)
    desk.sealer.seal_due()
    with pytest.raises(Conflict, match="sealed"):
        desk.do(lambda c: c.claim(session, streams, began - 2 * MINUTE, None, "提前到场"))


def test_a_due_interval_is_clipped_where_another_session_owns_the_footage(desk: Desk) -> None:
    first = desk.started(desk.one)
    began = desk.now
    desk.clock.sleep(600)
    second = desk.plan(desk.book(desk.one, after=HOUR))
    desk.do(lambda c: c.start(second, takes_over=first))
    desk.do(lambda c: c.relate(first, second, "continues"))  # type: ignore[arg-type]  # the word
    desk.clock.sleep(600)
    desk.do(lambda c: c.end(second, Outcome.COMPLETED))
    desk.clock.sleep(UNDO_S)
    desk.film(desk.streams[desk.one.id], began, began + 2 * LENGTH)
    desk.sealer.seal_due()
    for session in (first, second):
        row = desk.session(session)
        assert (row.state, row.report["coverage_ppm"]) == (SessionState.SEALED, 1_000_000)
    with desk.index.read() as orm:
        kinds = orm.scalars(select(Event.kind).where(Event.session_id == second)).all()
    assert kinds[-1] == "session.sealed"
