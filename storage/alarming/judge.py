"""Which alarms a stream's status calls for, and which it ends. Pure.

What the recorder does not know at present changes nothing: a stream that does not come says nothing
of its key frames, so an alarm about those stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bidwitness.words import GapCause, Health, StreamAlarm, StreamFault, StreamRole

# A recorder reports every second; what is older says nothing about now (stalls are known in 5 s).
SILENT_RECORDER_US = 5_000_000
# So long nothing may come before it is alarmed: a connection that is made again at once is only a
# gap. With the 4 s until it is known, the alarm is there well within 15 s.
ALARM_AFTER_US = 6_000_000
# Nothing is recorded, and that is as decided.
_DECIDED = (GapCause.MAINTENANCE, GapCause.CLASSIFIED)


@dataclass(frozen=True, slots=True)
class Reported:
    """What the recorder last said of a stream, as in its row."""

    state: Health
    cause: GapCause | None
    at_us: int
    centi_fps: int | None = None
    gop_ms: int | None = None
    centi_dbfs: int | None = None
    clock_us: int | None = None
    loss_ppm: int | None = None
    verdicts: Mapping[StreamFault, bool] | None = None


@dataclass(frozen=True, slots=True)
class WatchedStream:
    """A stream that is to be recorded. ``reported`` None: nobody has said anything of it yet."""

    stream_id: str
    role: StreamRole
    camera: str
    room_id: str
    room: str
    reported: Reported | None


@dataclass(frozen=True, slots=True)
class Finding:
    """``stands``: whether there is reason for the alarm; ``facts`` say why, if there is."""

    kind: StreamAlarm
    stands: bool
    facts: Mapping[str, object]


def effective(reported: Reported | None, now_us: int) -> tuple[Health, GapCause | None]:
    """Say how a stream is. A recorder that has gone silent cannot vouch for it."""
    if reported is None or now_us - reported.at_us > SILENT_RECORDER_US:
        return Health.OFFLINE, GapCause.RECORDER_DOWN
    return reported.state, reported.cause


def is_recorded(stream: WatchedStream, now_us: int) -> bool:
    """Say whether footage comes, or does not come because it was so decided."""
    state, cause = effective(stream.reported, now_us)
    return state in (Health.OK, Health.DEGRADED) or cause in _DECIDED


def judge(stream: WatchedStream, now_us: int, missing_us: int) -> Sequence[Finding]:
    """Give what is known of each kind of alarm. ``missing_us``: how long nothing has come."""
    state, cause = effective(stream.reported, now_us)
    about: dict[str, object] = {
        "camera": stream.camera,
        "room": stream.room,
        "role": stream.role.value,
    }
    if not is_recorded(stream, now_us):
        if missing_us < ALARM_AFTER_US:
            return ()
        why = {**about, "cause": (cause or GapCause.UNKNOWN).value}
        return (Finding(StreamAlarm.NOT_RECORDING, True, why),)
    found = [Finding(StreamAlarm.NOT_RECORDING, False, about)]
    reported = stream.reported
    if reported is None or state not in (Health.OK, Health.DEGRADED):
        return tuple(found)
    sound = _no_sound(reported)
    if sound is not None:
        why = {**about, "cause": sound, "centi_dbfs": reported.centi_dbfs} if sound else about
        found.append(Finding(StreamAlarm.NO_SOUND, bool(sound), why))
    verdicts = reported.verdicts or {}
    for fault, kind, figure, value in (
        (StreamFault.LOW_FRAME_RATE, StreamAlarm.LOW_FRAME_RATE, "centi_fps", reported.centi_fps),
        (StreamFault.LONG_GOP, StreamAlarm.LONG_GOP, "gop_ms", reported.gop_ms),
        (StreamFault.CLOCK_OFFSET, StreamAlarm.CLOCK_OFFSET, "clock_us", reported.clock_us),
        (StreamFault.PACKET_LOSS, StreamAlarm.PACKET_LOSS, "loss_ppm", reported.loss_ppm),
    ):
        if fault in verdicts:
            why = {**about, "cause": fault.value, figure: value}
            found.append(Finding(kind, verdicts[fault], why))
    return tuple(found)


def _no_sound(reported: Reported) -> str | None:
    """Give why there is no sound; empty if there is; None if that is not known."""
    if reported.cause is GapCause.NO_AUDIO:
        return GapCause.NO_AUDIO.value
    verdict = (reported.verdicts or {}).get(StreamFault.SILENT)
    if verdict is None:
        return None
    return StreamFault.SILENT.value if verdict else ""
