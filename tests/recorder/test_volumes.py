"""Several volumes: streams spread over them, leave one that fails or is full, and lose nothing."""

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select
from support import factories
from support.clock import FakeClock
from support.desk import Left
from support.fake_source import FakeCamera, FakeSource
from support.memory_store import MemoryStore
from support.stored import ffmpeg_words

from bidwitness.addresses import CameraAddress, parse_camera_address
from bidwitness.config import load_settings
from bidwitness.errors import CameraError, ConfigError, NotFound
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.packets import Packet, PacketSource
from bidwitness.recorder.worker import Desk, StreamWorker
from bidwitness.recorder.writer import VolumeWriter
from bidwitness.recorder.writer_pool import AVOIDED_US, WriterPool
from bidwitness.storage.commit import Committer
from bidwitness.storage.evidence.records import check_record
from bidwitness.storage.footage import Footage
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Segment
from bidwitness.storage.keep.eviction import Evictor
from bidwitness.storage.keep.garbage import Collector
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.removal import give_up_footage
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.spool.reading import open_segments, read_range
from bidwitness.storage.spool.volumes import MARK, add_volumes, any_absent, locate, volumes_of
from bidwitness.storage.volumes import VolumeRoom
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import StreamRole

SECOND = 1_000_000
ROOM = VolumeRoom(90, 100)


class BrokenFiles(SystemFiles):
    """Below ``broken`` every change fails, as on a disk that went read-only under an error."""

    def __init__(self) -> None:
        self.broken: Path | None = None
        self._paths: dict[int, Path] = {}

    def _check(self, path: Path) -> None:
        if self.broken is not None and self.broken in path.parents:
            raise OSError(errno.EIO, "Input/output error")

    def make_dirs(self, folder: Path) -> None:
        self._check(folder)
        super().make_dirs(folder)

    def create(self, path: Path) -> int:
        self._check(path)
        handle = super().create(path)
        self._paths[handle] = path
        return handle

    def open_append(self, path: Path) -> int:
        self._check(path)
        handle = super().open_append(path)
        self._paths[handle] = path
        return handle

    def append(self, handle: int, data: bytes) -> None:
        self._check(self._paths[handle])
        super().append(handle, data)

    def sync(self, handle: int) -> None:
        self._check(self._paths[handle])
        super().sync(handle)

    def rename(self, old: Path, new: Path) -> None:
        self._check(old)
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self._check(path)
        super().unlink(path)

    def truncate(self, path: Path, size: int) -> None:
        self._check(path)
        super().truncate(path, size)


class Site:
    """A spool with two volumes, and a worker that records one stream on them."""

    def __init__(self, folder: Path, stream: str = "cam1main", clock: FakeClock | None = None):
        self.spool = folder / "spool"
        self.volumes = [folder / name for name in ("a", "b")]
        for volume in self.volumes:
            volume.mkdir(exist_ok=True)
        add_volumes(self.spool, self.volumes)
        self.stream = stream
        self.clock = clock or FakeClock()
        self.started_us = self.clock.utc_us()
        self.files = BrokenFiles()
        self.room = dict.fromkeys((*self.volumes, self.spool), ROOM)
        self.pool = WriterPool(
            [self._writer(volume) for volume in self.volumes],
            self._writer(self.spool),
            self.clock,
        )
        self.each: Callable[[float], None] = lambda _seconds: None
        self.script: list[FakeSource] = []
        self.worker = StreamWorker(self._wanted(), self._desk(), pause=self._wait)

    def _writer(self, volume: Path) -> VolumeWriter:
        return VolumeWriter(
            *(volume, self.files, self.clock),
            site="site-1",
            recorder="recorder-1",
            measure=lambda folder: self.room[folder],
            spool=self.spool,
        )

    def _wanted(self) -> WantedStream:
        return WantedStream(
            *(self.stream, "cam1", "门口", "room1", "评标室一", StreamRole.MAIN),
            *("rtsp://10.0.0.5/main", None, None, True),
        )

    def _desk(self) -> Desk:
        return Desk(
            open_source=self._open,
            dial=lambda wanted: parse_camera_address(wanted.address),
            writer=self.pool,
            volume=self.spool,
            clock=self.clock,
            anchor=ClockAnchor(self.clock),
            segment_us=2 * SECOND,
        )

    def _open(self, address: CameraAddress, *, with_sound: bool) -> PacketSource:
        if not self.script:
            self.worker.stop()
            raise CameraError("the script is over")
        self.clock.advance(SECOND // 5)
        return _Played(self.script.pop(0), self)

    def _wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.work()

    def work(self) -> None:
        for writer in (*self.pool._writers, self.pool._last):
            writer.work()

    def run(self, *seconds: int) -> Left:
        self.script = [FakeSource(FakeCamera(seconds=length)) for length in seconds]
        self.worker.run()
        return Left(self.spool, self.stream)

    @property
    def home(self) -> Path:
        """The volume that the stream begins on."""
        return self.pool._order(self.stream, False)[0].volume

    def paths(self) -> list[Path]:
        return Left(self.spool, self.stream).paths


class _Played:
    def __init__(self, source: FakeSource, site: Site) -> None:
        self.tracks = source.tracks
        self._source = source
        self._site = site

    def packets(self) -> Iterator[Packet]:
        site, clock = self._site, self._site.clock
        shift: int | None = None
        for number, packet in enumerate(self._source.packets()):
            shift = clock.monotonic_us() - packet.arrived_us if shift is None else shift
            arrived = packet.arrived_us + shift
            clock.advance(max(0, arrived - clock.monotonic_us()))
            site.each((clock.utc_us() - site.started_us) / SECOND)
            yield replace(packet, arrived_us=arrived, camera_us=None)
            if number % 15 == 0:
                site.work()

    def reception(self) -> None:
        """It has no network."""

    def hurry(self, urgent: Callable[[], bool]) -> None:
        self._source.hurry(urgent)

    def close(self) -> None:
        self._source.close()


def assert_whole(site: Site) -> None:
    """The chain holds, every file is what its record says, no hole is without its gap."""
    left = Left(site.spool, site.stream)
    for before, after in pairwise(left.entries):
        assert after.read().place.prev == before.leaf.hex()
    for entry in left.entries:
        check_record(entry.record)
    for path, facts in zip(site.paths(), left.segments, strict=True):
        assert path.stat().st_size == facts.file.bytes
        assert ffmpeg_words(path.read_bytes()) == ""
    gaps = [(gap.start, gap.end) for gap in left.gaps if gap.medium == "all"]
    known = sorted([*gaps, *((s.start, s.end) for s in left.segments)])
    for (_, end), (start, _) in pairwise(known):
        assert start <= end, f"nothing says what was between {end} and {start}"


@pytest.mark.parametrize("how", ["fails", "is full", "is gone"])
def test_a_stream_leaves_its_volume_and_the_gap_is_stated(tmp_path: Path, how: str) -> None:
    site = Site(tmp_path)
    home = site.home
    (other,) = [volume for volume in site.volumes if volume != home]

    def spoil(seconds: float) -> None:
        if seconds < 5:
            return
        if how == "is full":
            site.room[home] = VolumeRoom(9, 100)
            return
        site.files.broken = home
        if how == "is gone":
            (home / MARK).unlink(missing_ok=True)

    site.each = spoil
    left = site.run(9, 9)
    gap = next(gap for gap in left.gaps if gap.medium == "all")
    assert gap.cause == "disk"
    assert 3 <= (gap.start - site.started_us) / SECOND <= 6
    # Found within two seconds, and the new run begins with a key frame.
    lost_us = gap.end - max(gap.start, site.started_us + 5 * SECOND)
    assert lost_us <= 2 * SECOND + SECOND, lost_us
    before = [s for s in left.segments if s.end <= gap.start]
    after = [s for s in left.segments if s.start >= gap.end]
    assert before and after and before[-1].run != after[0].run
    assert any(other in path.parents for path in site.paths())
    assert not list(site.spool.rglob("*.mp4"))
    if how != "is gone":
        assert_whole(site)


def test_what_a_failed_volume_still_holds_is_recovered_when_it_is_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    home = site.home
    site.each = lambda seconds: setattr(site.files, "broken", home if seconds > 5 else None)
    left = site.run(9, 9)
    assert list(home.rglob("*.part")), "it was left there"
    (gap, *_) = [gap for gap in left.gaps if gap.medium == "all"]
    until = max(s.end for s in left.segments if s.end <= gap.start)
    assert gap.start == until, "what cannot be read is missing too"
    count = len(left.segments)
    again = Site(tmp_path, clock=site.clock)
    left = again.run(3)
    assert not list(home.rglob("*.part"))
    found = [s for s in left.segments[count:] if s.start < gap.end]
    assert len(found) == 1 and found[0].start == until
    for before, after in pairwise(left.entries):
        assert after.read().place.prev == before.leaf.hex()
    assert all(path.is_file() for path in again.paths())


def test_streams_spread_and_come_back_to_their_volume(tmp_path: Path) -> None:
    site, again = Site(tmp_path), Site(tmp_path)
    homes = {}
    for number in range(60):
        order = [w.volume for w in site.pool._order(f"s{number}", False)]
        assert order[-1] == site.spool and set(order[:2]) == set(site.volumes)
        assert order == [w.volume for w in again.pool._order(f"s{number}", False)]
        homes[f"s{number}"] = order[0]
    share = [list(homes.values()).count(volume) for volume in site.volumes]
    assert min(share) >= 15


def test_a_volume_that_is_not_mounted_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert not any_absent(site.spool)
    assert volumes_of(site.spool) == (site.spool, *site.volumes)
    for volume in site.volumes:
        (volume / MARK).unlink()
    # Starting again does not make the empty folder a volume.
    add_volumes(site.spool, site.volumes)
    assert any_absent(site.spool) and volumes_of(site.spool) == (site.spool,)
    assert [writer.volume for writer in site.pool._order("s1", False)] == [site.spool]
    site.run(3)
    assert [list(volume.iterdir()) for volume in site.volumes] == [[], []]
    assert {path.parents[2] for path in site.paths()} == {site.spool}
    with pytest.raises(ConfigError, match="no folder"):
        add_volumes(site.spool, [tmp_path / "none"])


def test_a_volume_that_failed_is_chosen_again_after_a_while(tmp_path: Path) -> None:
    site = Site(tmp_path)
    home = site.home
    site.files.broken = home
    sink = site.pool.sink("s1")
    other = site.pool._homes[sink].volume
    if other == home:  # its folder is made with its first segment: nothing has failed yet
        sink._break(OSError(errno.EIO, "no"), site.clock.monotonic_us())
        assert site.pool.elsewhere(sink)
        site.pool.release(sink)
    assert site.pool._order(site.stream, False)[0].volume != home or other != home
    site.files.broken = None
    site.clock.advance(AVOIDED_US + 1)
    assert site.home == home


def test_all_who_read_and_remove_find_what_lies_on_a_volume(
    sqlite_index: Database, tmp_path: Path
) -> None:
    index, store = sqlite_index, MemoryStore()
    with index.write() as orm:
        stream = factories.streams_of(orm, factories.a_room(orm, sub=False))[0]
    site = Site(tmp_path, stream)
    seen: list[bytes] = []

    def look(seconds: float) -> None:
        if seconds > 7 and not seen:
            (open_one,) = open_segments(site.spool, stream)
            last = open_one.table.as_segment_table().fragments[-1]
            seen.append(read_range(site.spool, open_one.path, last.offset, last.size))
            assert b"moof" in seen[0]

    site.each = look
    site.run(9)
    assert seen and (tmp_path / "spool" / stream).is_dir()
    assert Committer(index, site.spool).commit() == len(Left(site.spool, stream).entries)
    with index.read() as orm:
        first, *rest = orm.scalars(select(Segment).order_by(Segment.from_us))
    path = locate(site.spool, str(first.spool_path))
    assert site.home in path.parents
    footage = Footage(site.spool, store)
    for row in (first, *rest):
        footage.verify(row)
    Uploader(index, store, site.spool, site.clock, lambda: None).upload_some()
    evictor = Evictor(index, store, site.spool, SystemFiles(), site.clock, keep_us=0)
    # A volume that is away: what is found nowhere may be on it, so nothing is forgotten.
    (site.home / MARK).rename(site.home / "mark")
    site.clock.sleep(3600)
    assert evictor.evict_some() == 0
    with index.write() as orm:
        row = orm.get_one(Segment, first.id)
        give_up_footage(orm, Who("test"), stream, [row], "test", site.clock.utc_us())
    collector = Collector(index, store, site.spool, SystemFiles(), site.clock)
    collector.collect_some()
    assert path.is_file()
    (path.parents[2] / "mark").rename(path.parents[2] / MARK)
    assert evictor.evict_some() == len(rest)
    site.clock.sleep(3600)
    while collector.collect_some():
        pass
    assert not path.exists() and not list(path.parents[2].rglob("*.mp4"))
    with pytest.raises(NotFound):
        read_range(site.spool, str(first.spool_path), 0, 1)


def test_volumes_are_named_by_whole_paths(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, volumes="/srv/a, /srv/b")
    assert settings.volume_folders == (Path("/srv/a"), Path("/srv/b"))
    assert load_settings(data=tmp_path).volume_folders == ()
    with pytest.raises(ConfigError, match="BIDWITNESS_VOLUMES"):
        load_settings(data=tmp_path, volumes="srv/a")
