"""What the recorder says of its streams, in the index. (The worker processes import no database.)"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.status import StreamState, hushed
from bidwitness.storage.index.models import Event, Stream, StreamStatus
from bidwitness.storage.wanted_index import streams_at_recess
from bidwitness.words import StreamFault

MAX_MESSAGE = 500
CLOCK_STEP = "clock_step"


def save_status_rows(orm: Orm, recorder: str, states: Sequence[StreamState], now_us: int) -> None:
    """Write each known stream's row; streams that the index has lost are left out.

    Silence is not held against a stream whose session is in recess.
    """
    if any(state.verdicts.get(StreamFault.SILENT) for state in states):
        resting = streams_at_recess(orm)
        states = [hushed(s) if s.stream_id in resting else s for s in states]
    ids = [state.stream_id for state in states]
    known = set(orm.scalars(select(Stream.id).where(Stream.id.in_(ids))))
    rows = {
        row.stream_id: row
        for row in orm.scalars(select(StreamStatus).where(StreamStatus.stream_id.in_(ids)))
    }
    for state in states:
        if state.stream_id not in known:
            continue
        row = rows.get(state.stream_id)
        if row is None:
            row = StreamStatus(stream_id=state.stream_id)
            orm.add(row)
        row.recorder = recorder
        row.state, row.cause, row.since_us = state.state, state.cause, state.since_us
        row.last_us, row.centi_fps, row.kbps = state.last_us, state.centi_fps, state.kbps
        row.gop_ms, row.centi_dbfs, row.clock_us = state.gop_ms, state.centi_dbfs, state.clock_us
        row.loss_ppm, row.jitter_us = state.loss_ppm, state.jitter_us
        row.verdicts = {fault.value: found for fault, found in state.verdicts.items()}
        row.message = state.message[:MAX_MESSAGE] if state.message else None
        row.at_us = now_us


class ClockSteps:
    """Each step of this host's clock, kept until the index has it as an event."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor = ClockAnchor(clock)
        self._waiting: list[tuple[int, int]] = []

    def look(self) -> None:
        """Notice a step since the last look."""
        step = self._anchor.check()
        if step is not None:
            self._waiting.append((self._clock.utc_us(), step))

    def save(self, orm: Orm, recorder: str) -> None:
        """Add the events. ``saved`` must follow the transaction's end."""
        for at_us, step in self._waiting:
            text = f"The clock of {recorder} was set {'forward' if step > 0 else 'back'}."
            facts: dict[str, object] = {"by_us": step}
            orm.add(Event(at_us=at_us, kind=CLOCK_STEP, text=text, facts=facts, source=recorder))

    def saved(self) -> None:
        self._waiting.clear()
