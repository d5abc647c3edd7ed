"""What the recorder says of a stream, and how it travels: a line of JSON from worker to supervisor."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bidwitness.errors import DamageFound
from bidwitness.words import DEGRADING, GapCause, Health, StreamFault

STATUS_FILE = "recorder.json"


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as its worker sees it now.

    ``since_us``: since when the state holds. ``last_us``: end of the last finished, playable
    fragment (µs UTC). ``centi_fps``: frames in a hundred seconds; ``kbps``: kilobits a second.
    ``gop_ms``: the longest of the last distances of key frames. ``centi_dbfs``: the sound's level
    in hundredths of dBFS. ``clock_us``: the camera's clock minus ours. ``verdicts``: of each fault
    whether it is there; what is not known is not in it. ``loss_ppm``: RTP packets of a million that
    were lost in the last minute; ``jitter_us``: that of the picture's packets.
    """

    stream_id: str
    state: Health
    cause: GapCause | None
    since_us: int
    last_us: int | None = None
    centi_fps: int | None = None
    kbps: int | None = None
    message: str | None = None
    gop_ms: int | None = None
    centi_dbfs: int | None = None
    clock_us: int | None = None
    loss_ppm: int | None = None
    jitter_us: int | None = None
    verdicts: Mapping[StreamFault, bool] = field(default_factory=dict)


def faults_of(verdicts: Mapping[StreamFault, bool]) -> tuple[StreamFault, ...]:
    """Give the faults that are there, in the order of their list."""
    return tuple(fault for fault in StreamFault if verdicts.get(fault))


def hushed(state: StreamState) -> StreamState:
    """Give the state of a stream whose room rests: silence is what belongs there. Pure."""
    if not state.verdicts.get(StreamFault.SILENT):
        return state
    verdicts = {**state.verdicts, StreamFault.SILENT: False}
    only = state.cause is None and not any(verdicts.get(fault) for fault in DEGRADING)
    well = state.state is Health.DEGRADED and only
    return replace(state, verdicts=verdicts, state=Health.OK if well else state.state)


def encode_states(states: Sequence[StreamState]) -> str:
    """Give one line (without its end) that holds all ``states``."""
    return json.dumps([asdict(state) for state in states], ensure_ascii=False)


def decode_states(line: str) -> list[StreamState]:
    """Read what ``encode_states`` gave. Raises ``DamageFound`` for anything else."""
    try:
        return [_state(item) for item in json.loads(line)]
    except (ValueError, TypeError, KeyError) as error:
        raise DamageFound(f"A worker said something that is no status: {error}") from None


def _state(item: Mapping[str, object]) -> StreamState:
    facts = dict(item)
    cause, verdicts = facts.pop("cause"), facts.pop("verdicts", {})
    if not isinstance(verdicts, Mapping):
        raise TypeError("verdicts is an object")
    return StreamState(
        state=Health(str(facts.pop("state"))),
        cause=None if cause is None else GapCause(str(cause)),
        verdicts={StreamFault(name): bool(found) for name, found in verdicts.items()},
        **facts,  # type: ignore[arg-type]  # a name that does not fit raises TypeError above
    )


def save_status_file(run_dir: Path, states: Sequence[StreamState], now_us: int) -> None:
    """Replace the file that other processes of this host read when the index is away."""
    run_dir.mkdir(parents=True, exist_ok=True)
    fresh = run_dir / f".{STATUS_FILE}"
    body = {"at_us": now_us, "streams": [asdict(state) for state in states]}
    fresh.write_text(json.dumps(body, ensure_ascii=False))
    fresh.replace(run_dir / STATUS_FILE)
