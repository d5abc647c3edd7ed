"""Which times of a stream somebody may be shown: the answers of ``may``, put together. Pure.

Claims, bookings and grants begin and end; between two such instants nothing changes, so each of
these parts is asked for by itself and the permitted ones are joined.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from bidwitness.access import Grant, Ground, Person, Verdict, may
from bidwitness.intervals import Interval, intersect, union
from bidwitness.storage.sights import Concern, StreamView
from bidwitness.words import Action, ClaimClass, Medium


@dataclass(frozen=True, slots=True)
class Permission:
    """What of a stream's medium may be shown.

    ``spans`` are hers to see; ``others`` belong to sessions, or to times, that are not, so that
    the seam lies where they begin and end. ``ground``: why it is so, or why nothing is left.
    """

    spans: tuple[Interval, ...]
    others: tuple[Interval, ...]
    ground: Ground
    protected: bool


def permission(
    who: Person,
    medium: Medium,
    actions: Iterable[Action],
    view: StreamView,
    wanted: Iterable[Interval],
    session_id: str | None,
    now_us: int,
) -> Permission:
    """Say what of ``wanted`` somebody may be shown by any of the ``actions``.

    With a ``session_id`` every other session counts as another's, whoever may see it: a viewing
    of one session shows nothing of its neighbours.
    """
    wishes = tuple(actions)
    spans: list[Interval] = []
    denied: list[Interval] = []
    best: Verdict | None = None
    protected = False
    seen: set[str] = set()
    for part in _parts(union(wanted), view.concerns, who.grants):
        context = view.context(part)
        verdicts = [may(who, medium, action, context, now_us) for action in wishes]
        # Of refusals the one that says most: that there is no such row is said of any other action,
        # and where she should have asked from is what she can mend herself.
        said = [v for v in verdicts if v.ground != Ground.NO_RULE]
        said.sort(key=lambda v: v.ground != Ground.NOT_AT_POST)
        verdict = next((v for v in verdicts if v.allowed), next(iter(said), verdicts[-1]))
        protected = protected or verdict.protected
        if verdict.allowed:
            spans.append(part)
            seen |= {p.session_id for p in context.presences if p.klass is not None}
            best = verdict
        else:
            denied.append(part)
            best = best or verdict
    mine = {session_id} if session_id is not None else seen
    taken = [
        concern.interval
        for concern in view.concerns
        if concern.klass == ClaimClass.OWN and concern.session_id not in mine
    ]
    ground = best.ground if best is not None else Ground.UNCLAIMED
    return Permission(tuple(union(spans)), tuple(union([*taken, *denied])), ground, protected)


def _parts(
    wanted: list[Interval], concerns: Iterable[Concern], grants: Iterable[Grant]
) -> list[Interval]:
    """Divide the wanted times wherever a claim, a booking or a grant begins or ends."""
    edges: set[int] = set()
    for concern in concerns:
        edges |= {concern.interval.start, concern.interval.end}
        for item in concern.items:
            if item.interval is not None:
                edges |= {item.interval.start, item.interval.end}
    for grant in grants:
        if grant.interval is not None:
            edges |= {grant.interval.start, grant.interval.end}
    parts: list[Interval] = []
    for interval in wanted:
        inner = sorted(edge for edge in edges if interval.start < edge < interval.end)
        bounds = [interval.start, *inner, interval.end]
        parts += [Interval(a, b) for a, b in pairwise(bounds)]
    return parts


def claimed_by(view: StreamView, session_id: str) -> list[Interval]:
    """Give the times of the stream that a session claims."""
    return union(
        concern.interval
        for concern in view.concerns
        if concern.session_id == session_id and concern.klass is not None
    )


def within(intervals: Iterable[Interval], bounds: Interval) -> list[Interval]:
    """Give what of the intervals lies within the bounds."""
    return intersect(intervals, [bounds])
