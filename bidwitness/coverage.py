"""What had to be recorded, and what was: due interval, gaps, coverage. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bidwitness.claims import Claim
from bidwitness.intervals import Interval, intersect, subtract, total, union
from bidwitness.words import ClaimClass, GapCause

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class DueFacts:
    """What the due interval of a session is computed from. Events are the business's own."""

    planned_from_us: int
    lead_in_us: int
    started_us: int | None
    ended_us: int | None
    first_event_us: int | None = None
    last_event_us: int | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """Where a due interval was cut because another session's own claim holds the stream."""

    session_id: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class DueTime:
    """What a stream had to record for a session, and what was taken off, to be stated."""

    intervals: tuple[Interval, ...]
    clips: tuple[Clip, ...]


def due_time(
    facts: DueFacts, now_us: int, session_id: str, stream_id: str, others: Iterable[Claim]
) -> DueTime:
    """Give what was due of a stream up to now.

    From the earliest of planned start minus lead-in, actual start and first event, to the latest
    of end (now, while it records) and last event; less what other sessions' own claims hold.
    """
    begins = [facts.planned_from_us - facts.lead_in_us]
    begins += [t for t in (facts.started_us, facts.first_event_us) if t is not None]
    ends = [now_us if facts.ended_us is None else facts.ended_us]
    ends += [facts.last_event_us] if facts.last_event_us is not None else []
    if max(ends) <= min(begins):
        return DueTime((), ())
    whole = Interval(min(begins), max(ends))
    clips = [
        Clip(other.session_id, shared)
        for other in others
        if other.klass == ClaimClass.OWN
        and other.stream_id == stream_id
        and other.session_id != session_id
        and (shared := whole.intersection(other.span)) is not None
    ]
    clips.sort(key=lambda clip: clip.interval)
    left = subtract([whole], [clip.interval for clip in clips])
    return DueTime(tuple(left), tuple(clips))


@dataclass(frozen=True, slots=True)
class Missing:
    """An interval that should have footage and has none, with its cause."""

    interval: Interval
    cause: GapCause


@dataclass(frozen=True, slots=True)
class Coverage:
    """Recorded ÷ due of one medium. Only main counts as recorded.

    ``degraded``: only the sub-stream has it, which is stated. ``gaps``: neither has it.
    """

    due_us: int
    recorded_us: int
    degraded: tuple[Interval, ...]
    gaps: tuple[Interval, ...]

    @property
    def degraded_us(self) -> int:
        return total(self.degraded)

    @property
    def gap_us(self) -> int:
        return total(self.gaps)

    @property
    def ppm(self) -> int:
        """Millionths recorded, rounded down: a million means without a gap."""
        return MILLION if not self.due_us else self.recorded_us * MILLION // self.due_us


def coverage(
    due: Iterable[Interval],
    main: Iterable[Interval],
    sub: Iterable[Interval] = (),
    *,
    join_within_us: int = 0,
) -> Coverage:
    """Compare what was due of a medium with what its two streams hold.

    Footage no more than ``join_within_us`` apart counts as joined: clocks of two anchors may
    differ by less than a frame.
    """
    wanted = union(due)
    held = union(main, join_within=join_within_us)
    spare = union(sub, join_within=join_within_us)
    missing = subtract(wanted, held)
    return Coverage(
        total(wanted),
        total(intersect(wanted, held)),
        tuple(intersect(missing, spare)),
        tuple(subtract(missing, spare)),
    )


def explain(
    missing: Iterable[Interval], known: Iterable[tuple[Interval, GapCause]]
) -> list[Missing]:
    """Give each missing interval its cause, from the gaps that the recorder noted.

    Where two causes overlap, the one that began first holds; where none is known: ``unknown``.
    What is missing for one cause without a break is one, however often it was noted.
    """
    causes = sorted(known, key=lambda item: item[0])
    parts: dict[GapCause, list[Interval]] = {}
    rest = union(missing)
    for interval, cause in causes:
        parts.setdefault(cause, []).extend(intersect(rest, [interval]))
        rest = subtract(rest, [interval])
    parts.setdefault(GapCause.UNKNOWN, []).extend(rest)
    found = [Missing(part, cause) for cause, some in parts.items() for part in union(some)]
    return sorted(found, key=lambda item: item.interval)


def late_and_early(
    due: Sequence[Interval], claimed: Iterable[Interval]
) -> list[tuple[Interval, GapCause]]:
    """Give the due time before the first and after the last claim: late start, early end."""
    held = union(claimed)
    out: list[tuple[Interval, GapCause]] = []
    for part in due:
        if not held or part.end <= held[0].start:
            out.append((part, GapCause.LATE_START))
            continue
        if part.start < held[0].start:
            out.append((Interval(part.start, held[0].start), GapCause.LATE_START))
        if part.end > held[-1].end:
            out.append((Interval(max(part.start, held[-1].end), part.end), GapCause.EARLY_END))
    return out
