"""What a live viewer gets, decoded: every picture with its number, every sample of sound."""

import io
import json
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest
from support.clips import TICK, aac_packets, first_slice, make_clip, picture_number
from support.clock import FakeClock
from support.stored import decode

from bidwitness.recorder.live_hub import Viewer
from bidwitness.recorder.live_mux import LiveFragment, PictureMux, SoundMux, mux_of
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.storage.media import g711
from bidwitness.storage.media.boxes import read_fragment
from bidwitness.words import Medium

FRAME_US = 40_000


def pictures(codec: str = "h264", frames: int = 60, b_frames: int = 0) -> list[Packet]:
    clip = make_clip(codec, frames=frames, gop=25, b_frames=b_frames)
    return [
        Packet(0, unit.data, unit.pts, unit.dts, TICK, unit.key, number * FRAME_US)
        for number, unit in enumerate(clip.pictures)
    ]


def run(mux: PictureMux | SoundMux, packets: list[Packet]) -> list[LiveFragment]:
    return [fragment for packet in packets for fragment in mux.push(packet)]


def numbers(mux: PictureMux | SoundMux, fragments: list[LiveFragment]) -> list[int]:
    assert mux.init is not None
    data = mux.init.data + b"".join(fragment.data for fragment in fragments)
    return [picture_number(image) for _, image in decode(data).pictures]


@pytest.mark.parametrize(("codec", "b_frames"), [("h264", 0), ("h264", 2), ("hevc", 0)])
def test_one_fragment_a_picture(codec: str, b_frames: int) -> None:
    mux = PictureMux(SourceTrack(Medium.PICTURE, codec, 90_000))
    packets = pictures(codec, b_frames=b_frames)
    fragments = run(mux, packets)
    assert len(fragments) == 60
    assert [fragment.key for fragment in fragments] == [packet.key for packet in packets]
    assert numbers(mux, fragments) == list(range(60))
    assert mux.init is not None
    assert mux.init.mime.startswith('video/mp4; codecs="' + ("avc1" if codec == "h264" else "hev1"))
    assert (mux.init.width, mux.init.height) == (284, 160)
    facts = [read_fragment(fragment.data) for fragment in fragments]
    assert all(b.dts == a.dts + TICK for a, b in pairwise(facts))
    assert {fact.duration for fact in facts} == {TICK}


def test_whoever_begins_at_a_key_frame_sees_all_that_follows() -> None:
    mux = PictureMux(SourceTrack(Medium.PICTURE, "h264", 90_000))
    fragments = run(mux, pictures())
    assert numbers(mux, fragments[50:]) == list(range(50, 60))


def test_nothing_before_the_first_key_frame() -> None:
    mux = PictureMux(SourceTrack(Medium.PICTURE, "h264", 90_000))
    fragments = run(mux, pictures()[7:])
    assert numbers(mux, fragments) == list(range(25, 60))


def test_a_viewer_gets_another_init_with_another_size() -> None:
    smaller = make_clip("h264", frames=60, gop=25, size=120).pictures
    packets = [
        replace(packet, data=smaller[number].data) if number >= 25 else packet
        for number, packet in enumerate(pictures())
    ]
    mux = PictureMux(SourceTrack(Medium.PICTURE, "h264", 90_000))
    viewer = Viewer(Medium.PICTURE, FakeClock())
    for packet in packets:
        for fragment in mux.push(packet):
            assert mux.init is not None
            viewer.fragment(mux.init, fragment)
    sent = [message for _, _, message in viewer._queue]
    # What is queued for her begins anew with the other size.
    hello = json.loads(sent[0])
    assert (hello["width"], hello["height"]) == (212, 120)
    shown = b"".join(message for message in sent[1:] if isinstance(message, bytes))
    assert [picture_number(image) for _, image in decode(shown).pictures] == list(range(25, 60))


def test_sound_that_is_not_g711() -> None:
    """Opus as it came; PCM to the last bit."""
    samples = np.arange(-8000, 8000, dtype=np.int16)
    pcm = samples.astype(">i2").tobytes()
    mux = SoundMux(SourceTrack(Medium.SOUND, "pcm_s16be", 16_000, channels=1))
    sounds = [
        Packet(1, pcm[i : i + 640], i // 2, i // 2, 320, True, i) for i in range(0, 32_000, 640)
    ]
    fragments = run(mux, sounds)
    assert mux.init is not None and mux.init.codecs == "flac"
    data = mux.init.data + b"".join(fragment.data for fragment in fragments)
    assert np.array_equal(decode(data).samples, samples)
    head = bytes.fromhex("4f707573486561640102000080bb0000000000")
    opus = SoundMux(SourceTrack(Medium.SOUND, "opus", 48_000, head, 2))
    (fragment,) = run(opus, [Packet(1, b"\x78opus", 0, 0, 0, True, 0)])
    assert opus.init is not None and opus.init.codecs == "opus"
    assert fragment.data.endswith(b"\x78opus") and read_fragment(fragment.data).duration == 960


def test_parameter_sets_of_their_own_belong_to_the_next_picture() -> None:
    packets = pictures(frames=30)
    first = packets[0]
    at = first_slice(first.data)
    head = Packet(0, first.data[:at], first.pts, first.dts, 0, True, 0)
    rest = Packet(0, first.data[at:], first.pts, first.dts, TICK, True, 0)
    mux = PictureMux(SourceTrack(Medium.PICTURE, "h264", 90_000))
    assert numbers(mux, run(mux, [head, rest, *packets[1:]])) == list(range(30))


def test_stamps_that_jump_do_not_break_the_order() -> None:
    packets = pictures()
    for packet in packets[30:]:
        assert packet.dts is not None
        assert packet.pts is not None
        packet.dts, packet.pts = packet.dts - 900_000, packet.pts - 900_000
    mux = PictureMux(SourceTrack(Medium.PICTURE, "h264", 90_000))
    fragments = run(mux, packets)
    times = [read_fragment(fragment.data).dts for fragment in fragments]
    assert times == sorted(times)
    assert times[-1] - times[0] < 3 * 90_000
    assert numbers(mux, fragments) == list(range(60))


@pytest.mark.parametrize("codec", [g711.ALAW, g711.MULAW])
def test_g711_sample_for_sample(codec: str) -> None:
    coded = (bytes(range(256)) * 32)[:8000]
    packets = [
        Packet(1, coded[at : at + 160], at, at, 160, True, at * 125)
        for at in range(0, len(coded), 160)
    ]
    mux = SoundMux(SourceTrack(Medium.SOUND, codec, 8000, channels=1))
    fragments = run(mux, packets)
    assert len(fragments) == 10, "a tenth of a second each"
    assert mux.init is not None
    assert mux.init.mime == 'audio/mp4; codecs="flac"'
    heard = decode(mux.init.data + b"".join(fragment.data for fragment in fragments)).samples
    assert np.array_equal(heard, g711.decode(coded, codec))


def test_aac_as_it_came() -> None:
    config, blocks = aac_packets(2)
    packets = [
        Packet(0, block, n * 1024, n * 1024, 1024, True, n * 64_000)
        for n, block in enumerate(blocks)
    ]
    mux = SoundMux(SourceTrack(Medium.SOUND, "aac", 16_000, config, 1))
    fragments = run(mux, packets)
    assert mux.init is not None
    assert mux.init.codecs == "mp4a.40.2"
    with av.open(io.BytesIO(mux.init.data + b"".join(f.data for f in fragments))) as container:
        assert [bytes(p) for p in container.demux(audio=0) if p.size] == blocks


def test_what_cannot_be_shown_is_not() -> None:
    tracks = (
        SourceTrack(Medium.PICTURE, "vp8", 90_000),
        SourceTrack(Medium.SOUND, "adpcm_g726le", 8000),
        SourceTrack(Medium.SOUND, "opus", 48_000),
    )
    assert mux_of(tracks, Medium.PICTURE) is None
    assert mux_of(tracks, Medium.SOUND) is None
    assert mux_of(tracks, Medium.SCREEN) is None
