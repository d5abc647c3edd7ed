"""The seam between two sessions, over random layouts of fragments and groups of pictures."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.intervals import Interval, union
from bidwitness.seam import Piece, seam_regions, visible
from bidwitness.words import Medium

HALF = 500


def picture(gop_lengths: list[int], start: int = 0) -> list[Piece]:
    """Groups of pictures cut into fragments of at most half a second."""
    pieces = []
    for length in gop_lengths:
        gop = Interval(start, start + length)
        for begin in range(start, start + length, HALF):
            end = min(begin + HALF, start + length)
            pieces.append(
                Piece(medium=Medium.PICTURE, start=begin, end=end, key=begin == start, gop=gop)
            )
        start += length
    return pieces


def sound(total: int, length: int = 400, start: int = 0) -> list[Piece]:
    return [
        Piece(medium=Medium.SOUND, start=t, end=t + length, key=True, gop=Interval(t, t + length))
        for t in range(start, total, length)
    ]


def interleave(*tracks: list[Piece]) -> list[Piece]:
    """The order in which a recorder would have written them."""
    return sorted((piece for track in tracks for piece in track), key=lambda piece: piece.end)


def shown(pieces: list[Piece], medium: Medium = Medium.PICTURE) -> list[tuple[int, int]]:
    return [(p.start, p.end) for p in pieces if p.medium == medium]


recordings = st.builds(
    lambda gops, sound_start, length: interleave(
        picture(gops), sound(sum(gops), length, sound_start)
    ),
    st.lists(st.integers(100, 3000), min_size=1, max_size=8),
    st.integers(0, 399),
    st.sampled_from([64, 333, 400, 500]),
)
edges = st.lists(st.integers(0, 8000), min_size=3, max_size=5, unique=True).map(sorted)


@given(recordings, edges)
def test_touching_sessions_share_nothing_and_see_nothing_of_each_other(
    pieces: list[Piece], cuts: list[int]
) -> None:
    claims = [Interval(a, b) for a, b in itertools.pairwise(cuts)]
    views = [
        visible([claim], [other for other in claims if other != claim], pieces) for claim in claims
    ]
    seen: set[Piece] = set()
    for claim, view in zip(claims, views, strict=True):
        assert not seen & set(view), "a piece is shown to both sides"
        seen |= set(view)
        for piece in view:
            assert claim.start <= piece.start
            assert piece.end <= claim.end
            for other in claims:
                assert other == claim or not other.overlaps(Interval(piece.start, piece.end))
                # Not even a picture that needs, or is needed by, the other side's.
                assert other == claim or not other.overlaps(piece.gop)


@given(recordings, edges)
def test_what_is_shown_is_in_order_and_plays(pieces: list[Piece], cuts: list[int]) -> None:
    claims = [Interval(a, b) for a, b in itertools.pairwise(cuts)]
    view = visible(claims[:1], claims[1:], pieces)
    places = [pieces.index(piece) for piece in view]
    assert places == sorted(places)
    last: Piece | None = None
    for piece in (p for p in view if p.medium == Medium.PICTURE):
        assert piece.key or (last and last.gop == piece.gop and last.end == piece.start)
        last = piece


@given(recordings, edges)
def test_nothing_of_the_earlier_session_comes_after_the_seam(
    pieces: list[Piece], cuts: list[int]
) -> None:
    before, after = Interval(cuts[0], cuts[1]), Interval(cuts[1], cuts[2])
    for medium in (Medium.PICTURE, Medium.SOUND):
        of_medium = [p for p in pieces if p.medium == medium]
        first_after = next((i for i, p in enumerate(of_medium) if p.end > cuts[1]), None)
        view = [p for p in visible([before], [after], pieces) if p.medium == medium]
        if first_after is not None:
            assert all(of_medium.index(p) < first_after for p in view)


@given(recordings, edges)
def test_outside_claims_nothing_is_visible(pieces: list[Piece], cuts: list[int]) -> None:
    claim = Interval(cuts[0], cuts[1])
    view = visible([claim], [], pieces)
    assert all(claim.start <= p.start and p.end <= claim.end for p in view)
    assert visible([], [claim], pieces) == []
    assert visible([], [], pieces) == []


@given(recordings, edges)
def test_who_may_see_both_sessions_sees_the_seam(pieces: list[Piece], cuts: list[int]) -> None:
    a, b = Interval(cuts[0], cuts[1]), Interval(cuts[1], cuts[2])
    assert visible([a, b], [], pieces) == visible([Interval(cuts[0], cuts[2])], [], pieces)


def test_the_later_session_begins_at_its_first_key_frame() -> None:
    pieces = interleave(picture([1000] * 4), sound(4000))
    a, b = Interval(0, 1700), Interval(1700, 4000)
    assert shown(visible([a], [b], pieces)) == [(0, 500), (500, 1000)]
    assert shown(visible([b], [a], pieces)) == [
        (2000, 2500),
        (2500, 3000),
        (3000, 3500),
        (3500, 4000),
    ]
    # Sound that overlaps the GOP from 1000 to 2000 is heard by neither.
    assert shown(visible([a], [b], pieces), Medium.SOUND) == [(0, 400), (400, 800)]
    assert shown(visible([b], [a], pieces), Medium.SOUND)[0] == (2000, 2400)


def test_a_seam_on_a_key_frame_loses_no_picture() -> None:
    pieces = interleave(picture([1000] * 2), sound(2000))
    a, b = Interval(0, 1000), Interval(1000, 2000)
    assert shown(visible([a], [b], pieces)) == [(0, 500), (500, 1000)]
    assert shown(visible([b], [a], pieces)) == [(1000, 1500), (1500, 2000)]
    assert shown(visible([a], [b], pieces), Medium.SOUND) == [(0, 400), (400, 800)]
    assert shown(visible([b], [a], pieces), Medium.SOUND) == [(1200, 1600), (1600, 2000)]


def test_without_a_neighbour_a_claim_ends_within_a_gop() -> None:
    pieces = picture([2000, 2000])
    assert shown(visible([Interval(500, 3100)], [], pieces)) == [(2000, 2500), (2500, 3000)]


def test_a_window_of_sound_alone_needs_the_gops_from_elsewhere() -> None:
    a, b = Interval(0, 1700), Interval(1700, 4000)
    alone = sound(4000)
    assert (1200, 1600) in shown(visible([a], [b], alone), Medium.SOUND)
    known = [Interval(1000, 2000)]
    assert (1200, 1600) not in shown(visible([a], [b], alone, gops=known), Medium.SOUND)


def test_a_window_that_begins_within_a_gop_begins_with_the_next() -> None:
    pieces = picture([1500, 1000])[1:]
    assert shown(visible([Interval(0, 9000)], [], pieces)) == [(1500, 2000), (2000, 2500)]


def test_footage_lost_within_a_gop_hides_nothing_else() -> None:
    first, _lost, third, *rest = picture([1500, 1000])
    assert visible([Interval(0, 9000)], [], [first, third, *rest]) == [first, third, *rest]


def test_a_clock_that_is_set_back_behind_the_seam_shows_nothing_more() -> None:
    a, b = Interval(0, 1000), Interval(1000, 3000)
    # The second run was recorded after the first, whatever its times say.
    pieces = picture([1000, 1000]) + picture([500], start=200)
    assert shown(visible([a], [b], pieces)) == [(0, 500), (500, 1000)]


@given(
    st.lists(st.builds(lambda s, n: Interval(s, s + n), st.integers(0, 50), st.integers(1, 20))),
    st.lists(st.builds(lambda s, n: Interval(s, s + n), st.integers(0, 50), st.integers(1, 20))),
)
def test_regions_are_the_gops_on_an_edge(others: list[Interval], gops: list[Interval]) -> None:
    edges = {edge for span in union(others) for edge in (span.start, span.end)}
    wanted = [gop for gop in gops if any(gop.start < edge < gop.end for edge in edges)]
    assert seam_regions(others, gops) == union(wanted)
