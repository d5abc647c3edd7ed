"""Claims: which session's footage an interval of a stream is. Pure.

Footage is recorded around the clock; a session claims intervals of it, at the time, later or
earlier. At any instant at most one ``own`` claim holds a stream.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bidwitness.errors import Conflict, InvalidInput
from bidwitness.intervals import Interval, subtract
from bidwitness.words import ClaimClass

# Later than any instant: where a claim ends that is still open.
FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class Claim:
    """(session, stream, from, to, class). ``end`` is empty while the session records."""

    session_id: str
    stream_id: str
    start: int
    end: int | None
    klass: ClaimClass = ClaimClass.OWN
    claim_id: str = ""
    reason: str | None = None

    @property
    def span(self) -> Interval:
        """The claimed time; an open claim reaches to ``FOREVER``."""
        return Interval(self.start, FOREVER if self.end is None else self.end)

    def until(self, now_us: int) -> Interval | None:
        """The claimed time up to now; nothing, if it begins later."""
        end = now_us if self.end is None else self.end
        return Interval(self.start, end) if end > self.start else None


def conflicts(claim: Claim, others: Iterable[Claim]) -> list[Claim]:
    """Give the ``own`` claims that hold the stream at some instant of an ``own`` claim.

    The claim itself, known by its id, does not count; other claims of its session do.
    """
    if claim.klass != ClaimClass.OWN:
        return []
    return [
        other
        for other in others
        if other.klass == ClaimClass.OWN
        and other.stream_id == claim.stream_id
        and not (claim.claim_id and other.claim_id == claim.claim_id)
        and other.span.overlaps(claim.span)
    ]


def check_one_owner(claim: Claim, others: Iterable[Claim]) -> Claim:
    """Give the claim back if nobody owns its footage. Raises ``Conflict`` naming who does."""
    taken = conflicts(claim, others)
    if taken:
        names = ", ".join(sorted({other.session_id for other in taken}))
        raise Conflict(
            f"Stream {claim.stream_id} belongs to session {names} in that time. End or move that "
            "session first, or claim another interval.",
            fields={"stream_ids": claim.stream_id},
        )
    return claim


@dataclass(frozen=True, slots=True)
class Margins:
    """How far a claim reaches beyond the booking: ``lead_in`` is due, the rolls are not."""

    lead_in_us: int = 0
    pre_roll_us: int = 0
    post_roll_us: int = 0


def claim_intervals(
    core: Interval, margins: Margins, neighbours: Iterable[Interval]
) -> list[Interval]:
    """Give what a session claims for ``core``, widened by the margins.

    Neighbours are the times other sessions' own claims hold the stream: nothing of them is
    entered, and a margin beyond a neighbour is not taken. Several intervals come back if a
    neighbour lies inside the core, none if it fills it.
    """
    before = margins.lead_in_us + margins.pre_roll_us
    wide = Interval(core.start - before, core.end + margins.post_roll_us)
    return [part for part in subtract([wide], neighbours) if part.overlaps(core)]


def opening_claim(
    session_id: str,
    stream_id: str,
    planned_from_us: int,
    now_us: int,
    margins: Margins,
    others: Iterable[Claim],
) -> Claim:
    """Give the open claim of a session that starts now.

    It reaches back to the planned start and its margins, however late the start is, but not into
    another session's own claim; what lies beyond that one takes a late claim. Raises ``Conflict``
    if another session holds the stream now.
    """
    known = list(others)
    check_one_owner(Claim(session_id, stream_id, now_us, None), known)
    neighbours = [c.span for c in known if c.klass == ClaimClass.OWN and c.stream_id == stream_id]
    core = Interval(min(planned_from_us, now_us), now_us + 1)
    last = claim_intervals(core, margins, neighbours)[-1]
    return Claim(session_id, stream_id, last.start, None)


def close_claim(claim: Claim, ended_us: int, post_roll_us: int, others: Iterable[Claim]) -> Claim:
    """End an open claim, with the post-roll as far as no other session's own claim begins.

    Raises ``Conflict`` for a claim that has ended.
    """
    if claim.end is not None:
        raise Conflict("The claim has ended already.")
    begins = [
        other.start
        for other in others
        if other.klass == ClaimClass.OWN
        and other.stream_id == claim.stream_id
        and other.session_id != claim.session_id
        and other.start >= ended_us
    ]
    end = min([ended_us + post_roll_us, *begins])
    # A session ended in the instant it began still claims that instant.
    return replace(claim, end=max(end, claim.start + 1))


def reopen_claim(claim: Claim, others: Iterable[Claim]) -> Claim:
    """Take a claim's end back. Raises ``Conflict`` if somebody has claimed the stream since."""
    return check_one_owner(replace(claim, end=None), others)


def late_claim(claim: Claim, now_us: int, others: Iterable[Claim]) -> Claim:
    """Check a claim made after the fact (补录入), on footage that is there already.

    Raises ``InvalidInput`` without a reason or for a time that has not come, ``Conflict`` if
    another session owns the footage.
    """
    _need_reason(claim.reason)
    if claim.end is None or claim.end > now_us:
        raise InvalidInput(
            "A late claim needs an interval that has passed.",
            fields={"to": "give a time that has passed"},
        )
    return check_one_owner(claim, others)


def change_claim(
    claim: Claim, start: int, end: int | None, reason: str | None, others: Iterable[Claim]
) -> Claim:
    """Reach back, extend or shorten a claim, for a reason.

    Raises ``InvalidInput`` without a reason or for an empty interval, ``Conflict`` if another
    session owns what is added.
    """
    _need_reason(reason)
    if end is not None and end <= start:
        raise InvalidInput(
            "A claim must end after it starts.", fields={"to": "give a time after `from`"}
        )
    return check_one_owner(replace(claim, start=start, end=end, reason=reason), others)


def move_claim(claim: Claim, to_session: str, reason: str | None, others: Iterable[Claim]) -> Claim:
    """Give a claim's footage to another session, for a reason.

    Raises ``InvalidInput`` without a reason, ``Conflict`` if a third session owns it too.
    """
    _need_reason(reason)
    return check_one_owner(replace(claim, session_id=to_session, reason=reason), others)


def _need_reason(reason: str | None) -> None:
    if not (reason or "").strip():
        raise InvalidInput(
            "A claim that is made or changed after the fact needs a reason.",
            fields={"reason": "say why, for the record"},
        )
