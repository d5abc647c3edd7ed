"""Secrecy, retention and ownership by the lots an interval deals with."""

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.intervals import Interval, intersect
from bidwitness.items import (
    SECRECY,
    Item,
    intervals_of_lot,
    is_secret,
    items_in,
    longest_keep,
    strictest_phase,
)
from bidwitness.words import LotPhase

ONE = Item("1", LotPhase.RESULT_PUBLISHED, Interval(0, 100), 500)
TWO = Item("2", LotPhase.EVALUATED, Interval(80, 200), 900)
WHOLE = Item("3", LotPhase.OPENING)


def test_every_phase_has_its_rank() -> None:
    assert sorted(SECRECY) == sorted(LotPhase)
    assert [phase for phase in SECRECY if not is_secret(phase)] == [
        LotPhase.RESULT_PUBLISHED,
        LotPhase.CONTRACT_SIGNED,
        LotPhase.ENDED,
    ]


def test_items_of_an_interval() -> None:
    assert items_in([ONE, TWO], Interval(0, 80)) == [ONE]
    assert items_in([ONE, TWO], Interval(0, 81)) == [ONE, TWO]
    assert items_in([ONE, WHOLE], Interval(150, 160)) == [WHOLE]
    # Time that nobody named is everybody's.
    assert items_in([ONE, TWO], Interval(190, 201)) == [ONE, TWO]


def test_the_strictest_phase_and_the_longest_keeping() -> None:
    assert strictest_phase([LotPhase.ENDED, LotPhase.EVALUATED]) == LotPhase.EVALUATED
    assert is_secret(strictest_phase([]))
    assert longest_keep([ONE, TWO]) == 900
    assert longest_keep([ONE, WHOLE]) is None
    assert longest_keep([]) is None


def test_what_one_lots_party_may_have() -> None:
    session = Interval(0, 300)
    assert intervals_of_lot([ONE, TWO], "1", session) == [Interval(0, 80)]
    assert intervals_of_lot([ONE, TWO], "2", session) == [Interval(100, 200)]
    assert intervals_of_lot([ONE, WHOLE], "1", session) == []
    assert intervals_of_lot([WHOLE], "3", session) == [session]
    assert intervals_of_lot([WHOLE], "4", session) == []


@given(
    st.lists(
        st.builds(
            lambda lot, start, length: Item(lot, LotPhase.OPENING, Interval(start, start + length)),
            st.sampled_from("ab"),
            st.integers(0, 50),
            st.integers(1, 30),
        ),
        max_size=5,
    )
)
def test_two_lots_parties_share_nothing(items: list[Item]) -> None:
    session = Interval(0, 60)
    a, b = (intervals_of_lot(items, lot, session) for lot in "ab")
    assert not intersect(a, b)
