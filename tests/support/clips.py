"""Real coded pictures and sound, made in a moment: what a camera would send."""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np

FPS = 25
TICK = 90_000 // FPS


@dataclass(frozen=True)
class CodedPicture:
    """An access unit, NAL units behind their lengths. Times in 1/90000 s."""

    data: bytes
    pts: int
    dts: int
    key: bool


@dataclass(frozen=True)
class Clip:
    codec: str
    width: int
    height: int
    pictures: tuple[CodedPicture, ...]


@cache
def make_clip(
    codec: str = "h264", frames: int = 100, gop: int = 25, b_frames: int = 0, size: int = 160
) -> Clip:
    """Encode ``frames`` numbered pictures; parameter sets stand in front of each key frame."""
    context = av.CodecContext.create("libx264" if codec == "h264" else "libx265", "w")
    context.width, context.height = size * 16 // 9 // 2 * 2, size
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, FPS)
    context.framerate = Fraction(FPS)
    extra = "x265-params" if codec == "hevc" else "x264-params"
    repeat = "repeat-headers=1:log-level=none" if codec == "hevc" else "repeat-headers=1"
    context.options = {
        "preset": "ultrafast",
        extra: f"{repeat}:keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:open-gop=0",
    }
    out: list[CodedPicture] = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(_picture(number, context.width, size), format="gray8")
        frame = frame.reformat(format="yuv420p")
        frame.pts = number
        out += [_coded(packet) for packet in context.encode(frame)]
    out += [_coded(packet) for packet in context.encode(None)]
    return Clip(codec, context.width, size, tuple(out))


def _coded(packet: av.Packet) -> CodedPicture:
    assert packet.pts is not None and packet.dts is not None
    return CodedPicture(
        with_lengths(bytes(packet)), packet.pts * TICK, packet.dts * TICK, bool(packet.is_keyframe)
    )


def with_lengths(data: bytes) -> bytes:
    """Give an Annex B access unit with each NAL unit behind its length."""
    nals = [nal.rstrip(b"\0") for nal in data.split(b"\0\0\1")[1:]]
    return b"".join(len(nal).to_bytes(4) + nal for nal in nals if nal)


def with_start_codes(data: bytes) -> bytes:
    """Give what ``with_lengths`` was given."""
    out, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        out.append(b"\0\0\0\1" + data[at + 4 : at + 4 + size])
        at += 4 + size
    return b"".join(out)


def first_slice(data: bytes) -> int:
    """Give where the first NAL unit of an H.264 key frame begins that is a slice."""
    at = 0
    while data[at + 4] & 0x1F != 5:
        at += 4 + int.from_bytes(data[at : at + 4])
    return at


def _picture(number: int, width: int, height: int) -> np.ndarray:
    """Draw 16 columns, black or white, that spell the number in binary."""
    columns = (np.arange(width) * 16 // width).astype(int)
    row = np.where((number >> columns) & 1, 235, 16).astype(np.uint8)
    return np.tile(row, (height, 1))


def picture_number(image: np.ndarray) -> int:
    """Read the number back from a grey picture."""
    width = image.shape[1]
    centres = ((np.arange(16) + 0.5) * width / 16).astype(int)
    bits = image[image.shape[0] // 2, centres] > 125
    return int(sum(1 << index for index, bit in enumerate(bits) if bit))


def tone(samples: int, rate: int = 8000, start: int = 0) -> np.ndarray:
    """Give a sine as 16-bit samples."""
    at = np.arange(start, start + samples) / rate
    return (np.sin(at * 2 * math.pi * 440) * 9000).astype(np.int16)


def aac_packets(seconds: int = 2, rate: int = 16000) -> tuple[bytes, list[bytes]]:
    """Give AudioSpecificConfig and the raw AAC frames (1024 samples each)."""
    context = av.CodecContext.create("aac", "w")
    context.sample_rate, context.layout, context.format = rate, "mono", "fltp"
    context.time_base = Fraction(1, rate)
    context.open()
    out: list[bytes] = []
    for start in range(0, seconds * rate, 1024):
        samples = (tone(1024, rate, start) / 32768).astype(np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, start
        out += [bytes(packet) for packet in context.encode(frame)]
    assert context.extradata is not None
    return bytes(context.extradata), out
