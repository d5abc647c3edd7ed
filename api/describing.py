"""How cameras and their streams are described, on the wall as on the cameras' page."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.schemas import Answer
from bidwitness.storage.alarming.judge import SILENT_RECORDER_US, effective
from bidwitness.storage.alarming.watch import reported_of
from bidwitness.storage.index.models import Camera, Stream, StreamStatus
from bidwitness.words import DEGRADING, GapCause, Health, Medium, StreamFault, StreamRole


class HealthAnswer(Answer):
    state: Health
    cause: GapCause | StreamFault | None
    # All that is wrong while it is recorded; ``cause`` is the first that makes it poorer.
    faults: list[StreamFault]
    since_us: int
    last_fragment_us: int | None
    fps: float | None
    kbps: int | None
    gop_seconds: float | None
    # The sound's level, below full scale; a camera's clock minus ours.
    level_dbfs: float | None
    clock_offset_us: int | None
    # Of the last minute's packets; how unevenly the picture's come.
    loss_percent: float | None
    jitter_ms: float | None
    message: str | None


class StreamAnswer(Answer):
    id: str
    role: StreamRole
    seat_id: str | None
    tracks: list[Medium]
    codecs: dict[Medium, str]
    width: int | None
    height: int | None
    health: HealthAnswer | None


def describe_streams(
    orm: Orm, cameras: Iterable[Camera], now_us: int
) -> dict[str, list[StreamAnswer]]:
    """Describe the streams of cameras, by camera id, main first. One query for all healths."""
    wanted = {c.id: sorted((s for s in c.streams if s.enabled), key=_main_first) for c in cameras}
    ids = [stream.id for streams in wanted.values() for stream in streams]
    known = {
        row.stream_id: row
        for row in orm.scalars(select(StreamStatus).where(StreamStatus.stream_id.in_(ids)))
    }
    return {
        camera_id: [_describe(stream, known.get(stream.id), now_us) for stream in streams]
        for camera_id, streams in wanted.items()
    }


def _main_first(stream: Stream) -> bool:
    return stream.role is not StreamRole.MAIN


def _describe(stream: Stream, status: StreamStatus | None, now_us: int) -> StreamAnswer:
    picture = next((t for t in stream.tracks if t.medium is Medium.PICTURE), None)
    return StreamAnswer(
        id=stream.id,
        role=stream.role,
        seat_id=stream.seat_id,
        tracks=sorted(track.medium for track in stream.tracks),
        codecs={track.medium: track.codec for track in stream.tracks},
        width=picture.width if picture else None,
        height=picture.height if picture else None,
        health=health_of(status, now_us) if status else None,
    )


def health_of(status: StreamStatus, now_us: int) -> HealthAnswer:
    """Say how a stream is. A recorder that has gone silent cannot vouch for it. Pure."""
    reported = reported_of(status)
    state, cause = effective(reported, now_us)
    silent = now_us - status.at_us > SILENT_RECORDER_US
    verdicts = {} if silent else reported.verdicts or {}
    faults = [fault for fault in StreamFault if verdicts.get(fault)]
    poorer = next((fault for fault in faults if fault in DEGRADING), None)
    return HealthAnswer(
        state=state,
        cause=cause or (poorer if state is Health.DEGRADED else None),
        faults=faults,
        since_us=status.at_us if silent else status.since_us,
        last_fragment_us=status.last_us,
        fps=None if silent or status.centi_fps is None else status.centi_fps / 100,
        kbps=None if silent else status.kbps,
        gop_seconds=None if silent or status.gop_ms is None else status.gop_ms / 1000,
        level_dbfs=None if silent or status.centi_dbfs is None else status.centi_dbfs / 100,
        clock_offset_us=None if silent else status.clock_us,
        loss_percent=None if silent or status.loss_ppm is None else status.loss_ppm / 10_000,
        jitter_ms=None if silent or status.jitter_us is None else status.jitter_us / 1000,
        message=status.message,
    )
