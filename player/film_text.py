"""The words of a film: chapters, subtitles and notices, with the wall clock of China. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bidwitness.player.film_plan import FilmPlan, Hole
from bidwitness.player.wallclock import CHAPTER_US, SECOND, wall
from bidwitness.words import Medium

# A gap shorter than this has no chapter of its own.
LEAST_CHAPTER_US = SECOND


@dataclass(frozen=True, slots=True)
class Cue:
    """A text and its time, µs from the beginning of the film."""

    from_us: int
    to_us: int
    text: str


def hole_words(hole: Hole, leading: Medium = Medium.PICTURE) -> str:
    """Say in both languages that nothing is there, and why."""
    if hole.cause is None:
        return "不在本复制件内 not in this copy"
    sound = leading == Medium.SOUND
    what = "无声音 no sound" if sound else "无录像 no footage"
    return f"{what}: {hole.cause.zh} ({hole.cause.value})"


def notice(hole: Hole) -> tuple[str, ...]:
    """Give the lines of the still picture that stands for a hole."""
    start, end = hole.interval.start, hole.interval.end
    times = f"{wall(start).removesuffix(' UTC+8')} – {wall(end)}"
    foot = "此为说明画面，不是录像。 This is a notice, not footage."
    if hole.cause is None:
        return ("不在本复制件内 NOT IN THIS COPY", times, foot)
    cause = f"原因 cause: {hole.cause.zh} ({hole.cause.value})"
    return ("无录像 NO FOOTAGE", times, cause, foot)


def chapters(plan: FilmPlan) -> list[Cue]:
    """Give the chapters of a film, one after another, titled with the wall clock.

    One begins at each ten minutes, each new connection, and each gap and its end.
    """
    whole = plan.whole
    long = [hole for hole in plan.holes if hole.interval.duration >= LEAST_CHAPTER_US]
    edges = {at for hole in long for at in (hole.interval.start, hole.interval.end)}
    clock = range(-(-whole.start // CHAPTER_US) * CHAPTER_US, whole.end, CHAPTER_US)
    kept = [whole.start]
    for at in sorted({*edges, *clock, *plan.runs}):
        if not whole.start < at < whole.end:
            continue
        near = at - kept[-1] < LEAST_CHAPTER_US
        if near and at in edges and len(kept) > 1 and kept[-1] not in edges:
            kept[-1] = at
        elif not near or at in edges:
            kept.append(at)
    ends = [*kept[1:], whole.end]
    return [
        Cue(at - whole.start, end - whole.start, _chapter(at, long, plan.leading))
        for at, end in zip(kept, ends, strict=True)
    ]


def _chapter(at_us: int, holes: Sequence[Hole], leading: Medium) -> str:
    hole = next((one for one in holes if one.interval.contains(at_us)), None)
    return wall(at_us) if hole is None else f"{wall(at_us)} {hole_words(hole, leading)}"


def subtitles(plan: FilmPlan) -> Iterator[Cue]:
    """Give a subtitle for each second of the wall clock; it says so where there is a gap."""
    whole = plan.whole
    holes = [*((h, plan.leading) for h in plan.holes), *((h, Medium.SOUND) for h in plan.silences)]
    holes.sort(key=lambda item: item[0].interval)
    edges = {whole.start, whole.end}
    edges |= set(range(-(-whole.start // SECOND) * SECOND, whole.end, SECOND))
    edges |= {h.interval.start for h, _ in holes} | {h.interval.end for h, _ in holes}
    starts = sorted(edges)
    at = 0
    for start, end in pairwise(starts):
        while at < len(holes) and holes[at][0].interval.end <= start:
            at += 1
        here = holes[at] if at < len(holes) else None
        inside = here is not None and here[0].interval.contains(start)
        said = f"\n{hole_words(*here)}" if here is not None and inside else ""
        yield Cue(start - whole.start, end - whole.start, wall(start) + said)


def srt(cues: Iterable[Cue]) -> Iterator[str]:
    """Give subtitles in the form of SubRip, one by one."""
    for number, cue in enumerate(cues, start=1):
        yield f"{number}\n{_srt_time(cue.from_us)} --> {_srt_time(cue.to_us)}\n{cue.text}\n\n"


def _srt_time(at_us: int) -> str:
    seconds, rest = divmod(at_us, SECOND)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d},{rest // 1000:03d}"
