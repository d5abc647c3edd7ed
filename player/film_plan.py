"""What one film of a camera holds: which fragments, which holes and why, cut where it must be. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bidwitness.intervals import Interval, intersect, subtract, union
from bidwitness.player.cutting import HOLE_US
from bidwitness.player.selection import Selected
from bidwitness.words import GapCause, Medium

# What a decoder is told of each medium: where it changes, one film ends and the next begins.
Configs = Mapping[Medium, bytes]


@dataclass(frozen=True, slots=True)
class KnownGap:
    """A gap as the timeline states it; without a medium, of all of them."""

    interval: Interval
    cause: GapCause
    medium: Medium | None


@dataclass(frozen=True, slots=True)
class Hole:
    """A time of a film in which nothing was recorded, or, without a cause, nothing was handed out:
    it is not the recipient's, or its group of pictures lies across an edge.
    """

    interval: Interval
    cause: GapCause | None


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """One film: ``whole`` is what it lasts for. ``holes`` are those of its leading medium,
    ``silences`` those of the sound beside the picture. ``runs``: where new connections begin.
    """

    whole: Interval
    leading: Medium
    parts: tuple[Selected, ...]
    holes: tuple[Hole, ...]
    silences: tuple[Hole, ...]
    runs: tuple[int, ...]

    @property
    def media(self) -> frozenset[Medium]:
        """The media that are in it."""
        return frozenset(piece.medium for part in self.parts for piece in part.pieces)

    @property
    def size(self) -> int:
        """How many bytes of footage go into it."""
        return sum(piece.fragment.size for part in self.parts for piece in part.pieces)


def divide(parts: Iterable[Selected], configs_of: Callable[[str], Configs]) -> list[list[Selected]]:
    """Divide what was selected of a stream wherever a decoder has to be told something else.

    That a medium is missing for a while is no change.
    """
    groups: list[list[Selected]] = []
    told: dict[Medium, bytes] = {}
    for part in parts:
        media = {piece.medium for piece in part.pieces}
        if not media:
            continue
        news = {m: body for m, body in configs_of(part.held.init).items() if m in media}
        if not groups or any(told.get(m, body) != body for m, body in news.items()):
            groups.append([])
            told = {}
        told |= news
        groups[-1].append(part)
    return groups


def plan_film(
    parts: Sequence[Selected],
    wanted: Interval,
    spans: Mapping[Medium, Sequence[Interval]],
    known: Iterable[KnownGap],
    *,
    stated: bool = True,
) -> FilmPlan | None:
    """Plan a film of parts that one decoder can read; nothing if it would show nothing.

    ``wanted``: what it is to last for. Unless holes are ``stated`` in the picture itself, it begins
    with the first picture and ends with the last.
    """
    media = {piece.medium for part in parts for piece in part.pieces}
    if not media:
        return None
    leading = min(media, key=list(Medium).index)
    kept = _decodable(parts) if leading == Medium.PICTURE else list(parts)
    shown = _times(kept, leading)
    if not shown:
        return None
    begin, end = shown[0].start, shown[-1].end
    whole = Interval(min(begin, wanted.start), max(end, wanted.end)) if stated else None
    whole = whole or Interval(begin, end)
    gaps = list(known)
    holes = holes_of(whole, shown, spans.get(leading, ()), gaps, leading)
    silences: list[Hole] = []
    if leading != Medium.SOUND and Medium.SOUND in media:
        heard = [*_times(kept, Medium.SOUND), *(hole.interval for hole in holes)]
        found = holes_of(whole, union(heard), spans.get(Medium.SOUND, ()), gaps, Medium.SOUND)
        silences = [hole for hole in found if hole.cause is not None]
    runs: dict[str, int] = {}
    for part in kept:
        for piece in part.pieces:
            runs[part.held.run] = min(piece.start, runs.get(part.held.run, piece.start))
    begun = tuple(sorted(runs.values()))
    return FilmPlan(whole, leading, tuple(kept), tuple(holes), tuple(silences), begun)


def _decodable(parts: Iterable[Selected]) -> list[Selected]:
    """Leave out pictures that follow a hole, or begin a connection, and are no key frame."""
    out: list[Selected] = []
    run, until = "", None
    for part in parts:
        pieces = []
        for piece in part.pieces:
            if piece.medium == Medium.PICTURE:
                goes_on = until is not None and run == part.held.run
                if not piece.key and not (goes_on and piece.start - (until or 0) < HOLE_US):
                    continue
                run, until = part.held.run, piece.end
            pieces.append(piece)
        if pieces:
            out.append(replace(part, pieces=tuple(pieces)))
    return out


def _times(parts: Iterable[Selected], medium: Medium) -> list[Interval]:
    """Give the times of a medium's fragments, joined where no hole is between them."""
    found = (
        Interval(piece.start, piece.end)
        for part in parts
        for piece in part.pieces
        if piece.medium == medium
    )
    return union(found, join_within=HOLE_US)


def holes_of(
    whole: Interval,
    held: Iterable[Interval],
    spans: Iterable[Interval],
    gaps: Sequence[KnownGap],
    medium: Medium,
) -> list[Hole]:
    """Give what of ``whole`` is not held, with the causes that the timeline states.

    Of what is not the recipient's no cause is told.
    """
    stated = [
        Hole(part, gap.cause)
        for gap in gaps
        if gap.medium in (None, medium)
        for part in intersect([gap.interval], spans)
    ]
    out: list[Hole] = []
    for lacking in subtract([whole], held):
        if lacking.duration >= HOLE_US:
            out += _explained(lacking, stated)
    return out


def _explained(lacking: Interval, stated: Sequence[Hole]) -> list[Hole]:
    """Cut a hole where its cause changes; what is shorter than a hole goes to its neighbour."""
    edges = {lacking.start, lacking.end}
    for one in stated:
        shared = one.interval.intersection(lacking)
        if shared is not None:
            edges |= {shared.start, shared.end}
    bounds = sorted(edges)
    if len(bounds) > 2:
        inner = [bounds[0]]
        for edge in bounds[1:-1]:
            if edge - inner[-1] >= HOLE_US and bounds[-1] - edge >= HOLE_US:
                inner.append(edge)
        bounds = [*inner, bounds[-1]]
    out: list[Hole] = []
    for start, end in pairwise(bounds):
        middle = (start + end) // 2
        cause = next((one.cause for one in stated if one.interval.contains(middle)), None)
        if out and out[-1].cause == cause:
            out[-1] = Hole(Interval(out[-1].interval.start, end), cause)
        else:
            out.append(Hole(Interval(start, end), cause))
    return out
