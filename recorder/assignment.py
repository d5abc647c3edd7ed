"""Which worker process pulls which stream. Pure."""

from collections.abc import Mapping, Sequence

MAX_STREAMS = 16


def assign(
    wanted: Sequence[str], present: Mapping[int, Sequence[str]], limit: int = MAX_STREAMS
) -> dict[int, tuple[str, ...]]:
    """Give each worker's streams: none moves without need, none has more than ``limit``.

    A stream stays with the worker that has it; a new one goes to the worker with the fewest, or
    to a new worker when all are full. Workers left without a stream are not in the answer.
    """
    chosen: dict[int, list[str]] = {}
    still = set(wanted)
    for worker, streams in sorted(present.items()):
        kept = [stream for stream in streams if stream in still][:limit]
        still.difference_update(kept)
        if kept:
            chosen[worker] = kept
    for stream in wanted:
        if stream not in still:
            continue
        still.discard(stream)
        open_workers = [w for w, streams in chosen.items() if len(streams) < limit]
        worker = (
            min(open_workers, key=lambda w: (len(chosen[w]), w))
            if open_workers
            else next(n for n in range(len(chosen) + 1) if n not in chosen)
        )
        chosen.setdefault(worker, []).append(stream)
    return {worker: tuple(streams) for worker, streams in sorted(chosen.items())}
