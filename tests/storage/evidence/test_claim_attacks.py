"""Claims moved between sessions, made late, or said to have been made at another time."""

import dataclasses
from pathlib import Path
from types import ModuleType

import pytest
from support.attacks import found
from support.evidence_session import (
    CLAIM,
    LENGTH,
    SECOND,
    SESSION,
    Session,
    Stream,
    close_of,
    make_package,
    make_session,
    make_stream,
)
from support.log_scene import Scene, told

from bidwitness.storage.evidence.records import check_record, leaf_hash, record_of
from bidwitness.storage.evidence.session_records import (
    ClaimedFacts,
    ClaimFacts,
    CloseFacts,
    HeadFacts,
    SpanFacts,
)
from bidwitness.storage.evidence.verify import verify_package

HOUR = 3600 * SECOND


def streams_of(*names: str) -> list[Stream]:
    return [make_stream(name) for name in names]


def moved(number: int, stream: Stream) -> Session:
    """A session whose second stream was given to another session before it was closed."""
    kept = make_stream("cam-a")
    session = make_session([kept, stream], sealed=False)
    away = ClaimFacts(
        session.place(CLAIM.end),
        *(f"claim-{number}", stream.id, "own", CLAIM.start, CLAIM.end, "user-1", "wrong session"),
        moved_to="session-2",
    )
    session.add(away)
    session.add(close_of(session, [kept], CLAIM))
    return session


def again(session: Session, change: dict[int, object]) -> None:
    """Write records anew, each pointing to the one before."""
    old, session.records = session.records, []
    for number, record in enumerate(old):
        facts = check_record(record)
        more = change.get(number, {})
        prev = leaf_hash(session.records[-1]).hex() if session.records else facts.place.prev
        place = dataclasses.replace(facts.place, seq=len(session.records), prev=prev)
        if more is not None:
            session.records.append(record_of(dataclasses.replace(facts, place=place, **more)))


def test_what_was_moved_away_claims_nothing(tmp_path: Path, standalone: ModuleType) -> None:
    stream = make_stream("cam-b")
    session = moved(1, stream)
    make_package(tmp_path / "honest", streams_of("cam-a"), session)
    assert verify_package(tmp_path / "honest").exit_code == 3
    make_package(tmp_path / "bag", streams_of("cam-a", "cam-b"), session)
    kinds, said = found(tmp_path / "bag", standalone)
    assert kinds == {"inserted"}
    assert "cam-b: the session claims nothing of this stream" in said


def test_the_move_left_out_to_keep_the_footage(scene: Scene, standalone: ModuleType) -> None:
    """The session that gave a claim away shows it as its own still; its log knows better."""
    scene.session = moved(1, scene.streams[1])
    files = scene.log()
    scene.session.records = scene.session.records[:-2]
    scene.session.add(close_of(scene.session, scene.streams, CLAIM))
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code == 1
    last = len(scene.session.records)
    assert {(p.kind, p.where) for p in report.problems} >= {
        ("modified", f"session {SESSION}#{last - 1}"),
        ("removed", f"session {SESSION}#{last}"),
    }


def test_footage_taken_over_without_a_record(tmp_path: Path, standalone: ModuleType) -> None:
    """The close claims a stream that no record of the session ever claimed."""
    streams = streams_of("cam-a", "cam-b")
    session = make_session(streams[:1], sealed=False)
    session.add(close_of(session, streams, CLAIM))
    make_package(tmp_path / "bag", streams, session)
    kinds, said = found(tmp_path / "bag", standalone)
    assert kinds == {"inconsistent"}
    assert "claim-1 is not closed as it was last recorded" in said


def late(session: Session, stream: Stream, at: int) -> ClaimFacts:
    start, end = CLAIM.start - LENGTH, CLAIM.end
    return ClaimFacts(
        session.place(at), "claim-late", stream.id, "linked", start, end, "user-1", "forgotten"
    )


def test_a_late_claim_is_there_with_its_time_and_reason(tmp_path: Path) -> None:
    streams = streams_of("cam-a")
    session = make_session(streams, sealed=False)
    session.add(late(session, streams[0], CLAIM.end + HOUR))
    close = close_of(session, streams, CLAIM)
    more = ClaimedFacts("claim-late", "cam-a", "linked", CLAIM.start - LENGTH, CLAIM.end)
    wide = dataclasses.replace(CLAIM, start=CLAIM.start - LENGTH)
    heads = close_of(session, streams, wide).heads
    session.add(dataclasses.replace(close, claims=(*close.claims, more), heads=heads))
    make_package(tmp_path / "bag", streams, session, claim=wide)
    report = verify_package(tmp_path / "bag")
    assert (report.exit_code, report.problems) == (3, [])
    assert report.streams[0].claimed[0].start == CLAIM.start - LENGTH


def test_a_claim_after_the_close(tmp_path: Path, standalone: ModuleType) -> None:
    streams = streams_of("cam-a")
    session = make_session(streams)
    session.add(late(session, streams[0], CLAIM.end + HOUR))
    make_package(tmp_path / "bag", streams, session)
    kinds, said = found(tmp_path / "bag", standalone)
    assert kinds == {"inserted", "inconsistent"}
    assert "has records after its close" in said
    assert "claim-late is not closed" in said


def test_a_claim_slipped_in_before_the_close_that_was_logged(
    scene: Scene, standalone: ModuleType
) -> None:
    files = scene.log()
    honest = scene.session
    scene.session = Session()
    scene.session.records = honest.records[:-1]
    scene.session.add(late(scene.session, scene.streams[0], CLAIM.start))
    close = close_of(scene.session, scene.streams, CLAIM)
    more = ClaimedFacts("claim-late", "cam-a", "linked", CLAIM.start - LENGTH, CLAIM.end)
    scene.session.add(dataclasses.replace(close, claims=(*close.claims, more)))
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code == 1
    assert ("modified", f"session {SESSION}#6") in {(p.kind, p.where) for p in report.problems}


@pytest.mark.parametrize("field", ["at", "start", "reason"])
def test_a_claim_altered_after_it_was_logged(
    scene: Scene, standalone: ModuleType, field: str
) -> None:
    """Made late, and made to look as if it had been made in time, or of more, or for a reason."""
    files = scene.log()
    facts = check_record(scene.session.records[3])
    assert isinstance(facts, ClaimFacts)
    if field == "at":
        place = dataclasses.replace(facts.place, at=facts.place.at - HOUR)
        scene.session.records[3] = record_of(dataclasses.replace(facts, place=place))
        again(scene.session, {})
    else:
        again(scene.session, {3: {field: CLAIM.start - 1 if field == "start" else "another"}})
    report = told(scene.bag(files), scene.policy, standalone)
    assert report.exit_code == 1
    assert ("modified", f"session {SESSION}#3") in {(p.kind, p.where) for p in report.problems}


def hostile(name: str, close: CloseFacts) -> CloseFacts:
    """Closes that a strict reader reads, and that mean nothing."""
    claim, head = close.claims[0], close.heads[0]
    match name:
        case "claim of no time":
            empty = dataclasses.replace(claim, end=claim.start)
            return dataclasses.replace(close, claims=(empty, *close.claims[1:]))
        case "claim that ends first":
            empty = dataclasses.replace(claim, end=claim.start - 1)
            return dataclasses.replace(close, claims=(empty, *close.claims[1:]))
        case "due that ends first":
            span = SpanFacts(claim.stream, claim.end, claim.start)
            return dataclasses.replace(close, due=(span, *close.due))
        case "stretch that ends first":
            turned = HeadFacts(head.stream, head.day, head.last + 5, head.first, head.head)
            return dataclasses.replace(close, heads=(turned, *close.heads))
        case "stretch without end":
            endless = dataclasses.replace(head, last=2**53 - 1)
            return dataclasses.replace(close, heads=(endless, *close.heads[1:]))
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "claim of no time",
        "claim that ends first",
        "due that ends first",
        "stretch that ends first",
        "stretch without end",
    ],
)
def test_closes_that_mean_harm(tmp_path: Path, standalone: ModuleType, name: str) -> None:
    streams = streams_of("cam-a", "cam-b")
    session = make_session(streams)
    facts = check_record(session.records[-1])
    assert isinstance(facts, CloseFacts)
    session.records[-1] = record_of(hostile(name, facts))
    make_package(tmp_path / "bag", streams, session)
    if name == "due that ends first":
        # No time was due there: it changes nothing.
        assert standalone.verify_package(tmp_path / "bag").exit_code == 3
        assert verify_package(tmp_path / "bag").exit_code == 3
    else:
        assert found(tmp_path / "bag", standalone)[1]
