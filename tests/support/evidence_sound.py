"""Ten seconds of fragments with real sound: G.711 made FLAC by the recorder's own code."""

import itertools

import numpy as np

from bidwitness.recorder.sound import FlacTrack, SoundChunk
from bidwitness.storage.evidence.records import G711Facts
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.init import TrackSpec, flac_config, write_init
from bidwitness.words import Medium

RATE = 8_000
SECONDS = 10
SOUND_TRACK = 2


def received(seed: int) -> bytes:
    """Every code there is, the two zeros of µ-law among them, as a camera might send them."""
    return np.random.default_rng(seed).integers(0, 256, SECONDS * RATE, dtype=np.uint8).tobytes()


def sound_chunks(codec: str, data: bytes) -> list[SoundChunk]:
    track = FlacTrack(codec, RATE, 1)
    return [*track.push(data, 0, 0), *track.flush()]


def stated_of(codec: str, chunks: list[SoundChunk]) -> G711Facts:
    """What the recorder writes of them into the record."""
    digests = tuple((chunk.g711 or b"").hex() for chunk in chunks)
    return G711Facts(codec, digests, tuple(chunk.zeros for chunk in chunks))


def sound_piece(number: int, chunk: SoundChunk, start: int = 0) -> bytes:
    return write_fragment(number, SOUND_TRACK, start + chunk.dts, chunk.samples)


def sounding_pieces(codec: str, index: int) -> tuple[list[bytes], G711Facts]:
    """An init and fragments, of picture (which is none) and sound by turns."""
    config = flac_config(RATE, 1, RATE * 4 // 10)
    init = write_init([TrackSpec(SOUND_TRACK, Medium.SOUND, "fLaC", RATE, config, channels=1)])
    chunks = sound_chunks(codec, received(index))
    pictures = [
        write_fragment(
            2 * n, 1, index * 900_000 + n * 45_000, [Sample(b"picture %d" % n, 45_000, True)]
        )
        for n in range(2 * SECONDS)
    ]
    sounds = [
        sound_piece(2 * n + 1, chunk, index * SECONDS * RATE) for n, chunk in enumerate(chunks)
    ]
    by_turns = itertools.chain.from_iterable(itertools.zip_longest(pictures, sounds))
    return [init, *(piece for piece in by_turns if piece)], stated_of(codec, chunks)
