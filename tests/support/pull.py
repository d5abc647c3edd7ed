"""Pulls a stream as a stranger would, by PyAV, and keeps what came."""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import av

from bidwitness.simulator.stamps import FrameStamp, read_sei


@dataclass(frozen=True)
class Picture:
    """One access unit. ``camera_us`` is what sender reports say about when it was taken."""

    data: bytes
    stamp: FrameStamp | None
    pts: int | None
    dts: int | None
    key: bool
    camera_us: int | None
    arrived_us: int


@dataclass(frozen=True)
class SoundPacket:
    data: bytes
    pts: int | None
    camera_us: int | None


@dataclass
class Pulled:
    """What came from one stream, in order."""

    pictures: list[Picture] = field(default_factory=list)
    sounds: list[SoundPacket] = field(default_factory=list)
    codecs: dict[str, str] = field(default_factory=dict)
    extradata: dict[str, bytes | None] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def frames(self) -> list[int]:
        """The absolute frame numbers that the pictures' stamps carry."""
        return [p.stamp.frame for p in self.pictures if p.stamp]


def pull(
    url: str,
    *,
    seconds: float = 3.0,
    transport: str = "tcp",
    enough: Callable[[Pulled], bool] = lambda _pulled: False,
    timeout: float = 10.0,
) -> Pulled:
    """Receive for ``seconds`` after the first packet, or until ``enough``.

    Raises PyAV's errors if the stream cannot be opened; later ones end the pull and are kept
    as ``error``.
    """
    # Left to itself libav listens for two seconds, or five to a silent track, before it begins.
    options = {"rtsp_transport": transport, "analyzeduration": "100000"}
    pulled = Pulled()
    with av.open(url, format="rtsp", options=options, timeout=timeout) as container:
        for stream in container.streams:
            pulled.codecs[stream.type] = stream.codec_context.name
            pulled.extradata[stream.type] = stream.codec_context.extradata
        try:
            _receive(container, pulled, seconds, enough)
        except av.error.FFmpegError as error:
            pulled.error = error
    return pulled


def _receive(
    container: Any, pulled: Pulled, seconds: float, enough: Callable[[Pulled], bool]
) -> None:
    deadline = None
    for packet in container.demux():
        now = time.monotonic()
        deadline = deadline or now + seconds
        if packet.size:
            _keep(packet, pulled)
        if now > deadline or enough(pulled):
            return


def _keep(packet: Any, pulled: Pulled) -> None:
    camera_us = None
    if packet.has_sidedata("prft"):
        (camera_us,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    data = bytes(packet)
    if packet.stream.type == "video":
        pulled.pictures.append(
            Picture(
                data,
                read_sei(data),
                packet.pts,
                packet.dts,
                packet.is_keyframe,
                camera_us,
                time.time_ns() // 1000,
            )
        )
    else:
        pulled.sounds.append(SoundPacket(data, packet.pts, camera_us))
