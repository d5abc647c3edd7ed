"""Encodes the loops of sound: packets of 20 ms, AAC in frames of 1024 samples."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from bidwitness.simulator.loopfile import Loop
from bidwitness.simulator.recipes import SoundRecipe
from bidwitness.simulator.signals import make_sound
from bidwitness.simulator.spec import LOOP_SECONDS, Sound


@dataclass(frozen=True, slots=True)
class _Way:
    """How a sound is encoded: libav's encoder, ticks a second, samples of a packet.

    ``overlaps``: a packet is decoded with the one before, so that the seam needs care.
    """

    encoder: str
    rate: int
    samples: int
    form: str = "s16"
    bit_rate: int = 0
    overlaps: bool = False


_WAYS = {
    Sound.ALAW: _Way("pcm_alaw", 8000, 160),
    Sound.ULAW: _Way("pcm_mulaw", 8000, 160),
    Sound.L16: _Way("pcm_s16be", 16_000, 320),
    Sound.G726: _Way("g726le", 8000, 160, bit_rate=32_000),
    Sound.AAC: _Way("aac", 16_000, 1024, "fltp", 32_000, overlaps=True),
    Sound.OPUS: _Way("libopus", 48_000, 960, bit_rate=32_000, overlaps=True),
}


def encode_sound(recipe: SoundRecipe) -> Loop:
    """Encode one loop of sound."""
    way = _WAYS[recipe.sound]
    seed = int.from_bytes(hashlib.sha256(recipe.title.encode()).digest()[:4])
    samples = make_sound(way.rate, seed)
    context = av.CodecContext.create(way.encoder, "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout = way.rate, "mono"
    context.time_base, context.format = Fraction(1, way.rate), way.form
    if way.bit_rate:
        context.bit_rate = way.bit_rate
    config = b""
    if way.overlaps:
        context.flags |= av.codec.context.Flags.global_header
        units = _overlapping(context, samples, way)
        config = context.extradata or b""
    else:
        units = _apart(context, samples, way)
    header = {
        "sound": recipe.sound.value,
        "rate": way.rate,
        "samples": way.samples,
        "config": config.hex(),
    }
    return Loop(header, units)


def _apart(
    context: av.AudioCodecContext, samples: NDArray[np.int16], way: _Way
) -> tuple[tuple[bytes, ...], ...]:
    frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
    frame.sample_rate = context.sample_rate
    packets = [*context.encode(frame), *context.encode(None)]
    data = bytearray(b"".join(bytes(packet) for packet in packets))
    if way.encoder == "pcm_mulaw":
        # Cameras send both zeros of µ-law, libav's encoder only one.
        for at in [i for i, value in enumerate(data) if value == 0xFF][::2]:
            data[at] = 0x7F
    size = len(data) * way.samples // len(samples)
    return tuple((bytes(data[i : i + size]),) for i in range(0, len(data), size))


def _overlapping(
    context: av.AudioCodecContext, samples: NDArray[np.int16], way: _Way
) -> tuple[tuple[bytes, ...], ...]:
    """Encode three rounds and keep the middle one, whose packets overlap those beside it."""
    once = LOOP_SECONDS * way.rate
    tiled = np.tile(samples, 3)[None, :]
    rounds: NDArray[np.generic] = tiled
    if way.form == "fltp":
        rounds = tiled.astype(np.float32) / 32768
    packets: list[av.Packet[av.AudioStream]] = []
    for start in range(0, 3 * once, way.samples):
        block = np.ascontiguousarray(rounds[:, start : start + way.samples])
        frame = av.AudioFrame.from_ndarray(block, format=way.form, layout="mono")
        frame.sample_rate, frame.pts = way.rate, start
        frame.time_base = Fraction(1, way.rate)
        packets += context.encode(frame)
    packets += context.encode(None)
    # Opus begins before its first sample, by less than half a packet.
    half = way.samples // 2
    return tuple((bytes(p),) for p in packets if once <= (p.pts or 0) + half < 2 * once)
