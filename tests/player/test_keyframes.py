"""Which key frames stand for which time. Pure."""

from itertools import pairwise

from bidwitness.intervals import Interval
from bidwitness.player.cutting import TrackFragment
from bidwitness.player.keyframes import PER_PIECE, KeyFrame, key_frames, key_pieces
from bidwitness.player.segments import Held
from bidwitness.words import Medium

SECOND = 1_000_000
HALF = SECOND // 2


def held(run_seq: int) -> Held:
    return Held("run", run_seq, "init", ((Medium.PICTURE, 1),), 0, 0, True)


def fragments(start: int, count: int, keys: set[int], ordinal: int = 0) -> list[TrackFragment]:
    """Half seconds from ``start``; those at the places in ``keys`` begin with a key frame."""
    return [
        TrackFragment(ordinal + n, start + n * HALF, start + (n + 1) * HALF, n in keys, 0, 1)
        for n in range(count)
    ]


def spans(keys: list[KeyFrame]) -> list[tuple[float, float]]:
    return [(key.at_us / SECOND, key.to_us / SECOND) for key in keys]


def test_a_long_gop_goes_on_in_the_next_segment() -> None:
    first = fragments(0, 20, {0, 10})
    second = fragments(10 * SECOND, 20, {10}, 0)
    found = key_frames([(held(0), first), (held(1), second)], HALF)
    assert spans(found) == [(0, 5), (5, 15), (15, 20)]
    assert [(key.held.run_seq, key.ordinal) for key in found] == [(0, 0), (0, 10), (1, 10)]


def test_what_follows_a_hole_without_a_key_frame_is_nobodys_time() -> None:
    first = fragments(0, 4, {0})
    torn = fragments(5 * SECOND, 6, {4}, 10)
    assert spans(key_frames([(held(0), first + torn)], HALF)) == [(0, 2), (7, 8)]
    # A hole never shortens what stands before it, nor is it bridged by thinning.
    near = fragments(2_300_000, 2, {0}, 4)
    assert spans(key_frames([(held(0), first + near)], 10 * SECOND)) == [(0, 2), (2.3, 3.3)]


def test_rounded_ticks_leave_no_instant_between() -> None:
    early = [
        TrackFragment(0, 0, 999_989, True, 0, 1),
        TrackFragment(1, SECOND, 2 * SECOND, True, 0, 1),
    ]
    assert spans(key_frames([(held(0), early)], HALF)) == [(0, 1), (1, 2)]


def test_steps_are_of_utc_so_that_lists_agree() -> None:
    """Wherever what was looked at begins, the same key frames are chosen."""
    whole = fragments(0, 60, set(range(60)))
    all_of_it = key_frames([(held(0), whole)], 5 * SECOND)
    later = key_frames([(held(0), whole[7:])], 5 * SECOND)
    assert spans(all_of_it) == [(n, n + 5) for n in range(0, 30, 5)]
    assert spans(later)[1:] == spans(all_of_it)[1:]
    assert all(a.to_us == b.at_us for a, b in pairwise(all_of_it))


def test_pieces_are_of_one_segment_and_short() -> None:
    shown = [(held(n), fragments(n * 10 * SECOND, 20, set(range(20)))) for n in range(2)]
    keys = key_frames(shown, HALF)
    pieces = key_pieces(keys, Interval(4 * SECOND, 12 * SECOND))
    assert [len(piece.keys) for piece in pieces] == [PER_PIECE, 4, 4]
    assert pieces[0].address == "keys/run-0/8.9.10.11.12.13.14.15.m4s"
    assert {piece.held.run_seq for piece in pieces} == {0, 1}
    # The one that is on when the time begins is in it.
    (piece,) = key_pieces(keys, Interval(4_200_000, 4_300_000))
    assert [key.at_us for key in piece.keys] == [4 * SECOND]
