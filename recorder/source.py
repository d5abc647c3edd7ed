"""RTSP by libav: the one place of the recorder that opens an address."""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import av
from av.error import FFmpegError

from bidwitness.addresses import CameraAddress, resolve_camera
from bidwitness.clock import Clock
from bidwitness.errors import CameraError, InvalidInput
from bidwitness.recorder.packets import Packet, SourceLost, SourceTrack
from bidwitness.recorder.picture import ENTRIES
from bidwitness.recorder.sound import can_keep
from bidwitness.rtsp import admit, dialled, media_options
from bidwitness.words import GapCause, Medium

OPEN_TIMEOUT_S = 10.0
# A camera that sends nothing for so long is taken to have stopped.
READ_TIMEOUT_S = 5.0
GATHER_S = 0.1
# A packet that was not waited for this long lay there already.
_DRY_US = 500
_TIMED_OUT_US = int(READ_TIMEOUT_S * 990_000)

# The picture comes first of the tracks that are chosen.
_PICTURE = 0
_ASK_CAMERA_TIME = 16
_PRFT = struct.Struct("=qi")


class RtspSource:
    """One open RTSP connection. Made by ``open_rtsp``."""

    def __init__(
        self, container: av.container.InputContainer, host: str, clock: Clock, *, with_sound: bool
    ) -> None:
        self._container = container
        self._host = host
        self._clock = clock
        self._streams, self.tracks = _choose(container, host, with_sound)
        self._urgent: Callable[[], bool] = lambda: False

    def hurry(self, urgent: Callable[[], bool]) -> None:
        """Say who tells whether packets are wanted without delay (somebody watches live)."""
        self._urgent = urgent

    def packets(self) -> Iterator[Packet]:
        """Give packets as they arrive. Ends by ``SourceLost`` with the gap's cause."""
        places = {stream.index: place for place, stream in enumerate(self._streams)}
        now = self._clock.monotonic_us
        last_us = now()
        # libav gives a picture when the next one begins: that is when this next one arrived.
        begun_us: int | None = None
        pictures = 0
        try:
            for packet in self._container.demux(list(self._streams)):
                given_us = arrived_us = now()
                waited = given_us - last_us
                if packet.size:
                    place = places[packet.stream_index]
                    camera_us = None
                    if place == _PICTURE:
                        arrived_us = given_us if begun_us is None else begun_us
                        begun_us = given_us
                        # Reports come every few seconds; what they say does not change between.
                        if pictures % _ASK_CAMERA_TIME == 0:
                            camera_us = _camera_time(packet)
                        pictures += camera_us is not None or pictures % _ASK_CAMERA_TIME != 0
                    yield Packet(
                        place,
                        bytes(packet),
                        packet.pts,
                        packet.dts,
                        packet.duration or 0,
                        packet.is_keyframe,
                        arrived_us,
                        camera_us,
                    )
                if waited >= _TIMED_OUT_US:
                    # libav gives what its parser still held, and would go on reading in the
                    # middle of whatever it was interrupted in.
                    raise _stalled(self._host)
                if waited >= _DRY_US and not self._urgent():
                    # All that had come is taken. Waking for each packet would cost a tenth more
                    # than taking a tenth of a second's packets at once; the last of them still
                    # shows when it came.
                    self._clock.sleep(GATHER_S)
                last_us = now()
        except (FFmpegError, OSError) as error:
            raise _lost(error, self._host) from None
        raise SourceLost(f"The camera at {self._host} closed the connection.", GapCause.NETWORK)

    def close(self) -> None:
        self._container.close()


class RtspOpener:
    """Opens cameras. Loopback is allowed in the demo and in tests only."""

    def __init__(self, clock: Clock, *, allow_loopback: bool) -> None:
        self._clock = clock
        self._allow_loopback = allow_loopback

    def __call__(self, address: CameraAddress, *, with_sound: bool) -> RtspSource:
        """Connect and read the description.

        Raises ``CameraError`` if there is no camera, no right login or no video; ``InvalidInput``
        for a place where no camera may be, no such stream, or a login that would go in clear.
        """
        host = resolve_camera(address, allow_loopback=self._allow_loopback)
        admit(address, host)
        options = {
            **media_options(address),
            "allowed_media_types": "video+audio" if with_sound else "video",
            # Parameter sets come in the description or with the first key frame: do not wait.
            "analyzeduration": "100000",
            "fpsprobesize": "0",
            # The library's own time-out: PyAV's asks Python's lock at every read from the network,
            # which costs as much again as a fifth of all receiving.
            "timeout": str(int(READ_TIMEOUT_S * 1_000_000)),
        }
        try:
            container = av.open(
                dialled(address, host),
                format="rtsp",
                options=options,
                timeout=(OPEN_TIMEOUT_S, None),
            )
        except (FFmpegError, OSError, ValueError) as error:
            raise _not_opened(error, address.host) from None
        try:
            return RtspSource(container, address.host, self._clock, with_sound=with_sound)
        except CameraError:
            container.close()
            raise


_Streams = list[av.VideoStream | av.AudioStream]


def _choose(
    container: av.container.InputContainer, host: str, with_sound: bool
) -> tuple[_Streams, tuple[SourceTrack, ...]]:
    """Take the first picture, and the first sound that can be kept.

    A sound that cannot is among the tracks all the same, so that it is known to be missing; its
    packets are not asked for.
    """
    pictures = container.streams.video
    if not pictures and container.streams.audio:
        raise CameraError(
            f"The source at {host} sends sound alone, which cannot be recorded yet: give the "
            "address of a stream that has a picture too."
        )
    if not pictures:
        raise CameraError(f"The camera at {host} answers, but not with video.")
    picture = _describe(pictures[0])
    if picture.codec not in ENTRIES:
        raise CameraError(
            f"The camera at {host} sends {picture.codec}; set it to H.264, H.265 or MJPEG, which "
            "can be kept."
        )
    sounds = [(sound, _describe(sound)) for sound in container.streams.audio if with_sound]
    for sound, described in sounds:
        if can_keep(described):
            return [pictures[0], sound], (picture, described)
    return [pictures[0]], (picture, *(described for _, described in sounds[:1]))


def _codec_name(stream: av.VideoStream | av.AudioStream) -> str:
    # A codec that libav cannot decode has no context.
    context: av.CodecContext | None = stream.codec_context
    return "an unknown codec" if context is None else context.codec.canonical_name


def _describe(stream: av.VideoStream | av.AudioStream) -> SourceTrack:
    assert stream.time_base is not None, "RTSP always declares a clock rate"
    context: av.CodecContext | None = stream.codec_context
    channels = context.channels if isinstance(context, av.AudioCodecContext) else 0
    return SourceTrack(
        Medium.PICTURE if stream.type == "video" else Medium.SOUND,
        _codec_name(stream),
        int(1 / stream.time_base),
        bytes(context.extradata or b"") if context is not None else b"",
        channels,
    )


def _camera_time(packet: "av.Packet[Any]") -> int | None:
    """Read the camera's UTC µs that libav reckons from RTCP sender reports."""
    if not packet.has_sidedata("prft"):
        return None
    data = bytes(packet.get_sidedata("prft"))
    return int(_PRFT.unpack_from(data)[0]) if len(data) >= _PRFT.size else None


def _stalled(host: str) -> SourceLost:
    return SourceLost(
        f"The camera at {host} is connected, but has stopped sending.", GapCause.STALL
    )


def _lost(error: Exception, host: str) -> SourceLost:
    if isinstance(error, av.error.ExitError | TimeoutError):
        return _stalled(host)
    return SourceLost(f"The connection to the camera at {host} broke off.", GapCause.NETWORK)


_REFUSALS: Sequence[tuple[type[Exception], str]] = (
    (av.error.HTTPUnauthorizedError, "refuses this user name or password"),
    (av.error.HTTPForbiddenError, "refuses this user"),
    (av.error.HTTPNotFoundError, "has no stream at this path"),
    (av.error.InvalidDataError, "answers, but not with video"),
    (av.error.ProtocolNotFoundError, "cannot be reached by this way of connecting"),
    (av.error.HTTPClientError, "refuses the request"),
    (av.error.HTTPServerError, "has an error of its own"),
)


def _not_opened(error: Exception, host: str) -> CameraError | InvalidInput:
    """Say in one sentence why a camera could not be opened; never with the address's login."""
    for kind, says in _REFUSALS:
        if isinstance(error, kind):
            return CameraError(f"The camera at {host} {says}.")
    return CameraError(f"The camera at {host} does not answer.")
