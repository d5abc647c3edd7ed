"""What stands in a film where nothing was recorded: a notice as H.264 beside the camera's own, and silence.

A notice is encoded with parameter sets of a number of its own, which the film declares beside the
camera's. So one sample entry serves both, no sample of the camera is touched, and whoever seeks to
either finds its sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bidwitness.errors import DamageFound
from bidwitness.player.lettering import font
from bidwitness.storage.media.entries import AvcSets

Plane = NDArray[np.uint8]
# One picture a second, a key frame each ten: short enough to seek in, and next to no bytes.
PATTERN = 10
_INK, _PAPER, _FAINT = 225, 34, 150
_BASELINE = 66
_SLICES = frozenset((1, 5))


@dataclass(frozen=True, slots=True)
class Slate:
    """A notice as samples, lengths before NAL units: the first is a key frame; they go round."""

    samples: tuple[bytes, ...]
    sets: AvcSets


def draw_notice(width: int, height: int, lines: Sequence[str]) -> Plane:
    """Draw lines of text in the middle of a dark picture; give its luma. The first is the largest."""
    image = Image.new("L", (width, height), _PAPER)
    pen = ImageDraw.Draw(image)
    heights = [max(9, height // (9 if place == 0 else 20)) for place in range(len(lines))]
    y = max(0, (height - sum(h * 3 // 2 for h in heights)) // 2)
    for place, (text, size) in enumerate(zip(lines, heights, strict=True)):
        room = width - 12
        long = font(size).getlength(text)
        fitted = size if long <= room else max(5, int(size * room / long))
        x = max(0, (width - font(fitted).getlength(text)) / 2)
        pen.text((x, y), text, _INK if place == 0 else _FAINT, font(fitted))
        y += size * 3 // 2
    return np.asarray(image, np.uint8)


def make_slate(
    lines: Sequence[str],
    width: int,
    height: int,
    profile: int,
    number: int,
    aspect: Fraction | None,
) -> Slate:
    """Encode a notice for a camera's film, its parameter sets numbered ``number``.

    ``profile``: the camera's ``profile_idc``; a decoder that takes it takes the notice.
    """
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 1), Fraction(1)
    if aspect is not None:
        context.sample_aspect_ratio = aspect
    context.options = {
        "preset": "veryfast",
        "profile": "baseline" if profile == _BASELINE else "main",
        "crf": "28",
        "x264-params": (
            f"sps-id={number}:keyint={PATTERN}:min-keyint={PATTERN}:scenecut=0:bframes=0"
            ":annexb=1:repeat-headers=1:threads=1"
        ),
    }
    luma = draw_notice(width, height, lines)
    grey = np.full((height // 2, width), 128, np.uint8)
    frame = av.VideoFrame.from_ndarray(np.concatenate([luma, grey]), format="yuv420p")
    packets: list[bytes] = []
    for place in range(PATTERN):
        frame.pts = place
        packets += [bytes(packet) for packet in context.encode(frame)]
    packets += [bytes(packet) for packet in context.encode(None)]
    nals = [list(_nals(packet)) for packet in packets]
    first = nals[0]
    sets = AvcSets(
        tuple(nal for nal in first if nal[0] & 0x1F == 7),
        tuple(nal for nal in first if nal[0] & 0x1F == 8),
    )
    if len(packets) != PATTERN or not sets.sps or not sets.pps:
        raise DamageFound("The notice of a gap could not be encoded.")
    samples = tuple(
        b"".join(len(nal).to_bytes(4) + nal for nal in unit if nal[0] & 0x1F in _SLICES)
        for unit in nals
    )
    return Slate(samples, sets)


def _nals(data: bytes) -> list[bytes]:
    """Split what an encoder gives, where each NAL unit stands behind a start code."""
    return [nal for part in data.split(b"\0\0\1")[1:] if (nal := part.rstrip(b"\0"))]


@dataclass(frozen=True, slots=True)
class Silence:
    """One block of silence in the coding of a film's sound, and how many samples it holds."""

    data: bytes
    samples: int


@lru_cache(maxsize=16)
def silence_of(codec: str, rate: int, channels: int, block: int) -> Silence | None:
    """Give silence that fits between blocks of AAC, FLAC or Opus; none for any other coding.

    ``block``: the samples in a block of FLAC.
    """
    if codec == "opus":
        # 20 ms of CELT, whole band, in one frame that says nothing (RFC 6716, 3.1).
        return Silence(bytes((0xFC if channels > 1 else 0xF8, 0xFF, 0xFE)), 960)
    if codec not in ("aac", "flac"):
        return None
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, AudioCodecContext)
    form = "fltp" if codec == "aac" else "s16"
    layout = "mono" if channels == 1 else "stereo"
    context.sample_rate, context.layout, context.format = rate, layout, form
    context.time_base = Fraction(1, rate)
    if codec == "flac":
        context.options = {"frame_size": str(block)}
    context.open()
    size = 1024 if codec == "aac" else block
    shape = (channels, size) if codec == "aac" else (1, size * channels)
    kind = np.float32 if codec == "aac" else np.int16
    packets: list[bytes] = []
    for place in range(4):
        frame = av.AudioFrame.from_ndarray(np.zeros(shape, kind), format=form, layout=layout)
        frame.sample_rate, frame.pts = rate, place * size
        packets += [bytes(packet) for packet in context.encode(frame)]
    packets += [bytes(packet) for packet in context.encode(None)]
    # The first ones hold what an encoder begins with.
    return Silence(packets[2], size) if len(packets) > 2 else None
