"""Our FLAC: whatever the samples, other people's decoder gives the same ones back, silently."""

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import tone

from bidwitness.recorder.flac import FlacEncoder, _coded_number, _crc16, flac_block
from bidwitness.storage.media import g711
from bidwitness.storage.media.init import flac_config


def native_file(rate: int, channels: int, block: int, frames: list[bytes]) -> bytes:
    """A ``.flac`` file: libav's reader finds frames by their headers' checksums."""
    config = flac_config(rate, channels, block)
    return b"fLaC" + bytes((0x80,)) + len(config).to_bytes(3) + config + b"".join(frames)


def decoded(data: bytes, channels: int) -> np.ndarray:
    """Decode by libav, which is told to refuse whatever a checksum speaks against."""
    options = {"err_detect": "crccheck+bitstream+buffer+explode"}
    with av.open(io.BytesIO(data), format="flac", options=options) as container:
        stream = container.streams.audio[0]
        stream.codec_context.options = options
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
    assert {frame.dtype for frame in frames} == {np.dtype(np.int16)}
    flat = [frame.T.reshape(-1) if frame.shape[0] == channels > 1 else frame.reshape(-1)
            for frame in frames]  # fmt: skip
    return np.concatenate(flat)


def encoded(samples: np.ndarray, rate: int, channels: int, block: int) -> list[bytes]:
    encoder = FlacEncoder(rate, channels)
    step = block * channels
    return [encoder.encode(samples[at : at + step]) for at in range(0, len(samples), step)]


KINDS = st.sampled_from(["noise", "tone", "steps", "silence", "extremes", "alaw", "quiet"])


def samples_of(kind: str, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    match kind:
        case "noise":
            return rng.integers(-32768, 32768, count).astype(np.int16)
        case "tone":
            return tone(count)
        case "steps":
            return np.repeat(rng.integers(-9000, 9000, count // 50 + 1), 50)[:count].astype(
                np.int16
            )
        case "silence":
            return np.full(count, int(rng.integers(-5, 5)), np.int16)
        case "extremes":
            return rng.choice([-32768, 32767, 0], count).astype(np.int16)
        case "alaw":
            return g711.decode(rng.integers(0, 256, count).astype(np.uint8).tobytes(), g711.ALAW)
        case _:
            return rng.integers(-20, 20, count).astype(np.int16)


@settings(max_examples=80, deadline=None)
@given(KINDS, st.integers(1, 9000), st.integers(1, 2), st.sampled_from([8000, 11_025, 48_000]),
       st.integers(0, 2**32))  # fmt: skip
def test_other_decoders_give_the_same_samples(
    kind: str, count: int, channels: int, rate: int, seed: int
) -> None:
    block = flac_block(rate)
    # libav's reader of files wants a block of at least 16 samples; ours in MP4 need no such.
    count = max(count, 16)
    if 0 < count % block < 16:
        count -= count % block
    samples = samples_of(kind, count * channels, seed)
    frames = encoded(samples, rate, channels, block)
    got = decoded(native_file(rate, channels, block, frames), channels)
    assert np.array_equal(got, samples)


def test_a_frame_that_is_altered_is_noticed() -> None:
    """The check above can fail: the decoder does look at the checksums."""
    samples = samples_of("alaw", 3200, 1)
    (frame,) = encoded(samples, 8000, 1, 3200)
    broken = frame[:100] + bytes((frame[100] ^ 1,)) + frame[101:]
    with pytest.raises((av.error.FFmpegError, ValueError, AssertionError)):
        assert np.array_equal(decoded(native_file(8000, 1, 3200, [broken]), 1), samples)


def test_it_is_about_as_small_as_libavs() -> None:
    samples = samples_of("alaw", 32_000, 3) // 8 + tone(32_000)
    ours = sum(map(len, encoded(samples.astype(np.int16), 8000, 1, 3200)))
    encoder = av.AudioCodecContext.create("flac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(samples.astype(np.int16).reshape(1, -1), "s16", "mono")
    frame.sample_rate = 8000
    theirs = sum(packet.size for packet in [*encoder.encode(frame), *encoder.encode(None)])
    assert ours < 1.1 * theirs


@given(st.binary(min_size=1, max_size=300))
def test_the_checksum_is_the_one_of_the_standard(data: bytes) -> None:
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x8005 if crc & 0x8000 else 0)) & 0xFFFF
    assert _crc16(data) == crc


@given(st.integers(0, 0x10FFFF).filter(lambda n: not 0xD800 <= n < 0xE000))
def test_a_number_is_coded_as_in_utf8(number: int) -> None:
    assert _coded_number(number) == chr(number).encode()


def test_greater_numbers_than_utf8_has() -> None:
    assert _coded_number(0x200000).hex() == "f888808080"
    assert _coded_number(0x7FFFFFFF).hex() == "fdbfbfbfbfbf"
    assert _coded_number(0xFFFFFFFFF).hex() == "febfbfbfbfbfbf"
