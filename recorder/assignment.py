"""Which worker process pulls which stream. Pure."""

from collections.abc import Mapping, Sequence

MAX_STREAMS = 16
_TOGETHER = ""


def assign(
    wanted: Sequence[str],
    present: Mapping[int, Sequence[str]],
    limit: int = MAX_STREAMS,
    pens: Mapping[str, str] | None = None,
) -> dict[int, tuple[str, ...]]:
    """Give each worker's streams: none moves without need, none has more than ``limit``.

    A stream stays with the worker that has it; a new one goes to the worker with the fewest, or
    to a new worker when all are full. ``pens``: streams that must not share a worker with those
    of another pen, or of none (``recorder.isolation``); what stands in the wrong one moves, and of
    two pens in one worker the larger part stays. Workers left without a stream are not in the
    answer.
    """
    penned = pens or {}
    chosen: dict[int, list[str]] = {}
    pen_of: dict[int, str] = {}
    still = set(wanted)
    for worker, streams in sorted(present.items()):
        held = [stream for stream in streams if stream in still]
        pen_of[worker] = _usual_pen(held, penned)
        kept = [s for s in held if penned.get(s, _TOGETHER) == pen_of[worker]][:limit]
        still.difference_update(kept)
        if kept:
            chosen[worker] = kept
    for stream in wanted:
        if stream not in still:
            continue
        still.discard(stream)
        pen = penned.get(stream, _TOGETHER)
        fitting = [w for w, has in chosen.items() if pen_of[w] == pen and len(has) < limit]
        worker = (
            min(fitting, key=lambda w: (len(chosen[w]), w))
            if fitting
            else next(n for n in range(len(chosen) + 1) if n not in chosen)
        )
        pen_of[worker] = pen
        chosen.setdefault(worker, []).append(stream)
    return {worker: tuple(streams) for worker, streams in sorted(chosen.items())}


def _usual_pen(streams: Sequence[str], pens: Mapping[str, str]) -> str:
    """Give the pen of most of the streams; of equals the first."""
    found = [pens.get(stream, _TOGETHER) for stream in streams]
    return max(found, key=found.count, default=_TOGETHER)
