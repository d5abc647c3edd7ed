"""Chains: what was done to them is told."""

import dataclasses
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence_session import LENGTH, START, Stream, make_session, make_stream

from bidwitness.storage.evidence.canonical import BadRecord, JsonValue
from bidwitness.storage.evidence.chain import (
    Problem,
    day_root,
    link_of,
    verify_chain,
    verify_runs,
    verify_session_chain,
)
from bidwitness.storage.evidence.merkle import root
from bidwitness.storage.evidence.records import (
    SegmentFacts,
    genesis,
    leaf_hash,
    next_place,
    record_of,
)

Records = list[dict[str, JsonValue]]


def kinds(problems: list[Problem]) -> set[str]:
    return {problem.kind for problem in problems}


@pytest.fixture
def records() -> Records:
    return make_stream("cam-a").records


def test_an_honest_chain_over_midnight_and_a_gap(records: Records) -> None:
    assert [r["day"] for r in records] == ["20231114"] * 2 + ["20231115"] * 8
    assert [r["seq"] for r in records] == [0, 1, *range(8)]
    assert verify_chain(records, start_prev=genesis("cam-a", "20231114")) == []
    assert verify_runs([link_of(record).facts for record in records]) == []
    for first in range(len(records)):
        for end in range(first, len(records) + 1):
            assert verify_chain(records[first:end]) == []


@pytest.mark.parametrize("index", range(9))
def test_a_changed_record_is_named(records: Records, index: int) -> None:
    place = f"cam-a/{records[index]['day']}#{records[index]['seq']}"
    records[index] = {**records[index], "recorder": "rec-2"}
    (problem,) = verify_chain(records)
    assert (problem.kind, problem.where) == ("modified", place)


@pytest.mark.parametrize("index", range(1, 9))
def test_a_removed_record_is_named(records: Records, index: int) -> None:
    lost = records.pop(index)
    (problem,) = verify_chain(records)
    assert problem.kind in ("removed", "modified")
    if lost["day"] == records[index]["day"]:
        assert f"#{lost['seq']}" in problem.detail


def test_a_removed_first_record_shows_by_what_should_precede(records: Records) -> None:
    start = genesis("cam-a", "20231114")
    assert kinds(verify_chain(records[1:], start_prev=start)) == {"removed"}


def test_two_records_in_each_others_place(records: Records) -> None:
    records[3], records[4] = records[4], records[3]
    assert kinds(verify_chain(records)) == {"reordered"}
    # Renumbered to look right, they no longer point to each other.
    records[3] = {**records[3], "seq": 1}
    records[4] = {**records[4], "seq": 2}
    assert "modified" in kinds(verify_chain(records))


def test_an_inserted_record(records: Records) -> None:
    extra = {**records[3], "wall": [START, START + 1]}
    records.insert(4, extra)
    assert "inserted" in kinds(verify_chain(records))


def test_a_record_of_another_stream(records: Records) -> None:
    records[4] = make_stream("cam-b").records[4]
    assert "swapped" in kinds(verify_chain(records))


def rechained(stream: Stream, skip: int) -> Records:
    """What an insider writes who leaves a record out and chains the rest anew."""
    out: Records = []
    for index, link in enumerate(stream.links):
        if index == skip:
            continue
        facts = link.facts
        if out:
            place = next_place(out[-1], facts.start, "rec-1")
            facts = dataclasses.replace(facts, place=place)
        out.append(record_of(facts))
    return out


def test_a_part_of_a_run_left_out_and_all_chained_anew() -> None:
    stream = make_stream("cam-a")
    records = rechained(stream, 3)
    assert verify_chain(records) == []
    facts = [link_of(record).facts for record in records]
    (problem,) = verify_runs(facts)
    assert problem.kind == "removed"
    # Renumbered in the run too, the media times still tell.
    renumbered = [
        dataclasses.replace(item, run_seq=item.run_seq - 1)
        if isinstance(item, SegmentFacts) and item.run == "run-1" and item.run_seq > 3
        else item
        for item in facts
    ]
    (problem,) = verify_runs(renumbered)
    assert problem.kind == "removed"
    assert "10000 ms" in problem.detail


def test_a_declared_gap_within_a_run_is_no_problem() -> None:
    stream = Stream("cam-a")
    stream.segment(0, run_seq=0)
    stream.gap(START + LENGTH, START + 2 * LENGTH, "stall")
    stream.segment(2, run_seq=1)
    assert verify_runs([link.facts for link in stream.links]) == []


def test_overlapping_and_backward_parts_of_a_run() -> None:
    stream = Stream("cam-a")
    stream.segment(1, run_seq=0)
    stream.segment(0, run_seq=1)
    assert kinds(verify_runs([link.facts for link in stream.links])) == {"inserted"}
    stream = Stream("cam-a")
    stream.segment(0, run_seq=1)
    stream.segment(1, run_seq=1)
    assert kinds(verify_runs([link.facts for link in stream.links])) == {"reordered"}


def test_the_tree_of_a_day(records: Records) -> None:
    assert day_root(records) == root(leaf_hash(record) for record in records)
    assert day_root(records, "sm3") != day_root(records)


@given(st.randoms(use_true_random=False))
def test_any_other_arrangement_is_found(shuffle: random.Random) -> None:
    records = make_stream("cam-a").records
    other = list(records)
    shuffle.shuffle(other)
    if other != records:
        assert verify_chain(other)


def test_a_sessions_chain() -> None:
    stream = make_stream("cam-a")
    records = make_session([stream]).records
    facts, problems = verify_session_chain(records)
    assert not problems
    assert [item.T for item in facts] == ["plan", "open", "claim", "claim", "close"]
    for index in range(len(records)):
        shorter = records[:index] + records[index + 1 :]
        lost_end = index == len(records) - 1
        assert bool(verify_session_chain(shorter)[1]) is not lost_end
        changed = [dict(record) for record in records]
        changed[index]["at"] = START + 1
        assert bool(verify_session_chain(changed)[1]) is not lost_end
    twice = [*records, {**records[-1], "seq": 5, "prev": leaf_hash(records[-1]).hex()}]
    assert any("more than once" in p.detail for p in verify_session_chain(twice)[1])
    after = {**records[2], "seq": 5, "prev": leaf_hash(records[-1]).hex()}
    assert any("after its close" in p.detail for p in verify_session_chain([*records, after])[1])
    other = {**records[2], "session": "session-2"}
    assert "swapped" in kinds(verify_session_chain([*records[:2], other, *records[3:]])[1])
    assert kinds(verify_session_chain([])[1]) == {"missing"}


def test_records_of_the_other_kind_are_refused() -> None:
    stream = make_stream("cam-a")
    session = make_session([stream]).records
    with pytest.raises(BadRecord):
        verify_chain(session)
    with pytest.raises(BadRecord):
        verify_session_chain(stream.records)
