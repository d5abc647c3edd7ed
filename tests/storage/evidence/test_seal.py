"""What a close record is made of."""

import io

import pytest
from support.evidence_session import CLAIM, LENGTH, START, make_stream, media_pieces

from bidwitness.intervals import Interval
from bidwitness.storage.evidence.chain import record_name, within_heads
from bidwitness.storage.evidence.records import SegmentFacts
from bidwitness.storage.evidence.seal import coverage_facts, damage, heads_of


def spans(*pairs: tuple[int, int]) -> list[Interval]:
    return [Interval(START + a, START + b) for a, b in pairs]


def test_heads_point_to_what_the_claim_concerns() -> None:
    stream = make_stream("cam-a")
    heads = heads_of(stream.links, [CLAIM])
    assert [(h.day, h.first, h.last) for h in heads] == [("20231114", 1, 1), ("20231115", 0, 6)]
    assert heads[1].head == stream.links[8].leaf
    assert [link.key for link in within_heads(reversed(stream.links), heads)] == [
        link.key for link in stream.links[1:9]
    ]


def test_two_claims_of_a_day_are_two_stretches_unless_they_meet() -> None:
    links = make_stream("cam-a").links
    far = spans((2 * LENGTH, 3 * LENGTH), (7 * LENGTH, 8 * LENGTH))
    assert [(h.first, h.last) for h in heads_of(links, far)] == [(0, 0), (5, 5)]
    near = spans((2 * LENGTH, 3 * LENGTH), (3 * LENGTH, 5 * LENGTH))
    assert [(h.first, h.last) for h in heads_of(links, near)] == [(0, 2)]
    assert heads_of(links, spans((100 * LENGTH, 101 * LENGTH))) == []


def test_coverage_by_the_records() -> None:
    stream = make_stream("cam-a")
    facts = [link.facts for link in stream.links]
    got = coverage_facts("cam-a", "picture", [CLAIM], facts)
    assert (got.due_us, got.recorded_us, got.degraded_us) == (75_000_000, 65_000_000, 0)
    # The sub-stream had the outage's second half.
    sub = make_stream("cam-a-sub")
    sub.records = sub.records[:5]
    sub.gap(START + 5 * LENGTH, START + 5 * LENGTH + LENGTH // 2)
    sub.segment(5, "run-2", 0)
    spare = [link.facts for link in sub.links]
    got = coverage_facts("cam-a", "picture", [CLAIM], facts, spare)
    assert (got.recorded_us, got.degraded_us) == (65_000_000, 5_000_000)
    silent = make_stream("cam-b")
    silent.gap(START + LENGTH, START + 2 * LENGTH, "no_audio", "sound")
    facts = [link.facts for link in silent.links]
    assert coverage_facts("cam-b", "sound", [CLAIM], facts).recorded_us == 58_000_000
    assert coverage_facts("cam-b", "picture", [CLAIM], facts).recorded_us == 65_000_000


def test_damage_names_what_is_missing_or_differs() -> None:
    links = make_stream("cam-a").links[:3]
    stored = [b"".join(media_pieces(f"cam-a/{number}")) for number in range(3)]
    facts = [link.facts for link in links if isinstance(link.facts, SegmentFacts)]

    def sources(*data: bytes) -> list[tuple[SegmentFacts, object]]:
        return [(f, lambda d=d: io.BytesIO(d)) for f, d in zip(facts, data, strict=True)]

    assert damage(sources(*stored)) == []
    flipped = stored[1][:-5] + bytes([stored[1][-5] ^ 1]) + stored[1][-4:]
    (told,) = damage(sources(stored[0], flipped, stored[2]))
    assert told.startswith(record_name(facts[1]))

    def gone() -> io.BytesIO:
        raise FileNotFoundError

    def silent() -> io.BytesIO:
        raise OSError("no answer")

    assert damage([(facts[0], gone)]) == [f"{record_name(facts[0])}: missing"]
    with pytest.raises(OSError, match="no answer"):
        damage([(facts[0], silent)])
