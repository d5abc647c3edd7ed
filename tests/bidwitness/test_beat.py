"""All threads wake on the same beat."""

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.beat import AFTER_US, BEAT_US, Turns, until_beat

INSTANTS = st.integers(0, 1 << 50)


@given(INSTANTS, st.sampled_from((0, AFTER_US)))
def test_who_waits_wakes_on_the_beat(now_us: int, after_us: int) -> None:
    waited_us = round(until_beat(now_us, after_us) * 1_000_000)
    assert 0 < waited_us <= BEAT_US
    assert (now_us + waited_us) % BEAT_US == after_us


def test_each_has_its_turn_before_the_writer() -> None:
    turns = Turns()
    places = [turns.next_us() for _ in range(17)]
    assert len(set(places)) == 16
    assert max(places) < AFTER_US < BEAT_US
