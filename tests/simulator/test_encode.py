"""Loops are encoded once, kept, and have no visible seam."""

import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from bidwitness.simulator.bars import read_bars
from bidwitness.simulator.encode import loop_path, make_loop, make_loops
from bidwitness.simulator.loopfile import Loop, load_loop
from bidwitness.simulator.recipes import PictureRecipe, SoundRecipe
from bidwitness.simulator.signals import find_beeps, make_sound
from bidwitness.simulator.spec import LOOP_FRAMES, LOOP_SECONDS, Codec, Sound

SMALL = PictureRecipe("试验", Codec.H264, 320, 180, 200_000, 25, 0)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loops")


def access_units(loop: Loop) -> list[bytes]:
    start = b"\0\0\0\1"
    sets = b"".join(start + bytes.fromhex(text) for text in loop.header["sets"])
    keys = set(loop.header["keys"])
    return [
        (sets if index in keys else b"") + b"".join(start + nal for nal in unit)
        for index, unit in enumerate(loop.units)
    ]


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_two_rounds_decode_without_a_word_and_count_on(
    kept: Path, codec: Codec, b_frames: int
) -> None:
    loop = make_loop(replace(SMALL, codec=codec, b_frames=b_frames), kept)
    assert sorted(loop.header["shown"]) == list(range(LOOP_FRAMES))
    context = av.CodecContext.create("hevc" if codec is Codec.H265 else "h264", "r")
    with av.logging.Capture() as said:
        images = [i for unit in access_units(loop) * 2 for i in context.decode(av.Packet(unit))]
        images += context.decode(None)
    assert [read_bars(i.to_ndarray(format="gray")) for i in images] == [*range(LOOP_FRAMES)] * 2
    assert not said


def test_jpeg_pictures_say_their_number(kept: Path) -> None:
    loop = make_loop(replace(SMALL, codec=Codec.MJPEG), kept)
    assert loop.header["keys"] == list(range(LOOP_FRAMES))
    context = av.CodecContext.create("mjpeg", "r")
    images = [i for (data,) in loop.units for i in context.decode(av.Packet(data))]
    assert [read_bars(i.to_ndarray(format="gray")) for i in images] == [*range(LOOP_FRAMES)]


def test_gops_are_closed_and_as_long_as_asked(kept: Path) -> None:
    loop = make_loop(replace(SMALL, gop_frames=250), kept)
    assert loop.header["keys"] == [0, 250]
    context = av.CodecContext.create("h264", "r")
    units = access_units(loop)[250:]
    images = [i for unit in units for i in context.decode(av.Packet(unit))] + context.decode(None)
    assert read_bars(images[0].to_ndarray(format="gray")) == 250


def test_a_loop_comes_from_the_cache_unless_it_is_damaged(kept: Path) -> None:
    first = make_loop(SMALL, kept)
    path = loop_path(SMALL, kept)
    written = path.stat().st_mtime_ns
    assert make_loop(SMALL, kept) == first
    assert path.stat().st_mtime_ns == written
    path.write_bytes(path.read_bytes()[:-1])
    assert load_loop(path) is None
    assert make_loop(SMALL, kept) == first
    assert load_loop(path) == first


def test_encoding_ends_soon_after_it_is_told_to(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(CancelledError):
        make_loops([replace(SMALL, width=1920, height=1080, codec=Codec.H265)], tmp_path, stop)
    assert time.monotonic() - began < 5
    assert not list(tmp_path.iterdir())


def test_the_rate_is_what_was_asked_for(kept: Path) -> None:
    loop = make_loop(replace(SMALL, width=640, height=360, bitrate=800_000), kept)
    rate = sum(len(part) for unit in loop.units for part in unit) * 8 // LOOP_SECONDS
    assert 600_000 < rate < 1_000_000


@pytest.mark.parametrize("sound", [Sound.ALAW, Sound.ULAW, Sound.L16, Sound.AAC, Sound.OPUS])
def test_sound_beeps_on_over_the_seam(kept: Path, sound: Sound) -> None:
    loop = make_loop(SoundRecipe("试验", sound), kept)
    rate, samples = loop.header["rate"], loop.header["samples"]
    assert len(loop.units) * samples == rate * LOOP_SECONDS
    names = {Sound.ALAW: "pcm_alaw", Sound.ULAW: "pcm_mulaw", Sound.L16: "pcm_s16be"}
    name = names.get(sound, sound.value)
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout = rate, "mono"
    if sound is Sound.AAC:
        context.extradata = bytes.fromhex(loop.header["config"])
    frames = [f for (data,) in loop.units * 2 for f in context.decode(av.Packet(data))]
    pcm = np.concatenate([f.to_ndarray()[0] for f in frames])
    if pcm.dtype != np.int16:
        pcm = (pcm * 32767).astype(np.int16)
    beeps = find_beeps(pcm, rate)
    assert len(beeps) == 2 * LOOP_SECONDS - 1
    late = rate // (100 if sound is Sound.OPUS else 200)
    assert all(min(at % rate, -at % rate) < late for at in beeps)


def test_the_quiet_of_sound_has_both_zeros_of_mu_law(kept: Path) -> None:
    """So that a recorder that folds them is found out."""
    loop = make_loop(SoundRecipe("试验", Sound.ULAW), kept)
    data = b"".join(part for unit in loop.units for part in unit)
    assert 0x7F in data and 0xFF in data
    assert np.count_nonzero(make_sound(8000, 1)) > 0
