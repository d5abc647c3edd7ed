"""Claims: one owner, margins that respect neighbours, reaching back, extending, moving."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.claims import (
    FOREVER,
    Claim,
    Margins,
    change_claim,
    check_one_owner,
    claim_intervals,
    close_claim,
    conflicts,
    late_claim,
    move_claim,
    opening_claim,
    reopen_claim,
)
from bidwitness.errors import Conflict, InvalidInput
from bidwitness.intervals import Interval, intersect, subtract
from bidwitness.words import ClaimClass

OWN = Claim("a", "x", 100, 200, claim_id="1")
spans = st.builds(
    lambda start, length: Interval(start, start + length), st.integers(0, 200), st.integers(1, 60)
)


@pytest.mark.parametrize(
    ("claim", "clashes"),
    [
        (Claim("b", "x", 199, 300), True),
        (Claim("b", "x", 50, None), True),
        (Claim("a", "x", 150, 160, claim_id="2"), True),
        (Claim("b", "x", 200, 300), False),
        (Claim("b", "x", 0, 100), False),
        (Claim("b", "y", 100, 200), False),
        (Claim("b", "x", 100, 200, ClaimClass.LINKED), False),
        (Claim("a", "x", 0, 150, claim_id="1"), False),
    ],
)
def test_at_most_one_own_claim_holds_a_stream(claim: Claim, clashes: bool) -> None:
    assert bool(conflicts(claim, [OWN])) is clashes
    if clashes:
        with pytest.raises(Conflict, match="belongs to session a"):
            check_one_owner(claim, [OWN])
    else:
        assert check_one_owner(claim, [OWN]) is claim


def test_a_linked_claim_holds_nothing() -> None:
    linked = Claim("b", "x", 100, 200, ClaimClass.LINKED)
    assert conflicts(OWN, [linked]) == []


def test_open_claims_reach_to_the_end_of_time_and_are_seen_until_now() -> None:
    claim = Claim("a", "x", 100, None)
    assert claim.span == Interval(100, FOREVER)
    assert claim.until(150) == Interval(100, 150)
    assert claim.until(100) is None
    assert OWN.until(1) == Interval(100, 200)


@given(spans, st.lists(spans, max_size=5), *[st.integers(0, 50)] * 3)
def test_margins_never_enter_a_neighbours_claim(
    core: Interval, neighbours: list[Interval], lead: int, pre: int, post: int
) -> None:
    parts = claim_intervals(core, Margins(lead, pre, post), neighbours)
    assert not intersect(parts, neighbours)
    # All of the core that is free, and no more than the margins.
    assert intersect(parts, [core]) == subtract([core], neighbours)
    wide = Interval(core.start - lead - pre, core.end + post)
    assert not subtract(parts, [wide])
    if not neighbours:
        assert parts == [wide]


def test_a_session_that_starts_late_reaches_back_to_its_plan() -> None:
    margins = Margins(lead_in_us=10, pre_roll_us=5)
    assert opening_claim("b", "x", 300, 900, margins, [OWN]) == Claim("b", "x", 285, None)
    # Started before its time: the margins count from the start.
    assert opening_claim("b", "x", 300, 290, margins, [OWN]).start == 275


def test_the_pre_roll_stops_at_the_session_before() -> None:
    margins = Margins(pre_roll_us=50)
    assert opening_claim("b", "x", 210, 210, margins, [OWN]).start == 200
    # The session before overran: B owns from where A ended.
    assert opening_claim("b", "x", 180, 230, margins, [OWN]).start == 200
    # What lies beyond somebody else's claim is not reached.
    assert opening_claim("b", "x", 90, 230, Margins(), [OWN]).start == 200
    with pytest.raises(Conflict):
        opening_claim("b", "x", 150, 150, margins, [OWN])


def test_the_post_roll_stops_at_the_session_after() -> None:
    claim = Claim("a", "x", 100, None)
    after = Claim("b", "x", 230, None)
    assert close_claim(claim, 200, 50, []).end == 250
    assert close_claim(claim, 200, 50, [after]).end == 230
    assert close_claim(claim, 200, 50, [Claim("b", "y", 210, None)]).end == 250
    assert close_claim(claim, 200, 0, [Claim("b", "x", 200, None)]).end == 200
    # Ended in the instant it began.
    assert close_claim(claim, 100, 0, []).end == 101
    with pytest.raises(Conflict):
        close_claim(OWN, 200, 0, [])


def test_an_end_is_taken_back_only_while_nobody_followed() -> None:
    assert reopen_claim(OWN, [OWN]).end is None
    with pytest.raises(Conflict, match="session b"):
        reopen_claim(OWN, [OWN, Claim("b", "x", 500, None)])


def test_changes_after_the_fact_need_a_reason_and_free_footage() -> None:
    late = Claim("c", "x", 20, 100, reason="booked late")
    assert late_claim(late, 100, [OWN]) is late
    with pytest.raises(InvalidInput) as caught:
        late_claim(Claim("c", "x", 20, 100), 100, [OWN])
    assert "reason" in caught.value.fields
    for future in (Claim("c", "x", 20, None, reason="r"), Claim("c", "x", 20, 101, reason="r")):
        with pytest.raises(InvalidInput) as caught:
            late_claim(future, 100, [])
        assert "to" in caught.value.fields
    with pytest.raises(Conflict):
        late_claim(Claim("c", "x", 20, 101, reason="r"), 500, [OWN])

    longer = change_claim(OWN, 80, 220, "it began earlier", [OWN])
    assert (longer.start, longer.end, longer.reason) == (80, 220, "it began earlier")
    for start, end, reason in ((80, 220, " "), (80, 80, "r")):
        with pytest.raises(InvalidInput):
            change_claim(OWN, start, end, reason, [OWN])
    with pytest.raises(Conflict):
        change_claim(OWN, 100, 301, "r", [OWN, Claim("b", "x", 300, None)])

    moved = move_claim(OWN, "c", "the other lot", [OWN])
    assert (moved.session_id, moved.start, moved.end) == ("c", 100, 200)
    with pytest.raises(InvalidInput):
        move_claim(OWN, "c", None, [OWN])
