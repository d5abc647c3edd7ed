"""Sound chunks: nothing lost, nothing crossing, and G.711 rebuilt from FLAC."""

import hashlib

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clips import aac_packets

from bidwitness.recorder.sound import CopiedTrack, FlacTrack, SoundChunk
from bidwitness.storage.media import g711

RATE = 8000
PACKET = 160


def flac_samples(chunk: SoundChunk, track: FlacTrack) -> np.ndarray:
    """Decode one chunk with nothing but itself and the init's configuration."""
    decoder = av.CodecContext.create("flac", "r")
    decoder.extradata = track.spec(2).config
    frames = [f for s in chunk.samples for f in decoder.decode(av.Packet(s.data))]
    frames += decoder.decode(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


@settings(max_examples=20)
@given(
    st.sampled_from([g711.ALAW, g711.MULAW]),
    st.lists(st.binary(min_size=1, max_size=700), min_size=1, max_size=20),
    st.sets(st.integers(0, 19)),
)
def test_every_byte_is_rebuilt_from_flac_and_equals_its_digest(
    codec: str, packets: list[bytes], cuts: set[int]
) -> None:
    track = FlacTrack(codec, RATE, 1)
    chunks: list[SoundChunk] = []
    at = 80_000
    for number, data in enumerate(packets):
        chunks += track.push(data, at, len(data))
        at += len(data)
        if number in cuts:
            chunks += track.flush()
    chunks += track.flush()
    rebuilt = b""
    end = 80_000
    for chunk in chunks:
        data = g711.encode(flac_samples(chunk, track), codec, chunk.zeros)
        assert hashlib.sha256(data).digest() == chunk.g711
        assert (chunk.dts, chunk.duration) == (end, len(data))
        assert sum(sample.duration for sample in chunk.samples) == chunk.duration
        assert chunk.duration <= RATE * 4 // 10
        end += chunk.duration
        rebuilt += data
    assert rebuilt == b"".join(packets)


def test_fragments_are_made_in_batches() -> None:
    track = FlacTrack(g711.ALAW, RATE, 1)
    chunks = [c for n in range(100) for c in track.push(bytes(PACKET), n * PACKET, PACKET)]
    assert [chunk.duration for chunk in chunks] == [3200] * 5
    assert all(len(chunk.samples) == 1 for chunk in chunks)


@pytest.mark.parametrize("hole", [1600, 80_000])
def test_a_hole_in_the_sound_stays_a_hole(hole: int) -> None:
    track = FlacTrack(g711.ALAW, RATE, 1)
    chunks = list(track.push(bytes(500), 0, 500)) + list(track.push(bytes(500), 500 + hole, 500))
    chunks += track.flush()
    assert [(chunk.dts, chunk.duration) for chunk in chunks] == [(0, 500), (500 + hole, 500)]


def test_jitter_of_stamps_moves_no_sample() -> None:
    track = FlacTrack(g711.ALAW, RATE, 1)
    chunks: list[SoundChunk] = []
    for number in range(60):
        chunks += track.push(bytes(PACKET), 8000 + number * PACKET + number % 3 * 40, PACKET)
    chunks += track.flush()
    assert [chunk.dts for chunk in chunks] == [8000 + 3200 * n for n in range(len(chunks))]
    assert sum(chunk.duration for chunk in chunks) == 60 * PACKET


def test_the_configuration_is_the_one_libav_writes() -> None:
    track = FlacTrack(g711.ALAW, RATE, 1)
    spec = track.spec(2)
    encoder = av.AudioCodecContext.create("flac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    encoder.options = {"frame_size": "3200"}
    encoder.open()
    theirs = encoder.extradata
    assert theirs is not None
    # Theirs says how large a frame may become; we cannot know and say so.
    assert spec.config[:4] == theirs[:4] and spec.config[10:] == theirs[10:]
    assert spec.timescale == RATE


def test_aac_frames_are_kept_as_they_came() -> None:
    config, frames = aac_packets(rate=16000)
    track = CopiedTrack("mp4a", config, 16000, 1, 1024)
    chunks: list[SoundChunk] = []
    for number, frame in enumerate(frames):
        chunks += track.push(frame, 160_000 + number * 1024, 1024)
    chunks += track.flush()
    assert [sample.data for chunk in chunks for sample in chunk.samples] == frames
    assert all(chunk.duration <= 6400 and chunk.g711 is None for chunk in chunks)
    starts = [chunk.dts for chunk in chunks]
    ends = [chunk.dts + chunk.duration for chunk in chunks]
    assert starts[0] == 160_000 and starts[1:] == ends[:-1]
    assert (track.spec(2).timescale, track.spec(2).channels) == (16000, 1)
