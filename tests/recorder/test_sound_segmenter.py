"""A run that has sound alone: every sample once, cuts exact to a packet, holes stated."""

import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from support.desk import UTC0, Desk
from support.fake_source import START_US, FakeCamera, during, without
from support.stored import decode, ffmpeg_words

from bidwitness.recorder.packets import Packet
from bidwitness.storage.media import g711
from bidwitness.storage.media.boxes import (
    FragmentFacts,
    read_fragment,
    read_init,
    read_samples,
    split_pieces,
)

SECOND = 1_000_000
PACKET_US = 20_000
CAMERA = FakeCamera(alone=True)


def recorded(
    tmp_path: Path,
    camera: FakeCamera = CAMERA,
    packets: list[Packet] | None = None,
    cuts: tuple[int, ...] = (),
) -> Desk:
    desk = Desk.on(tmp_path)
    segmenter = desk.segmenter(camera.tracks)
    segmenter.cuts = cuts
    desk.play(segmenter, camera.packets() if packets is None else packets)
    desk.finish(segmenter)
    return desk


@pytest.mark.parametrize("sound", [g711.ALAW, g711.MULAW])
def test_every_sample_is_there_once_and_can_be_turned_back(tmp_path: Path, sound: str) -> None:
    camera = FakeCamera(alone=True, sound=sound)
    left = recorded(tmp_path, camera).left()
    sent = camera.sound_bytes()
    assert ffmpeg_words(left.joined()) == ""
    assert (decode(left.joined()).samples == g711.decode(sent, sound)).all()
    at = 0
    for segment in left.segments:
        assert segment.g711 is not None and segment.g711.codec == sound
        pieces = [piece.duration for piece in _fragments(left.paths[segment.run_seq])]
        for digest, samples in zip(segment.g711.sha256, pieces, strict=True):
            assert digest == hashlib.sha256(sent[at : at + samples]).hexdigest()
            at += samples
    assert at == len(sent) and left.gaps == [] and left.others == []


def test_segments_touch_and_their_fragments_are_short(tmp_path: Path) -> None:
    left = recorded(tmp_path).left()
    segments = left.segments
    assert [s.run_seq for s in segments] == [0, 1, 2]
    assert [s.wall[1] - s.wall[0] for s in segments] == [4 * SECOND, 4 * SECOND, 2 * SECOND]
    assert [a.wall[1] for a in segments[:-1]] == [b.wall[0] for b in segments[1:]]
    assert {(t.id, t.medium, t.codec) for s in segments for t in s.tracks} == {(2, "sound", "flac")}
    sounds = left.fragments_of(2)
    assert all(duration <= 4000 for _, duration in sounds)
    assert [a + n for a, n in sounds[:-1]] == [b for b, _ in sounds[1:]]
    (track,) = read_init(next(split_pieces([left.paths[0].read_bytes()])).data)
    assert track.timescale == 8000
    # An instant is when the packet began, not when it came.
    assert abs(segments[0].wall[0] - UTC0) <= 2 * PACKET_US


def test_aac_is_kept_as_it_came(tmp_path: Path) -> None:
    camera = FakeCamera(alone=True, sound="aac")
    left = recorded(tmp_path, camera).left()
    data = left.joined()
    stored = [
        piece.data[sample.offset : sample.offset + sample.size]
        for piece in split_pieces([data])
        if not piece.is_init
        for sample in read_samples(piece.data)
    ]
    assert stored == [packet.data for packet in camera.packets()]
    assert ffmpeg_words(data) == "" and len(left.segments) == 3


@pytest.mark.parametrize("at_us", [5 * SECOND, 5 * SECOND + 7000, 6 * SECOND + 199_999])
def test_a_cut_is_exact_to_one_packet(tmp_path: Path, at_us: int) -> None:
    cut = UTC0 + at_us
    left = recorded(tmp_path, cuts=(cut,)).left()
    after = next(s for s in left.segments if s.wall[0] >= cut)
    assert after.wall[0] - cut < PACKET_US
    # What the instant lies in is no longer than a packet either: little is hidden at a seam.
    ends = [(f.dts, f.dts + f.duration) for f in _fragments(left.paths[after.run_seq - 1])]
    first, last = ends[-1]
    assert after.wall[0] - (last - first) * 125 <= cut
    assert (last - first) * 125 <= PACKET_US or after.wall[0] == cut
    sounds = left.fragments_of(2)
    assert [a + n for a, n in sounds[:-1]] == [b for b, _ in sounds[1:]]


def test_what_does_not_come_is_a_gap_of_the_whole_stream(tmp_path: Path) -> None:
    packets = during(CAMERA.packets(), 5, 7.5, without)
    left = recorded(tmp_path, packets=packets).left()
    (gap,) = left.gaps
    assert (gap.cause, gap.medium) == ("stall", "all")
    assert abs(gap.end - gap.start - 2_500_000) <= 2 * PACKET_US
    assert len(decode(left.joined()).samples) == len(packets) * 160


def test_a_packet_lost_is_no_gap_and_shifts_nothing_for_long(tmp_path: Path) -> None:
    lost = {100, 101, 102, 103, 104, 105, 106}
    packets = [p for number, p in enumerate(CAMERA.packets()) if number not in lost]
    left = recorded(tmp_path, packets=packets).left()
    assert left.gaps == []
    steps = [b - (a + n) for (a, n), (b, _) in pairwise(left.fragments_of(2))]
    assert [step for step in steps if step] == [7 * 160]


def test_camera_time_is_kept_as_for_pictures(tmp_path: Path) -> None:
    ahead = 1_600_000_000_000_000 - START_US
    packets = [
        replace(p, camera_us=p.arrived_us + ahead if number >= 100 else None)
        for number, p in enumerate(CAMERA.packets())
    ]
    segments = recorded(tmp_path, packets=packets).left().segments
    assert [s.quality for s in segments] == ["extrapolated", "camera", "camera"]


def _fragments(path: Path) -> list[FragmentFacts]:
    pieces = split_pieces([path.read_bytes()])
    return [read_fragment(piece.data) for piece in pieces if not piece.is_init]
