"""Look into a stream for a few seconds: what it carries, how often a key frame comes.

Runs in the child process only: libav parses what a stranger sends, and may hang or die on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import av
import av.error

from bidwitness.clock import Clock
from bidwitness.errors import CameraError, InvalidInput

OPEN_S = 6
READ_S = 5
# A GOP longer than this is only said to be longer.
LOOK_US = 8_000_000
ENOUGH_KEY_FRAMES = 4
NAMES = {
    "hevc": "h265",
    "pcm_alaw": "G.711A",
    "pcm_mulaw": "G.711U",
    "aac": "AAC",
    "opus": "Opus",
    "pcm_s16be": "PCM",
    "adpcm_g722": "G.722",
    "adpcm_g726": "G.726",
    "adpcm_g726le": "G.726",
}


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """``gop_seconds`` is measured; None if no two key frames came while we looked."""

    codec: str
    width: int
    height: int
    fps: float | None
    gop_seconds: float | None
    sound: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def look_into(url: str, options: Mapping[str, str], clock: Clock) -> StreamFacts:
    """Open ``url`` (put together from checked parts, as ``options``) and look for ``LOOK_US`` at
    most.

    Raises ``CameraError`` if nothing or nobody answers, ``InvalidInput`` for a wrong password or
    what is not a picture. The messages never hold the URL: it has the password in it.
    """
    try:
        with av.open(
            url,
            format="rtsp",
            options=dict(options),
            timeout=(OPEN_S, READ_S),
        ) as container:
            return _look(container, clock)
    except av.error.HTTPUnauthorizedError:
        raise InvalidInput(
            "The camera does not accept the user name or the password.",
            fields={"password": "is not accepted, or the user name is not"},
        ) from None
    except (
        av.error.HTTPNotFoundError,
        av.error.HTTPBadRequestError,
        av.error.HTTPOtherClientError,
    ):
        raise InvalidInput(
            "The camera answers, but has no stream of this path.",
            fields={"address": "its path is not a stream of the camera"},
        ) from None
    except (av.error.ExitError, TimeoutError):
        raise CameraError(f"The camera did not answer within {OPEN_S} s.") from None
    except av.error.InvalidDataError:
        raise _not_video() from None
    except (av.error.FFmpegError, OSError) as error:
        raise CameraError(
            f"No connection to the camera: {getattr(error, 'strerror', None) or 'it hung up'}."
        ) from None


def _not_video() -> InvalidInput:
    return InvalidInput(
        "What answers there sends no video.", fields={"address": "is not the address of a video"}
    )


def _look(container: Any, clock: Clock) -> StreamFacts:
    if not container.streams.video:
        raise _not_video()
    video = container.streams.video[0]
    until = clock.monotonic_us() + LOOK_US
    times: list[float] = []
    key_times: list[float] = []
    for packet in container.demux(video):
        at = packet.dts if packet.dts is not None else packet.pts
        if at is not None and packet.size:
            times.append(float(at * packet.time_base))
            # A camera may send its parameter sets as a packet of the same time.
            if packet.is_keyframe and (not key_times or times[-1] > key_times[-1]):
                key_times.append(times[-1])
        if len(key_times) >= ENOUGH_KEY_FRAMES or clock.monotonic_us() > until:
            break
    if not times:
        raise CameraError("The camera accepts the connection and then sends nothing.")
    context = video.codec_context or video
    sound = _name(container.streams.audio[0]) if container.streams.audio else None
    return StreamFacts(
        codec=_name(video),
        width=context.width,
        height=context.height,
        fps=_rate(times),
        gop_seconds=_gop(key_times),
        sound=sound,
    )


def _name(stream: Any) -> str:
    """Give what people call a coding; one that libav cannot decode has no context."""
    context = stream.codec_context
    if context is None:
        return "unknown"
    name: str = context.codec.canonical_name
    return NAMES.get(name, name)


def _rate(times: Iterable[float]) -> float | None:
    ordered = sorted(set(times))
    if len(ordered) < 3:
        return None
    return round((len(ordered) - 1) / (ordered[-1] - ordered[0]), 2)


def _gop(key_times: list[float]) -> float | None:
    steps = [after - before for before, after in pairwise(key_times)]
    return round(median(steps), 3) if steps else None
