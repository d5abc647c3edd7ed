"""Runs cut into segments and fragments: nothing lost, nothing late, holes stated."""

import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.clips import first_slice, make_clip, picture_number
from support.desk import UTC0, Desk
from support.fake_source import FRAME_US, START_US, FakeCamera, during, stamped, without
from support.stored import decode, ffmpeg_words

from bidwitness.recorder.packets import Packet
from bidwitness.recorder.segmenter import FRAGMENT_US
from bidwitness.storage.media import g711
from bidwitness.storage.media.boxes import read_samples, split_pieces

SECOND = 1_000_000


def recorded(
    tmp_path: Path,
    camera: FakeCamera,
    packets: list[Packet] | None = None,
    *,
    sound_wanted: bool | None = None,
) -> Desk:
    desk = Desk.on(tmp_path)
    wanted = camera.sound is not None if sound_wanted is None else sound_wanted
    segmenter = desk.segmenter(camera.tracks, sound_wanted=wanted)
    desk.play(segmenter, camera.packets() if packets is None else packets)
    desk.finish(segmenter)
    return desk


CAMERAS = [
    FakeCamera(),
    FakeCamera(sound=g711.MULAW),
    FakeCamera(sound="aac"),
    FakeCamera(sound=None),
    FakeCamera(codec="hevc"),
    FakeCamera(b_frames=2),
    FakeCamera(gop=100),
]


@pytest.mark.parametrize("camera", CAMERAS, ids=str)
def test_every_frame_is_there_once_and_in_order(tmp_path: Path, camera: FakeCamera) -> None:
    left = recorded(tmp_path, camera).left()
    data = left.joined()
    assert ffmpeg_words(data) == ""
    seen = decode(data)
    numbers = [picture_number(image) for _, image in seen.pictures]
    assert numbers == list(range(camera.seconds * 25))
    assert [b - a for (a, _), (b, _) in pairwise(seen.pictures)] == [FRAME_US] * (len(numbers) - 1)
    assert ffmpeg_words(left.paths[-1].read_bytes()) == ""
    inits = {next(split_pieces([path.read_bytes()])).data for path in left.paths}
    assert len(inits) == 1
    assert left.others == []


def test_fragments_are_short_and_leave_no_hole(tmp_path: Path) -> None:
    for gop in (25, 100, 250):
        left = recorded(tmp_path / str(gop), FakeCamera(gop=gop)).left()
        pictures = left.fragments_of(1)
        assert all(duration * SECOND <= FRAGMENT_US * 90_000 for _, duration in pictures)
        assert [a + n for a, n in pictures[:-1]] == [b for b, _ in pictures[1:]]
        sounds = left.fragments_of(2)
        assert all(duration <= 3200 for _, duration in sounds)
        assert [a + n for a, n in sounds[:-1]] == [b for b, _ in sounds[1:]]


def test_segments_touch_and_begin_at_key_frames(tmp_path: Path) -> None:
    left = recorded(tmp_path, FakeCamera(seconds=10)).left()
    segments = left.segments
    assert [s.run_seq for s in segments] == [0, 1, 2]
    assert [s.wall[1] - s.wall[0] for s in segments] == [4 * SECOND, 4 * SECOND, 2 * SECOND]
    assert [a.wall[1] for a in segments[:-1]] == [b.wall[0] for b in segments[1:]]
    assert segments[0].wall[0] == UTC0
    assert left.gaps == []


def test_a_cut_is_made_at_the_first_key_frame_after_it(tmp_path: Path) -> None:
    camera = FakeCamera(seconds=10)
    desk = Desk.on(tmp_path)
    segmenter = desk.segmenter(camera.tracks, segment_s=60)
    segmenter.cuts = (UTC0 - 5, UTC0 + 2_300_000, UTC0 + 6_000_000, UTC0 + 60 * SECOND)
    desk.play(segmenter, camera.packets())
    desk.finish(segmenter)
    starts = [s.wall[0] - UTC0 for s in desk.left().segments]
    assert starts == [0, 3 * SECOND, 6 * SECOND]


def test_without_key_frames_a_segment_ends_all_the_same(tmp_path: Path) -> None:
    camera = FakeCamera(seconds=2, gop=1000, sound=None)
    desk = Desk.on(tmp_path)
    segmenter = desk.segmenter(camera.tracks)
    first, *rest = camera.packets()
    # Slow pictures: one each two seconds, so that four minutes take 120 of them.
    slow = [
        replace(p, pts=p.pts * 50, dts=p.dts * 50, arrived_us=START_US + n * 2 * SECOND)
        for n, p in enumerate([first, *rest])
        if p.pts is not None and p.dts is not None
    ]
    slow += [
        replace(
            p,
            pts=p.pts + 50 * 180_000,
            dts=p.dts + 50 * 180_000,
            arrived_us=p.arrived_us + 100 * SECOND,
            key=False,
        )
        for p in slow
    ]
    desk.play(segmenter, slow, every_us=10 * SECOND)
    desk.finish(segmenter)
    lengths = [(s.wall[1] - s.wall[0]) // SECOND for s in desk.left().segments]
    assert lengths[0] == 124 and len(lengths) == 2


def test_g711_is_rebuilt_from_the_stored_flac(tmp_path: Path) -> None:
    for codec in (g711.ALAW, g711.MULAW):
        camera = FakeCamera(sound=codec)
        left = recorded(tmp_path / codec, camera).left()
        rebuilt = b""
        for path, record in zip(left.paths, left.segments, strict=True):
            assert record.g711 is not None and record.g711.codec == codec
            samples = decode(path.read_bytes()).samples
            sounds = [
                sum(s.duration for s in read_samples(piece.data))
                for piece in list(split_pieces([path.read_bytes()]))[1:]
                if piece.data[44:48] == b"\0\0\0\2"
            ]
            at = 0
            digests = zip(sounds, record.g711.sha256, record.g711.negative_zeros, strict=True)
            for count, digest, zeros in digests:
                data = g711.encode(samples[at : at + count].astype(np.int16), codec, zeros)
                assert hashlib.sha256(data).hexdigest() == digest
                rebuilt += data
                at += count
        sent = camera.sound_bytes()
        # The first packets came before the first picture could be kept, or after the last.
        assert rebuilt and rebuilt in sent and len(sent) - len(rebuilt) <= 2 * 160


def test_times_are_tied_to_all_clocks(tmp_path: Path) -> None:
    first, *others = recorded(tmp_path, FakeCamera()).left().segments
    assert first.quality == "extrapolated"
    assert {s.quality for s in others} == {"camera"}
    for segment in (first, *others):
        assert [a.pts for a in segment.anchors] == sorted({a.pts for a in segment.anchors})
        start = segment.anchors[0]
        assert start.recorder_us == segment.wall[0]
        assert start.mono_us - START_US == start.recorder_us - UTC0
        assert start.camera_us is not None
        assert start.camera_us - 1_600_000_000_000_000 == start.recorder_us - UTC0
        assert segment.anchors[-1].recorder_us == segment.wall[1]


def test_a_camera_without_reports_has_arrival_times(tmp_path: Path) -> None:
    for segment in recorded(tmp_path, FakeCamera(reports_after=None)).left().segments:
        assert segment.quality == "arrival"
        assert {anchor.camera_us for anchor in segment.anchors} == {None}


@pytest.mark.parametrize("by", [-500_000, 900_000, 2**33])
def test_stamps_that_jump_lose_no_frame(tmp_path: Path, by: int) -> None:
    camera = FakeCamera()
    packets = during(camera.packets(), 3.3, 99, stamped(by))
    left = recorded(tmp_path, camera, packets).left()
    numbers = [picture_number(image) for _, image in decode(left.joined()).pictures]
    assert numbers == list(range(250))
    assert ffmpeg_words(left.joined()) == ""
    assert left.gaps == []


def test_a_join_in_the_middle_of_a_gop_begins_with_the_key_frame(tmp_path: Path) -> None:
    camera = FakeCamera()
    packets = [p for p in camera.packets() if p.arrived_us >= START_US + 300_000]
    left = recorded(tmp_path, camera, packets).left()
    numbers = [picture_number(image) for _, image in decode(left.joined()).pictures]
    assert numbers == list(range(25, 250))
    assert left.segments[0].wall[0] == UTC0 + SECOND


def test_parameter_sets_in_a_packet_of_their_own_belong_to_the_next(tmp_path: Path) -> None:
    """GStreamer's server sends them so, with the same stamps as the key frame."""
    camera = FakeCamera(sound=None)
    split: list[Packet] = []
    for packet in camera.packets():
        if packet.key:
            at = first_slice(packet.data)
            split.append(replace(packet, data=packet.data[:at]))
            packet = replace(packet, data=packet.data[at:], arrived_us=packet.arrived_us + 100)
        split.append(packet)
    left = recorded(tmp_path, camera, split).left()
    numbers = [picture_number(image) for _, image in decode(left.joined()).pictures]
    assert numbers == list(range(250))
    assert ffmpeg_words(left.joined()) == ""


def test_a_pause_is_a_gap_and_the_run_goes_on(tmp_path: Path) -> None:
    camera = FakeCamera()
    left = recorded(tmp_path, camera, during(camera.packets(), 3.1, 5.5, without)).left()
    gaps = [(g.cause, g.medium, g.start - UTC0, g.end - UTC0) for g in left.gaps]
    assert ("stall", "all", 3_120_000, 5_520_000) in gaps
    assert {s.run for s in left.segments} == {left.segments[0].run}
    numbers = [picture_number(image) for _, image in decode(left.joined()).pictures]
    assert numbers[0] == 0 and numbers[-1] == 249


def test_a_camera_whose_clock_stood_still_is_placed_anew(tmp_path: Path) -> None:
    camera = FakeCamera(sound=None)

    def later(packet: Packet) -> Packet:
        return replace(packet, arrived_us=packet.arrived_us + 3 * SECOND, camera_us=None)

    left = recorded(tmp_path, camera, during(camera.packets(), 3, 99, later)).left()
    (gap,) = left.gaps
    assert (gap.cause, gap.start - UTC0, gap.end - UTC0) == ("stall", 3 * SECOND, 6 * SECOND)
    assert left.segments[-1].wall[1] == UTC0 + 13 * SECOND


def test_sound_that_falls_silent_is_stated_and_loses_no_picture(tmp_path: Path) -> None:
    camera = FakeCamera(seconds=12)

    def mute(packet: Packet) -> Packet | None:
        return None if packet.track == 1 else packet

    left = recorded(tmp_path, camera, during(camera.packets(), 3, 10, mute)).left()
    gaps = [(g.start - UTC0, g.end - UTC0) for g in left.gaps if g.cause == "no_audio"]
    # Stated at the end of each segment, so that it shows while it lasts.
    assert [round(start / 1e5) for start, _ in gaps] == [30, 80]
    assert [round(end / 1e5) for _, end in gaps] == [80, 100]
    assert len(decode(left.joined()).pictures) == 300
    assert ffmpeg_words(left.joined()) == ""


def test_a_camera_without_the_sound_that_is_wanted(tmp_path: Path) -> None:
    camera = FakeCamera(sound=None)
    left = recorded(tmp_path, camera, sound_wanted=True).left()
    assert {(g.cause, g.medium) for g in left.gaps} == {("no_audio", "sound")}
    assert sum(g.end - g.start for g in left.gaps) == 10 * SECOND


@pytest.mark.parametrize("apart", [False, True])
def test_another_picture_size_has_another_init_in_the_same_run(tmp_path: Path, apart: bool) -> None:
    camera = FakeCamera()
    smaller = make_clip(frames=250, size=120).pictures
    packets: list[Packet] = []
    number = -1
    for packet in camera.packets():
        number += packet.track == 0
        if packet.track == 0 and number >= 50:
            packet = replace(packet, data=smaller[number].data)
            if apart and packet.key:
                at = first_slice(packet.data)
                packets.append(replace(packet, data=packet.data[:at]))
                packet = replace(packet, data=packet.data[at:])
        packets.append(packet)
    left = recorded(tmp_path, camera, packets).left()
    first, second = left.segments[:2]
    # The change came after two seconds, long before the first segment's end.
    assert second.run == first.run and second.init != first.init
    assert first.wall == (UTC0, UTC0 + 2 * SECOND) and second.wall[0] == first.wall[1]
    assert {s.init for s in left.segments[1:]} == {second.init}
    assert left.gaps == []
    parts = [path.read_bytes() for path in left.paths]
    after = parts[1] + b"".join(p.data for d in parts[2:] for p in list(split_pieces([d]))[1:])
    seen = [image for data in (parts[0], after) for _, image in decode(data).pictures]
    assert [picture_number(image) for image in seen] == list(range(250))
    assert [image.shape[0] for image in seen] == [160] * 50 + [120] * 200
    assert ffmpeg_words(parts[0]) == ffmpeg_words(after) == ""


def test_a_burst_at_the_beginning_is_placed_when_it_was_sent(tmp_path: Path) -> None:
    """What waited in the camera or in libav comes at once; the run begins before it came."""
    camera = FakeCamera(seconds=6)
    packets = [
        replace(p, arrived_us=max(p.arrived_us, START_US + 400_000)) for p in camera.packets()
    ]
    desk = Desk.on(tmp_path)
    segmenter = desk.segmenter(camera.tracks)
    desk.play(segmenter, packets[:400])
    settled = segmenter.started_us
    assert settled == UTC0
    desk.play(segmenter, packets[400:])
    desk.finish(segmenter)
    first = desk.left().segments[0]
    # Not before its beginning was known for good.
    assert first.wall == (UTC0, UTC0 + 5 * SECOND)
    assert first.anchors[0].recorder_us == settled
