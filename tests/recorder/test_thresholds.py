"""A volume that fills up: below a tenth only sessions are recorded, below the reserve nothing."""

import os
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.desk import UTC0, Desk, Left
from support.fake_source import START_US, FakeCamera
from support.needs import absent
from support.stored import ffmpeg_words

from bidwitness.recorder.segmenter import Segmenter
from bidwitness.recorder.values import SegmentSink
from bidwitness.storage.volumes import Admission, VolumeRoom, admission, room_on
from bidwitness.words import GapCause

SECOND = 1_000_000
MIB = 1 << 20
LOOP, SITTING = "cam1main", "cam2main"


@pytest.mark.parametrize(
    ("free", "before", "after"),
    [
        (100, Admission.ALL, Admission.ALL),
        (10, Admission.ALL, Admission.ALL),
        (9, Admission.ALL, Admission.SESSIONS),
        (11, Admission.SESSIONS, Admission.SESSIONS),
        (12, Admission.SESSIONS, Admission.ALL),
        (3, Admission.SESSIONS, Admission.SESSIONS),
        (2, Admission.SESSIONS, Admission.NONE),
        (3, Admission.NONE, Admission.NONE),
        (4, Admission.NONE, Admission.SESSIONS),
        (50, Admission.NONE, Admission.ALL),
    ],
)
def test_whose_footage_is_taken(free: int, before: Admission, after: Admission) -> None:
    assert admission(VolumeRoom(free, 100), before) is after


def test_the_reserve_of_a_large_volume_is_a_gibibyte() -> None:
    tib = 1 << 40
    assert admission(VolumeRoom((1 << 30) + 1, tib)) is Admission.SESSIONS
    assert admission(VolumeRoom(1 << 30, tib)) is Admission.NONE


@given(st.integers(0, 1000), st.sampled_from(Admission))
def test_less_room_never_admits_more(free: int, before: Admission) -> None:
    less = admission(VolumeRoom(free, 1000), before)
    assert less <= admission(VolumeRoom(free + 1, 1000), before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=False
        ).returncode
    )
    if not mounted:
        absent("a tmpfs (only root may mount one)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def leave_free(disk: Path, size: int) -> None:
    """Fill the disk with something else, or take some of that away."""
    filler = disk / "filler"
    now = filler.stat().st_size if filler.exists() else 0
    want = now + room_on(disk).free - size
    with filler.open("ab") as file:
        file.truncate(max(0, want) if want < now else now)
    if want > now:
        with filler.open("ab") as file:
            file.write(bytes(want - now))


def causes(left: Left) -> list[tuple[str, float, float]]:
    return [
        (gap.cause, (gap.start - UTC0) / SECOND, (gap.end - UTC0) / SECOND)
        for gap in left.gaps
        if gap.medium == "all"
    ]


def test_sessions_go_on_to_the_last_reserve_of_a_real_disk(small_disk: Path) -> None:
    desk = Desk.on(small_disk)
    desk.sink.in_session = False
    sitting = desk.writer.sink(SITTING, in_session=True)
    camera = FakeCamera(seconds=40)

    def segmenter(stream: str, sink: SegmentSink) -> Segmenter:
        return Segmenter(
            *(stream, camera.tracks, sink),
            segment_us=2 * SECOND,
            utc_minus_monotonic=UTC0 - START_US,
            sound_wanted=True,
        )

    streams = [segmenter(LOOP, desk.sink), segmenter(SITTING, sitting)]
    total = room_on(small_disk).total
    # From which second on how much of the disk is free, in thousandths.
    plan = [(8, 90), (16, 15), (24, 60), (32, 500)]
    worked = 0
    for packet in camera.packets():
        at = packet.arrived_us - START_US
        if plan and at >= plan[0][0] * SECOND:
            leave_free(small_disk, total * plan.pop(0)[1] // 1000)
        desk.clock.advance(max(0, packet.arrived_us - desk.clock.monotonic_us()))
        for one in streams:
            one.push(packet)
        if at - worked >= 200_000:
            worked = at
            desk.writer.work()
    for one in streams:
        one.finish()
    desk.writer.work(sync=True)
    loop, kept = Left(small_disk, LOOP), Left(small_disk, SITTING)
    ((cause, since, until),) = causes(loop)
    assert cause == "disk" and 8 <= since <= 9.5 and 32 <= until <= 34.5, causes(loop)
    ((cause, since, until),) = causes(kept)
    assert cause == "disk" and 16 <= since <= 17.5 and 24 <= until <= 26.5, causes(kept)
    for left in (loop, kept):
        # Every byte that was taken is in a closed segment, and they leave no other hole.
        assert left.others == []
        assert ffmpeg_words(left.joined()) == ""
        (gap,) = [gap for gap in left.gaps if gap.medium == "all"]
        ends = [(s.start, s.end) for s in left.segments]
        assert gap.start in [end for _, end in ends] and gap.end in [start for start, _ in ends]
        holes = [(a[1], b[0]) for a, b in pairwise(ends) if a[1] != b[0]]
        assert holes == [(gap.start, gap.end)]


def test_a_stream_that_becomes_a_sessions_is_taken_again(tmp_path: Path) -> None:
    desk = Desk.on(tmp_path, measure=lambda _folder: VolumeRoom(5, 100))
    sink = desk.writer.sink("another", in_session=False)
    assert (sink.trouble, desk.sink.trouble) == (GapCause.DISK, None)
    sink.in_session = True
    desk.writer.work()
    assert sink.trouble is None and sink.refusal is None


def test_what_a_long_refusal_has_come_to_is_said_meanwhile(tmp_path: Path) -> None:
    desk = Desk.on(tmp_path, measure=lambda _folder: VolumeRoom(5, 100))
    at = desk.clock.utc_us()
    desk.sink.kept_until_us, desk.sink.in_session = at, False
    desk.writer.work()
    assert desk.sink.missed(at + 599 * SECOND) is None
    note = desk.sink.missed(at + 600 * SECOND)
    assert note is not None and (note.start_us, note.end_us) == (at, at + 600 * SECOND)
    assert note.detail == desk.sink.refusal
    assert desk.sink.missed(at + 700 * SECOND) is None
