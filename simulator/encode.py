"""Encodes the loops: each picture and each sound once, kept in a cache folder."""

import hashlib
import os
import threading
from collections.abc import Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from bidwitness.simulator.encode_sound import encode_sound
from bidwitness.simulator.loopfile import Loop, load_loop, save_loop
from bidwitness.simulator.recipes import PictureRecipe, Recipe
from bidwitness.simulator.room import draw_frame, make_room, views
from bidwitness.simulator.spec import FPS, LOOP_FRAMES, Codec

_VERSION = 5
"""Raise it when the picture, the sound or the encoding changes: old cache files are then left."""

_QP_TO_LAMBDA = 118
_YUV = {Codec.MJPEG: "yuvj420p"}


def make_loops(
    recipes: Iterable[Recipe], cache: Path, stop: threading.Event | None = None
) -> dict[Recipe, Loop]:
    """Give the loop of each recipe, from ``cache`` or encoded now, one recipe per core.

    Raises ``CancelledError`` soon after ``stop`` is set.
    """
    wanted = list(dict.fromkeys(recipes))
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        made = pool.map(lambda recipe: make_loop(recipe, cache, stop), wanted)
        return dict(zip(wanted, made, strict=True))


def loop_path(recipe: Recipe, cache: Path) -> Path:
    """Give the file in which a recipe's loop is kept."""
    key = hashlib.sha256(f"{_VERSION} {recipe!r}".encode()).hexdigest()[:24]
    return cache / f"{key}.loop"


def make_loop(recipe: Recipe, cache: Path, stop: threading.Event | None = None) -> Loop:
    """Give one loop, from ``cache`` or encoded now and put there.

    Raises ``CancelledError`` soon after ``stop`` is set.
    """
    path = loop_path(recipe, cache)
    loop = load_loop(path)
    if loop is None:
        loop = _encode(recipe, stop or threading.Event())
        save_loop(path, loop)
    return loop


def _encode(recipe: Recipe, stop: threading.Event) -> Loop:
    if isinstance(recipe, PictureRecipe):
        return encode_picture(recipe, stop)
    return encode_sound(recipe)


def encode_picture(recipe: PictureRecipe, stop: threading.Event) -> Loop:
    """Draw and encode one loop with closed GOPs, so that its seam shows nowhere."""
    context = _encoder(recipe)
    room = make_room(recipe.title, recipe.width, recipe.height)
    packets: list[av.Packet[av.VideoStream]] = []
    for number in range(LOOP_FRAMES):
        if stop.is_set():
            raise CancelledError
        frame = av.VideoFrame(recipe.width, recipe.height, _YUV.get(recipe.codec, "yuv420p"))
        sizes = [(recipe.height, recipe.width)] + [(recipe.height // 2, recipe.width // 2)] * 2
        planes = [
            views(memoryview(plane), plane.line_size, size)
            for plane, size in zip(frame.planes, sizes, strict=True)
        ]
        draw_frame(room, number, (planes[0], planes[1], planes[2]))
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    hevc = recipe.codec is Codec.H265
    header: dict[str, Any] = {
        "codec": recipe.codec.value,
        "width": recipe.width,
        "height": recipe.height,
        "fps": recipe.declared_fps,
        "keys": [i for i, packet in enumerate(packets) if packet.is_keyframe],
        "shown": [packet.pts for packet in packets],
        "sets": [],
    }
    if recipe.codec is Codec.MJPEG:
        return Loop(header, tuple((bytes(packet),) for packet in packets))
    hevc = recipe.codec is Codec.H265
    sets = split_annex_b(context.extradata or b"")
    header["sets"] = [nal.hex() for nal in sets if _is_set(nal, hevc)]
    units = (tuple(split_annex_b(bytes(packet))) for packet in packets)
    return Loop(header, tuple(_slices(unit, hevc) for unit in units))


def _encoder(recipe: PictureRecipe) -> av.VideoCodecContext:
    if recipe.codec is Codec.MJPEG:
        return _jpeg_encoder(recipe)
    hevc = recipe.codec is Codec.H265
    context = av.CodecContext.create("libx265" if hevc else "libx264", "w")
    context.width, context.height, context.pix_fmt = recipe.width, recipe.height, "yuv420p"
    declared = recipe.declared_fps
    context.time_base, context.framerate = Fraction(1, declared), Fraction(declared)
    context.gop_size, context.max_b_frames = recipe.gop_frames, recipe.b_frames
    context.bit_rate = recipe.bitrate
    kilobits = recipe.bitrate // 1000
    common = (
        f"keyint={recipe.gop_frames}:min-keyint={recipe.gop_frames}:scenecut=0:open-gop=0"
        f":bframes={recipe.b_frames}:b-adapt=0:vbv-maxrate={kilobits}:vbv-bufsize={kilobits}"
    )
    # GLOBAL_HEADER puts the parameter sets aside; the packetiser sends them before key frames.
    context.flags |= av.codec.context.Flags.global_header
    if hevc:
        own = ":pools=none:frame-threads=1:wpp=0:info=0:log-level=error:repeat-headers=0"
        context.options = {"preset": "ultrafast", "x265-params": common + own}
    else:
        own = ":threads=1:b-pyramid=none"
        context.options = {"preset": "ultrafast", "x264-params": common + own}
    return context


def _jpeg_encoder(recipe: PictureRecipe) -> av.VideoCodecContext:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = recipe.width, recipe.height, "yuvj420p"
    context.time_base, context.framerate = Fraction(1, FPS), Fraction(FPS)
    context.flags |= av.codec.context.Flags.qscale
    context.global_quality = 6 * _QP_TO_LAMBDA
    # RTP does not carry Huffman tables: pictures have the standard's (RFC 2435, appendix B).
    context.options = {"huffman": "default"}
    # Several threads would part the picture by restart markers.
    context.thread_count = 1
    return context


def split_annex_b(data: bytes) -> list[bytes]:
    """Give the NAL units between start codes, without them."""
    return [n.rstrip(b"\0") for n in data.split(b"\0\0\1") if n.strip(b"\0")]


def _is_set(nal: bytes, hevc: bool) -> bool:
    """Tell parameter sets from the rest."""
    return (nal[0] >> 1 & 0x3F) in (32, 33, 34) if hevc else (nal[0] & 0x1F) in (7, 8)


def _slices(unit: tuple[bytes, ...], hevc: bool) -> tuple[bytes, ...]:
    """Leave the picture's slices only: the encoder's own messages say nothing about a camera."""
    return tuple(n for n in unit if ((n[0] >> 1 & 0x3F) < 32 if hevc else (n[0] & 0x1F) <= 5))
