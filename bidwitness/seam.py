"""The seam: what each of two sessions that touch in a room may be shown. Pure.

Frames of the one are never in anything the other's viewer gets. Clocks are not exact to a frame
and a picture needs its key frame, so the group of pictures (GOP) on the seam, and every sound
fragment that overlaps it, is evidence and shown to neither.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bidwitness.intervals import Interval, union
from bidwitness.words import Medium


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A fragment as a viewer would get it. Players extend it with where its bytes are.

    ``start`` and ``end`` (µs UTC) span all its samples. ``gop`` spans the whole group of pictures
    it belongs to, also parts not in this piece; of sound it is the piece itself. ``key``: it
    begins with a key frame (every piece of sound does).
    """

    medium: Medium
    start: int
    end: int
    key: bool
    gop: Interval


P = TypeVar("P", bound=Piece)


def seam_regions(others: Iterable[Interval], gops: Iterable[Interval]) -> list[Interval]:
    """Give what neither side is shown beyond the claims themselves: the GOPs on a boundary."""
    edges = sorted({edge for span in union(others) for edge in (span.start, span.end)})

    def on_edge(gop: Interval) -> bool:
        at = bisect_left(edges, gop.start + 1)
        return at < len(edges) and edges[at] < gop.end

    return union(gop for gop in set(gops) if on_edge(gop))


def visible(
    viewer_claims: Iterable[Interval],
    other_claims: Iterable[Interval],
    pieces: Sequence[P],
    *,
    gops: Iterable[Interval] = (),
) -> list[P]:
    """Give, in their order, the pieces of one stream that a viewer may be shown.

    ``viewer_claims``: of the sessions she may see. ``other_claims``: every other session's own
    claims of the stream. ``pieces``: of *all* media, in the order in which they were recorded,
    because sound is cut where the picture's GOPs lie; ``gops`` adds those of pieces not given.

    What comes back lies inside her claims, touches nobody else's, and plays: of a GOP she gets the
    beginning or nothing. Pieces lost within a GOP stay a matter of the recording.
    """
    mine, others = union(viewer_claims), union(other_claims)
    known = [piece.gop for piece in pieces if piece.medium != Medium.SOUND]
    hidden = union([*others, *seam_regions(others, [*gops, *known])])
    closed: dict[Medium, set[Interval]] = {medium: set() for medium in Medium}
    shown_gop: dict[Medium, Interval | None] = dict.fromkeys(Medium)
    out: list[P] = []
    for piece in pieces:
        _close(mine, others, piece, closed[piece.medium])
        if _may_show(piece, mine, hidden, closed[piece.medium], shown_gop[piece.medium]):
            out.append(piece)
            shown_gop[piece.medium] = piece.gop
        else:
            shown_gop[piece.medium] = None
    return out


def _may_show(
    piece: Piece,
    mine: list[Interval],
    hidden: list[Interval],
    closed: set[Interval],
    shown_gop: Interval | None,
) -> bool:
    # A picture is shown only together with all of its GOP that comes before it.
    picture = piece.medium != Medium.SOUND
    needed = Interval(min(piece.gop.start, piece.start) if picture else piece.start, piece.end)
    home = next(
        (span for span in mine if span.start <= needed.start and needed.end <= span.end), None
    )
    if home is None or home in closed or any(span.overlaps(needed) for span in hidden):
        return False
    return piece.key or not picture or shown_gop == piece.gop


def _close(
    mine: list[Interval], others: list[Interval], piece: Piece, closed: set[Interval]
) -> None:
    """Note each claim that another's follows at once, when the recording has reached that other.

    What comes after is later, whatever a clock that was set back says of it.
    """
    for span in mine:
        if piece.end > span.end and any(other.contains(span.end) for other in others):
            closed.add(span)
