"""The writer under trouble: a full or failing disk, a disk that is too slow, and what is stated."""

import errno
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from support.clips import picture_number
from support.desk import STREAM, UTC0, Desk
from support.fake_source import START_US, FakeCamera
from support.stored import decode, ffmpeg_words

from bidwitness.recorder.values import ALL, GapNote
from bidwitness.storage.evidence.records import GapFacts, SegmentFacts, check_record
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.spool.reading import open_segments, read_range
from bidwitness.words import GapCause

SECOND = 1_000_000


class FailingFiles(SystemFiles):
    """A disk that is full while ``fails`` says so."""

    def __init__(self) -> None:
        self.failing: tuple[str, ...] = ()
        # So many writes are still torn, whatever ``failing`` says.
        self.tears = 0

    def _check(self, what: str) -> None:
        if what in self.failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    def create(self, path: Path) -> int:
        self._check("create")
        return super().create(path)

    def append(self, handle: int, data: bytes) -> None:
        if "append" in self.failing or self.tears:
            super().append(handle, data[: len(data) // 2])
        if self.tears:
            self.tears -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self._check("append")
        super().append(handle, data)

    def sync(self, handle: int) -> None:
        self._check("sync")
        super().sync(handle)

    def rename(self, old: Path, new: Path) -> None:
        self._check("rename")
        super().rename(old, new)


def chain_holds(desk: Desk) -> None:
    entries = desk.left().entries
    for before, after in pairwise(entries):
        assert after.read().place.prev == before.leaf.hex()
    for entry in entries:
        check_record(entry.record)


@pytest.mark.parametrize("what", ["append", "sync", "create", "rename"])
def test_a_failing_disk_is_a_gap_and_everything_before_it_is_kept(
    tmp_path: Path, what: str
) -> None:
    files = FailingFiles()
    camera = FakeCamera(seconds=12)
    desk = Desk.on(tmp_path, files)
    segmenter = desk.segmenter(camera.tracks, segment_s=2)
    packets = camera.packets()
    for at in range(0, len(packets), 15):
        now = packets[at].arrived_us - START_US
        files.failing = (what,) if 3_500_000 < now < 6_500_000 else ()
        desk.play(segmenter, packets[at : at + 15])
    desk.finish(segmenter)
    left = desk.left()
    chain_holds(desk)
    (gap,) = [g for g in left.gaps if g.medium == "all"]
    assert gap.cause == "disk"
    assert UTC0 + 2 * SECOND <= gap.start <= UTC0 + 6 * SECOND
    assert UTC0 + 6_500_000 < gap.end <= UTC0 + 10 * SECOND
    # What was written before the trouble is there, up to where the gap begins; so is the rest.
    before = [s for s in left.segments if s.end <= gap.start]
    after = [s for s in left.segments if s.start >= gap.end]
    assert before and after and len(before) + len(after) == len(left.segments)
    assert before[-1].end == gap.start and after[0].start == gap.end
    assert left.others == []
    numbers = [picture_number(image) for _, image in decode(left.joined()).pictures]
    kept = (gap.start - UTC0) // 40_000
    assert numbers[:kept] == list(range(kept)) and numbers[-1] == 299
    assert ffmpeg_words(left.joined()) == ""


def files_agree(desk: Desk) -> None:
    """Each file is the one that its record describes."""
    left = desk.left()
    for path, record in zip(left.paths, left.segments, strict=True):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == record.file.sha256


@pytest.mark.parametrize("at_s", [1.5, 2.0, 3.5])
def test_a_file_that_was_torn_once_is_cut_before_it_is_closed(tmp_path: Path, at_s: float) -> None:
    """The disk had room again a moment later: the segment's end comes to files that are torn."""
    files = FailingFiles()
    camera = FakeCamera(seconds=9)
    desk = Desk.on(tmp_path, files)
    segmenter = desk.segmenter(camera.tracks, segment_s=2)
    torn = False
    for packet in camera.packets():
        if not torn and packet.arrived_us - START_US >= at_s * SECOND:
            files.tears, torn = 1, True
        desk.play(segmenter, [packet])
        if (packet.arrived_us - START_US) % 200_000 < 20_000:
            desk.writer.work()
    desk.finish(segmenter)
    left = desk.left()
    assert torn and files.tears == 0
    chain_holds(desk)
    files_agree(desk)
    assert left.others == []
    items = sorted([*left.pictured, *(g for g in left.gaps if g.medium == "all")], key=_start)
    assert {"disk"} == {item.cause for item in items if isinstance(item, GapFacts)}
    assert all(abs(after.start - before.end) <= 1 for before, after in pairwise(items))
    assert items[0].start == UTC0 and items[-1].end == UTC0 + 9 * SECOND


def _start(item: SegmentFacts | GapFacts) -> int:
    return item.start


def test_a_gap_that_could_not_be_journalled_is_journalled_later(tmp_path: Path) -> None:
    files = FailingFiles()
    desk = Desk.on(tmp_path, files)
    files.failing = ("append",)
    desk.sink.gap(GapNote(GapCause.OFFLINE, ALL, UTC0, UTC0 + SECOND))
    desk.writer.work()
    desk.sink.gap(GapNote(GapCause.NETWORK, ALL, UTC0 + SECOND, UTC0 + 2 * SECOND))
    desk.writer.work()
    assert desk.sink.trouble is GapCause.DISK
    assert desk.left().gaps == []
    files.failing = ()
    desk.sink.trouble_seen()
    desk.clock.advance(3 * SECOND)
    desk.writer.work()
    assert desk.sink.trouble is None
    assert [gap.cause for gap in desk.left().gaps] == ["offline", "network"]
    chain_holds(desk)


@pytest.mark.parametrize("sound", ["pcm_alaw", None])
def test_a_disk_that_is_too_slow_is_a_gap_of_the_writer(tmp_path: Path, sound: str | None) -> None:
    camera = FakeCamera(seconds=12, sound=sound)
    desk = Desk.on(tmp_path, limit=30_000)
    segmenter = desk.segmenter(camera.tracks, segment_s=2)
    packets = camera.packets()
    first = [p for p in packets if p.arrived_us < START_US + 3 * SECOND]
    stuck = [p for p in packets if START_US + 3 * SECOND <= p.arrived_us < START_US + 9 * SECOND]
    desk.play(segmenter, first)
    desk.play(segmenter, stuck, every_us=99 * SECOND)
    assert desk.sink.trouble is GapCause.WRITER
    desk.play(segmenter, packets[len(first) + len(stuck) :])
    desk.finish(segmenter)
    left = desk.left()
    (gap,) = [g for g in left.gaps if g.medium == "all"]
    assert gap.cause == "writer"
    assert left.segments[-1].start == gap.end
    assert max(s.end for s in left.segments if s.start < gap.start) == gap.start
    for path, record in zip(left.paths, left.segments, strict=True):
        # A segment says no more of itself than there is.
        (picture,) = [media for media in record.media if media.track == 1]
        assert abs(record.end - record.start - picture.dur * 100 // 9) <= 1, path
    chain_holds(desk)
    assert ffmpeg_words(left.joined()) == ""


def test_what_is_written_is_durable_within_two_seconds_and_readable_at_once(
    tmp_path: Path,
) -> None:
    camera = FakeCamera(seconds=6, gop=150)
    desk = Desk.on(tmp_path)
    segmenter = desk.segmenter(camera.tracks, segment_s=60)
    packets = camera.packets()
    for at in range(0, len(packets), 15):
        desk.play(segmenter, packets[at : at + 15])
        now = desk.clock.utc_us()
        if now - UTC0 < 3 * SECOND:
            continue
        assert now - (desk.sink.kept_until_us or 0) <= 600_000
        assert now - (desk.sink.durable_until_us or 0) <= 2 * SECOND
        (segment,) = open_segments(tmp_path, STREAM)
        table = segment.table.as_segment_table()
        last = table.fragments[-1]
        assert now - table.wall_of(last.track, last.end) <= 800_000
        assert len(read_range(tmp_path, segment.path, last.offset, last.size)) == last.size
    desk.finish(segmenter)


@pytest.mark.parametrize("sound", ["pcm_alaw", "aac"])
def test_a_killed_process_would_lose_less_than_a_second_of_sound(
    tmp_path: Path, sound: str
) -> None:
    """What is in the files outlives the process; AAC's packets are longer than G.711's."""
    camera = FakeCamera(seconds=6, sound=sound)
    desk = Desk.on(tmp_path)
    segmenter = desk.segmenter(camera.tracks, segment_s=60)
    for packet in camera.packets():
        desk.play(segmenter, [packet])
        now = desk.clock.utc_us()
        if now - UTC0 < 2 * SECOND:
            continue
        # As often as the writer's thread does.
        if (now - UTC0) % 200_000 < 20_000:
            desk.writer.work()
        (segment,) = open_segments(tmp_path, STREAM)
        last = [f for f in segment.table.fragments if f.place.track == 2][-1]
        until = segment.table.as_segment_table().wall_of(2, last.place.end)
        assert now - until <= 850_000


def test_a_run_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    desk = Desk.on(tmp_path)
    camera = FakeCamera()
    segmenter = desk.segmenter(camera.tracks)
    desk.play(segmenter, camera.packets()[:1])
    desk.finish(segmenter)
    assert len(desk.left().segments) == 1
    again = Desk.on(tmp_path)
    assert again.sink.kept_until_us == desk.sink.kept_until_us
