"""Due time, coverage and the causes of gaps."""

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.claims import Claim
from bidwitness.coverage import (
    Clip,
    DueFacts,
    Missing,
    coverage,
    due_time,
    explain,
    late_and_early,
)
from bidwitness.intervals import Interval, total, union
from bidwitness.words import ClaimClass, GapCause

spans = st.lists(
    st.builds(
        lambda start, length: Interval(start, start + length),
        st.integers(0, 60),
        st.integers(1, 30),
    ),
    max_size=6,
)


def due(facts: DueFacts, now: int, *others: Claim) -> list[tuple[int, int]]:
    got = due_time(facts, now, "b", "x", others)
    return [(part.start, part.end) for part in got.intervals]


def test_the_earliest_and_the_latest_of_plan_act_and_business() -> None:
    assert due(DueFacts(1000, 100, 1020, 2000), 9999) == [(900, 2000)]
    assert due(DueFacts(1000, 100, 850, 2000), 9999) == [(850, 2000)]
    assert due(DueFacts(1000, 100, 1020, 2000, 700, 2100), 9999) == [(700, 2100)]
    # While it records, due time grows; before its time nothing is due.
    assert due(DueFacts(1000, 100, 1020, None), 1500) == [(900, 1500)]
    assert due(DueFacts(1000, 100, None, None), 950) == [(900, 950)]
    assert due(DueFacts(1000, 100, None, None), 900) == []


def test_due_time_is_clipped_where_another_session_owns_and_says_so() -> None:
    before = Claim("a", "x", 0, 950)
    after = Claim("c", "x", 1900, None)
    facts = DueFacts(1000, 100, 1000, 2000)
    got = due_time(facts, 9999, "b", "x", [after, before])
    assert got.intervals == (Interval(950, 1900),)
    assert got.clips == (Clip("a", Interval(900, 950)), Clip("c", Interval(1900, 2000)))
    own = Claim("b", "x", 900, 1000)
    linked = Claim("a", "x", 0, 5000, ClaimClass.LINKED)
    elsewhere = Claim("a", "y", 0, 5000)
    assert due(facts, 9999, own, linked, elsewhere) == [(900, 2000)]


@given(spans, spans, spans)
def test_coverage_adds_up(
    wanted: list[Interval], main: list[Interval], sub: list[Interval]
) -> None:
    got = coverage(wanted, main, sub)
    assert got.recorded_us + got.degraded_us + got.gap_us == got.due_us == total(wanted)
    assert (got.ppm == 1_000_000) == (got.recorded_us == got.due_us)
    # The sub-stream changes what is stated, never what counts as recorded.
    assert got.recorded_us == coverage(wanted, main).recorded_us


def test_degraded_and_gaps() -> None:
    got = coverage([Interval(0, 100)], [Interval(0, 40), Interval(60, 90)], [Interval(30, 70)])
    assert got.degraded == (Interval(40, 60),)
    assert got.gaps == (Interval(90, 100),)
    assert (got.recorded_us, got.ppm) == (70, 700_000)
    nearly = coverage([Interval(0, 3_000_000)], [Interval(0, 2_999_999)])
    assert nearly.ppm == 999_999


def test_less_than_a_frame_between_anchors_is_no_gap() -> None:
    got = coverage([Interval(0, 100)], [Interval(0, 50), Interval(52, 100)], join_within_us=2)
    assert got.gaps == ()
    got = coverage([Interval(0, 100)], [Interval(0, 50), Interval(53, 100)], join_within_us=2)
    assert got.gaps == (Interval(50, 53),)


def test_each_gap_has_its_cause() -> None:
    known = [
        (Interval(0, 20), GapCause.OFFLINE),
        (Interval(15, 30), GapCause.RECORDER_DOWN),
        (Interval(200, 300), GapCause.DISK),
    ]
    assert explain([Interval(10, 40)], known) == [
        Missing(Interval(10, 20), GapCause.OFFLINE),
        Missing(Interval(20, 30), GapCause.RECORDER_DOWN),
        Missing(Interval(30, 40), GapCause.UNKNOWN),
    ]


@given(spans, spans)
def test_causes_cover_what_is_missing_exactly(
    missing: list[Interval], known: list[Interval]
) -> None:
    got = explain(missing, [(span, GapCause.NETWORK) for span in known])
    assert union(item.interval for item in got) == union(missing)
    assert sum(item.interval.duration for item in got) == total(missing)


def test_late_start_and_early_end() -> None:
    whole = [Interval(0, 100)]
    assert late_and_early(whole, [Interval(10, 90)]) == [
        (Interval(0, 10), GapCause.LATE_START),
        (Interval(90, 100), GapCause.EARLY_END),
    ]
    assert late_and_early(whole, [Interval(0, 100)]) == []
    assert late_and_early(whole, []) == [(Interval(0, 100), GapCause.LATE_START)]
    split = [Interval(0, 10), Interval(20, 30), Interval(40, 50)]
    assert late_and_early(split, [Interval(20, 30)]) == [
        (Interval(0, 10), GapCause.LATE_START),
        (Interval(40, 50), GapCause.EARLY_END),
    ]


def test_one_cause_noted_again_and_again_is_one_gap() -> None:
    slices = [Interval(0, 20), Interval(15, 30), Interval(30, 50), Interval(60, 70)]
    got = explain([Interval(10, 40), Interval(45, 65)], [(s, GapCause.OFFLINE) for s in slices])
    assert got == [
        Missing(Interval(10, 40), GapCause.OFFLINE),
        Missing(Interval(45, 50), GapCause.OFFLINE),
        Missing(Interval(50, 60), GapCause.UNKNOWN),
        Missing(Interval(60, 65), GapCause.OFFLINE),
    ]
