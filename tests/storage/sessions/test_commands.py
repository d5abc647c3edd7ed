"""Commands on sessions, as people give them, seen in the rows they leave."""

import pytest
from sqlalchemy import select
from support.factories import (
    HOUR,
    MINUTE,
    SECOND,
    a_project,
    a_room,
    booked,
    link,
    streams_of,
)
from support.session_desk import Desk

from bidwitness.config import load_settings
from bidwitness.errors import Conflict, Forbidden, InvalidInput, NotFound
from bidwitness.storage.index.alarms import open_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    AuditEntry,
    Claim,
    ConditionChange,
    Event,
    SessionRecord,
    SessionRelation,
)
from bidwitness.storage.sessions.commands import Said
from bidwitness.storage.sessions.plan import NewItem
from bidwitness.words import (
    ClaimClass,
    Condition,
    Outcome,
    Relation,
    Role,
    SessionKind,
    SessionState,
)


@pytest.fixture
def desk(index: Database) -> Desk:
    return Desk(index)


def test_a_start_claims_main_and_sub_of_every_camera_of_the_room(desk: Desk) -> None:
    session = desk.started(desk.one)
    row = desk.session(session)
    assert (row.state, row.started_us) == (SessionState.RECORDING, desk.now)
    claims = desk.claims(session)
    assert sorted(stream for stream, *_ in claims) == sorted(desk.streams[desk.one.id])
    assert {rest for _, *rest in map(tuple, claims) for rest in [tuple(rest)]} == {
        (desk.now, None, ClaimClass.OWN)
    }
    assert desk.records(session) == ["plan", *["claim"] * 4, "open"]
    with desk.index.read() as orm:
        assert orm.scalars(select(Event.kind)).all() == ["session.planned", "session.started"]
        actions = orm.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
        assert actions[-1] == "session.start"


def test_an_early_start_claims_from_then_and_a_late_one_from_the_plan(desk: Desk) -> None:
    early = desk.plan(desk.book(desk.one, after=10 * MINUTE))
    late = desk.plan(desk.book(desk.two))
    began = desk.now
    desk.do(lambda c: c.start(early))
    assert desk.spans(early) == {(began, None)}
    desk.clock.sleep(600)
    desk.do(lambda c: c.start(late))
    assert desk.session(late).started_us == began + 10 * MINUTE
    assert desk.spans(late) == {(began, None)}


def test_the_lead_in_is_claimed_as_far_as_nobody_owns_it(index: Database) -> None:
    desk = Desk(index, settings=load_settings(lead_in_seconds=600))
    first = desk.started(desk.one)
    assert desk.spans(first) == {(desk.now - 10 * MINUTE, None)}
    second = desk.plan(desk.book(desk.one, after=HOUR))
    desk.clock.sleep(55 * 60)
    desk.do(lambda c: c.end(first, Outcome.COMPLETED))
    ended = desk.now
    desk.clock.sleep(5 * 60)
    desk.do(lambda c: c.start(second))
    assert {end for _, end in desk.spans(first)} == {ended}
    assert desk.spans(second) == {(ended, None)}, "lead-in up to the other's claim, not into it"


def test_linked_places_are_claimed_beside_their_room(desk: Desk) -> None:
    with desk.index.write() as orm:
        gate = a_room(orm, "评标区入口", cameras=1)
        link(orm, desk.one, gate)
        link(orm, desk.two, gate)
        gates = streams_of(orm, gate)
    sessions = [desk.started(desk.one), desk.started(desk.two)]
    for session in sessions:
        linked = [c for c in desk.claims(session) if c[3] == ClaimClass.LINKED]
        assert [stream for stream, *_ in linked] == gates
    desk.do(lambda c: c.end(sessions[0], Outcome.COMPLETED))
    assert None not in {end for _, end in desk.spans(sessions[0])}


def test_seats_claim_their_own_streams_only(desk: Desk) -> None:
    with desk.index.write() as orm:
        room = a_room(orm, "开放评标区", cameras=1, seats=["1", "2"])
        orm.refresh(room)
        cameras = {c.name[-1]: c for c in room.cameras if c.streams[0].seat_id}
        seat_of = {n: str(c.streams[0].seat_id) for n, c in cameras.items()}
        stream_of = {n: {s.id for s in c.streams} for n, c in cameras.items()}
    start, end = desk.now, desk.now + HOUR
    sessions = {n: desk.plan(booked(room, start, end, seats=[seat_of[n]])) for n in "12"}
    for session in sessions.values():
        desk.do(lambda c, s=session: c.start(s))
    for number, session in sessions.items():
        assert {stream for stream, *_ in desk.claims(session)} == stream_of[number]


def test_start_is_refused_while_another_records_there_unless_it_takes_over(desk: Desk) -> None:
    first = desk.started(desk.one)
    desk.clock.sleep(3600)
    second = desk.plan(desk.book(desk.one))
    with pytest.raises(Conflict, match=first):
        desk.do(lambda c: c.start(second))
    with pytest.raises(InvalidInput, match="does not record"):
        desk.do(lambda c: c.start(second, takes_over="nobody"))
    with desk.index.write() as orm:
        raise_alarm(orm, "overlap", f"session:{second}", desk.now, cause="waits")
    desk.do(lambda c: c.start(second, takes_over=first))
    assert {end for _, end in desk.spans(first)} == {desk.now}
    assert desk.spans(second) == {(desk.now, None)}, "the same instant to the microsecond"
    ended = desk.session(first)
    assert (ended.state, ended.outcome) == (SessionState.ENDED, Outcome.COMPLETED)
    assert ended.undo_until_us == desk.now + 900 * SECOND
    with desk.index.read() as orm:
        assert open_alarm(orm, "overlap", f"session:{second}") is None
        event = orm.scalars(select(Event).where(Event.kind == "session.ended")).one()
        assert event.facts == {"taken_over_by": second, "outcome": "completed"}


def test_recess_and_suspension_are_recorded_and_stated(desk: Desk) -> None:
    session = desk.started(desk.one)
    with pytest.raises(InvalidInput, match="reason"):
        desk.do(lambda c: c.suspend(session, Said()))
    desk.do(lambda c: c.suspend(session, Said("停电", "李主任", "停〔1〕")))
    assert desk.session(session).condition == Condition.SUSPENDED
    desk.clock.sleep(60)
    desk.do(lambda c: c.recess(session, Said()))
    desk.clock.sleep(12 * 3600)  # past midnight
    desk.do(lambda c: c.resume(session, Said()))
    assert {end for _, end in desk.spans(session)} == {None}, "all of it is recorded"
    assert desk.records(session)[-3:] == ["condition"] * 3
    with desk.index.read() as orm:
        rows = orm.scalars(select(ConditionChange).order_by(ConditionChange.id)).all()
        orm.expunge_all()
    assert [r.condition for r in rows] == ["suspended", "recess", "running"]
    assert (rows[0].reason, rows[0].decided_by, rows[0].document_no) == (
        "停电",
        "李主任",
        "停〔1〕",
    )


def test_an_extension_answers_the_overrun_and_is_an_amendment(desk: Desk) -> None:
    session = desk.started(desk.one)
    later = desk.now + 3 * HOUR
    with desk.index.write() as orm:
        raise_alarm(orm, "overrun", f"session:{session}", desk.now, cause="x")
    with pytest.raises(InvalidInput, match="later"):
        desk.do(lambda c: c.extend(session, desk.now + HOUR))
    desk.do(lambda c: c.extend(session, later))
    assert desk.session(session).planned_to_us == later
    assert desk.records(session)[-1] == "amend"
    with desk.index.read() as orm:
        assert open_alarm(orm, "overrun", f"session:{session}") is None


def test_a_move_leaves_one_room_and_enters_another_in_one_instant(desk: Desk) -> None:
    session = desk.started(desk.one)
    began = desk.now
    desk.clock.sleep(600)
    desk.do(lambda c: c.move(session, [booked(desk.two, began, began + 2 * HOUR)], reason="灯坏了"))
    moved = desk.now
    by_room = {
        room: {(start, end) for stream, start, end, _ in desk.claims(session) if stream in streams}
        for room, streams in desk.streams.items()
    }
    assert by_room == {desk.one.id: {(began, moved)}, desk.two.id: {(moved, None)}}
    row = desk.session(session)
    assert (row.planned_from_us, row.planned_to_us) == (began, began + 2 * HOUR)
    other = desk.started(desk.one)  # the room left is free at once
    assert desk.spans(other) == {(moved, None)}
    with pytest.raises(Conflict):
        desk.do(lambda c: c.move(session, [desk.book(desk.one)]))


def test_a_room_entered_in_a_move_has_no_lead_in(index: Database) -> None:
    desk = Desk(index, settings=load_settings(lead_in_seconds=600))
    session = desk.started(desk.one)
    began = desk.now
    desk.clock.sleep(60)
    desk.do(lambda c: c.move(session, [desk.book(desk.two)]))
    assert desk.spans(session) == {(began - 10 * MINUTE, desk.now), (desk.now, None)}


def test_only_what_runs_is_extended_into_a_booked_time(desk: Desk) -> None:
    running = desk.started(desk.one)
    planned = desk.plan(desk.book(desk.one, after=HOUR))
    last = desk.plan(desk.book(desk.one, after=2 * HOUR))
    with pytest.raises(Conflict, match=last):
        desk.do(lambda c: c.extend(planned, desk.now + 3 * HOUR))
    desk.do(lambda c: c.extend(running, desk.now + 3 * HOUR))
    assert desk.session(planned).planned_to_us == desk.now + 2 * HOUR


def test_a_move_keeps_what_is_named_again_and_changes_a_plan_freely(desk: Desk) -> None:
    planned = desk.plan(desk.book(desk.one, after=HOUR))
    desk.do(lambda c: c.move(planned, [desk.book(desk.two, after=2 * HOUR)]))
    assert desk.session(planned).planned_from_us == desk.now + 2 * HOUR
    assert desk.claims(planned) == []
    session = desk.started(desk.one)
    began = desk.now
    desk.clock.sleep(60)
    with pytest.raises(InvalidInput, match="not in the past"):
        desk.do(
            lambda c: c.move(session, [desk.book(desk.one), booked(desk.two, began - HOUR, began)])
        )
    desk.do(lambda c: c.move(session, [desk.book(desk.one), desk.book(desk.two)]))
    starts = {stream: start for stream, start, _, _ in desk.claims(session)}
    assert {starts[s] for s in desk.streams[desk.one.id]} == {began}
    assert {starts[s] for s in desk.streams[desk.two.id]} == {desk.now}


def test_undoing_an_end_takes_the_streams_back(desk: Desk) -> None:
    session = desk.started(desk.one)
    with pytest.raises(InvalidInput, match="outcome"):
        desk.do(lambda c: c.end(session, None))
    desk.do(lambda c: c.end(session, Outcome.FAILED))
    ended = desk.now
    desk.clock.sleep(899)
    desk.do(lambda c: c.undo_end(session))
    row = desk.session(session)
    assert (row.state, row.ended_us, row.outcome) == (SessionState.RECORDING, None, None)
    assert desk.spans(session) == {(ended, None)}
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    desk.clock.sleep(900)
    with pytest.raises(Conflict, match="has passed"):
        desk.do(lambda c: c.undo_end(session))


def test_an_end_cannot_be_undone_for_streams_claimed_since(desk: Desk) -> None:
    session = desk.plan(desk.book(desk.one), desk.book(desk.two))
    desk.do(lambda c: c.start(session))
    desk.clock.sleep(10)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    ended = desk.now
    desk.clock.sleep(10)
    desk.started(desk.two)
    desk.do(lambda c: c.undo_end(session))
    ends = {stream: end for stream, _, end, _ in desk.claims(session)}
    assert {ends[s] for s in desk.streams[desk.one.id]} == {None}
    assert {ends[s] for s in desk.streams[desk.two.id]} == {ended}
    with desk.index.read() as orm:
        event = orm.scalars(select(Event).where(Event.kind == "session.end_undone")).one()
        assert sorted(event.facts["left_to_others"]) == sorted(desk.streams[desk.two.id])


def test_an_end_is_final_once_every_stream_is_claimed_by_another(desk: Desk) -> None:
    session = desk.started(desk.one)
    desk.clock.sleep(10)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    other = desk.started(desk.one)
    with pytest.raises(Conflict, match="every stream"):
        desk.do(lambda c: c.undo_end(session))
    desk.clock.sleep(10)
    desk.do(lambda c: c.end(other, Outcome.COMPLETED))
    with pytest.raises(Conflict, match="every stream"):
        desk.do(lambda c: c.undo_end(session))


def test_a_late_claim_reaches_into_the_loop_for_a_reason(desk: Desk) -> None:
    first = desk.started(desk.one)
    desk.clock.sleep(3600)
    desk.do(lambda c: c.end(first, Outcome.COMPLETED))
    ended = desk.now
    desk.clock.sleep(1800)
    session = desk.started(desk.one)
    stream = desk.streams[desk.one.id][0]

    def claim(start: int, end: int | None, reason: str = "提前到场", *streams: str) -> None:
        desk.do(lambda c: c.claim(session, streams or [stream], start, end, reason))

    with pytest.raises(InvalidInput, match="reason"):
        claim(desk.now - MINUTE, desk.now, " ")
    with pytest.raises(InvalidInput, match="after it starts"):
        claim(desk.now, desk.now)
    with pytest.raises(InvalidInput, match="has passed"):
        claim(desk.now - 1, desk.now + 1, "x", desk.streams[desk.two.id][0])
    with pytest.raises(InvalidInput, match="no stream"):
        claim(desk.now - 1, desk.now, "x", "nobody")
    with pytest.raises(Conflict, match=first):
        claim(ended - 1, desk.now)
    claim(ended, None)
    mine = [(a, b) for s, a, b, _ in desk.claims(session) if s == stream]
    assert mine == [(ended, desk.now), (desk.now, None)]
    with pytest.raises(Conflict, match="already"):
        claim(ended + 1, ended + 2)
    with desk.index.read() as orm:
        row = orm.scalars(select(Claim).where(Claim.reason == "提前到场")).one()
        assert (row.klass, row.booking_id) == (ClaimClass.OWN, None)
    assert desk.records(session)[-1] == "claim"


def test_what_was_claimed_after_the_end_stays_when_the_end_is_undone(desk: Desk) -> None:
    session = desk.started(desk.one)
    began = desk.now
    stream = desk.streams[desk.one.id][0]
    desk.clock.sleep(60)
    desk.do(lambda c: c.end(session, Outcome.COMPLETED))
    desk.clock.sleep(60)
    late = (desk.now - 30 * SECOND, desk.now)
    desk.do(lambda c: c.claim(session, [stream], *late, "收尾"))
    desk.do(lambda c: c.undo_end(session))
    spans = {s: [] for s, *_ in desk.claims(session)}
    for s, start, end, _ in desk.claims(session):
        spans[s].append((start, end))
    assert spans.pop(stream) == [(began, late[0]), late, (late[1], None)]
    assert set(map(tuple, spans.values())) == {((began, None),)}


def test_a_cancelled_session_says_why_and_frees_the_room(desk: Desk) -> None:
    session = desk.plan(desk.book(desk.one))
    with pytest.raises(InvalidInput, match="reason"):
        desk.do(lambda c: c.cancel(session, ""))
    desk.do(lambda c: c.cancel(session, "流标"))
    assert desk.session(session).state == SessionState.CANCELLED
    assert desk.records(session) == ["plan", "cancel"]
    with pytest.raises(Conflict, match="nothing more"):
        desk.do(lambda c: c.start(session))
    desk.started(desk.one)


def test_lots_are_corrected_for_a_reason_and_sessions_related(desk: Desk) -> None:
    session, other = desk.started(desk.one), desk.plan(desk.book(desk.two))
    with desk.index.write() as orm:
        a_project(orm, desk.clock, "P-2", "1", "2")
    items = [NewItem("P-2", "1"), NewItem("P-2", "2")]
    with pytest.raises(InvalidInput, match="reason"):
        desk.do(lambda c: c.amend(session, "", items=items))
    desk.do(lambda c: c.amend(session, "录错", items=items, kind=SessionKind.NEGOTIATION))
    assert desk.session(session).kind == SessionKind.NEGOTIATION
    assert desk.records(session)[-1] == "amend"
    with desk.index.read() as orm:
        last = orm.scalars(select(SessionRecord).order_by(SessionRecord.id.desc())).first()
        assert last is not None and '"lot":"2","project":"P-2"' in last.body
    desk.do(lambda c: c.relate(session, other, Relation.CONTINUES))
    with pytest.raises(Conflict, match="already"):
        desk.do(lambda c: c.relate(session, other, Relation.CONTINUES))
    with pytest.raises(InvalidInput):
        desk.do(lambda c: c.relate(session, session, Relation.CONTINUES))
    with desk.index.read() as orm:
        assert orm.scalars(select(SessionRelation.other_id)).all() == [other]


def test_who_may_not_and_who_comes_too_late_is_refused_and_changes_nothing(desk: Desk) -> None:
    session = desk.plan(desk.book(desk.one))
    for roles in (frozenset({Role.SUPERVISOR}), frozenset({Role.AUDITOR}), frozenset()):
        with pytest.raises(Forbidden):
            desk.do(lambda c: c.start(session), roles)
    with pytest.raises(Forbidden):
        desk.do(lambda c: c.cancel(session, "x"), None)
    seen = desk.session(session).version
    desk.do(lambda c: c.start(session, version=seen))
    with pytest.raises(Conflict, match="Load it again"):
        desk.do(lambda c: c.end(session, Outcome.COMPLETED, version=seen))
    with pytest.raises(NotFound):
        desk.do(lambda c: c.start("nobody"))
    assert desk.session(session).state == SessionState.RECORDING
