"""A crash after every single step of recording, in six ways, and what recovery makes of it."""

import errno
import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import delete, select
from support.crash import Crash, Disk, RecordingFiles
from support.desk import STREAM, UTC0, Desk, Left
from support.factories import a_camera, a_room
from support.fake_source import FakeCamera, during, without

from bidwitness.recorder.chain import Chain
from bidwitness.recorder.recovery import recover_stream
from bidwitness.recorder.values import ALL, GapNote
from bidwitness.storage.check.index import check_index
from bidwitness.storage.commit import Committer
from bidwitness.storage.evidence.merkle import Tree
from bidwitness.storage.evidence.records import GapFacts, SegmentFacts
from bidwitness.storage.index.database import open_database, upgrade
from bidwitness.storage.index.models import Record, Stream, Track
from bidwitness.storage.media.boxes import split_pieces
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import GapCause

SECOND = 1_000_000
MIDNIGHT_US = 1_700_006_400 * SECOND
# The index is made of what every so-manieth crash has left.
INDEXED = 17
# And so often it is looked at whether recovering again changes anything.
AGAIN = 3
# A power cut of the first sequence in each way; the others in the two that find most.
WAYS = [
    *(("usual", crash) for crash in Crash),
    *((name, crash) for name in ("torn", "midnight") for crash in (Crash.NOTHING, Crash.MIXED)),
]


class TornFiles(RecordingFiles):
    """A disk that tears one write in the middle, and later syncs one file in vain."""

    def __init__(self) -> None:
        super().__init__()
        self._appends = self._syncs = 0

    def append(self, handle: int, data: bytes) -> None:
        self._appends += 1
        if self._appends == 20:
            super().append(handle, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(handle, data)

    def sync(self, handle: int) -> None:
        self._syncs += 1
        if self._syncs == 24:
            raise OSError(errno.EIO, "Input/output error")
        super().sync(handle)


# What is recorded: the disk, and when it begins; the third lies around midnight.
SEQUENCES = {
    "usual": (RecordingFiles, 0),
    "torn": (TornFiles, 0),
    "midnight": (RecordingFiles, MIDNIGHT_US - UTC0 - 3 * SECOND),
}


def recorded_steps(volume: Path, sequence: str = "usual") -> RecordingFiles:
    """Record six seconds in short segments, with a gap, and write down every step."""
    make, later_us = SEQUENCES[sequence]
    files = make()
    camera = FakeCamera(seconds=6, sound="pcm_mulaw")
    desk = Desk.on(volume, files, later_us=later_us)
    segmenter = desk.segmenter(camera.tracks, segment_s=1)
    packets = during(camera.packets(), 3.4, 4.6, without)
    for number, packet in enumerate(packets):
        files.received(desk.clock.utc_us())
        desk.play(segmenter, [packet])
        if number % 15 == 0:
            desk.writer.work()
            files.promise(desk.sink.durable_until_us)
    desk.finish(segmenter)
    files.promise(desk.sink.durable_until_us)
    return files


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def chain_on(volume: Path) -> Chain:
    return Chain(volume, STREAM, SystemFiles(), site="site-1", recorder="recorder-1")


def check(volume: Path) -> int:
    """Everything the journal says is true of the files, and nothing else is there."""
    left = Left(volume)
    previous = None
    until = 0
    for entry in left.entries:
        record = entry.read()
        if previous is not None:
            assert record.place.prev == previous.leaf.hex(), "the chain is broken"
        previous = entry
        if isinstance(record, GapFacts):
            until = max(until, record.end)
            continue
        assert isinstance(record, SegmentFacts)
        data = (volume / str(entry.facts["path"])).read_bytes()
        assert hashlib.sha256(data).hexdigest() == record.file.sha256
        tree = Tree("sha256")
        pieces = [tree.append(piece.data) for piece in split_pieces([data])]
        assert (len(pieces), tree.root().hex()) == (record.pieces, record.root.sha256)
        assert record.g711 is not None
        assert record.end - record.start <= 3 * SECOND
        assert until in (0, record.start) or record.start < until, "a hole that nothing states"
        until = max(until, record.end)
    assert left.others == []
    on_disk = set(volume.rglob("*.mp4"))
    assert on_disk == set(left.paths), "footage that no record names"
    return until


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, RecordingFiles]]:
    volumes = {name: tmp_path_factory.mktemp(name) for name in SEQUENCES}
    return {name: (volume, recorded_steps(volume, name)) for name, volume in volumes.items()}


@pytest.fixture(scope="module")
def empty_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that knows the stream, to be copied."""
    file = tmp_path_factory.mktemp("index") / "index.db"
    database = open_database(f"sqlite:///{file}")
    try:
        upgrade(database)
        with database.write() as orm:
            camera = a_camera(orm, a_room(orm, cameras=0), "cam1", sub=False)
            (row,) = orm.scalars(select(Stream).where(Stream.camera_id == camera.id))
            orm.execute(delete(Track))
            row.id = STREAM
    finally:
        database.close()
    return file


def check_committed(volume: Path, empty_index: Path, copy: Path) -> None:
    """The index that is made of what was recovered says the same as files and journal."""
    shutil.copy(empty_index, copy)
    database = open_database(f"sqlite:///{copy}")
    try:
        lines = Left(volume).entries
        assert Committer(database, volume).commit() == len(lines)
        assert [found for found in check_index(database, volume, "recorder-1") if found] == []
        with database.read() as orm:
            rows = orm.scalars(select(Record.leaf).order_by(Record.day, Record.seq)).all()
        assert list(rows) == [line.leaf for line in lines]
    finally:
        database.close()


@pytest.mark.parametrize(("sequence", "crash"), WAYS)
def test_after_a_crash_at_any_step_nothing_durable_is_lost(
    tmp_path: Path,
    steps: dict[str, tuple[Path, RecordingFiles]],
    empty_index: Path,
    sequence: str,
    crash: Crash,
) -> None:
    old, files = steps[sequence]
    disk = Disk()
    dice = Random(crash.name)
    begun_us = next(step.size for step in files.steps if step.kind == "received")
    assert len(files.steps) > 100
    for number, step in enumerate(files.steps):
        disk.do(step)
        if step.kind in ("received", "promise"):
            continue  # the disk is as it was
        new = tmp_path / str(number)
        new.mkdir()
        disk.leave(crash, old, new, dice)
        recover_stream(new, STREAM, SystemFiles(), chain_on(new))
        until = check(new)
        assert until >= disk.promised_us, f"lost after step {number} ({step.kind})"
        if disk.received_us - begun_us >= 2 * SECOND and not isinstance(files, TornFiles):
            assert until >= disk.received_us - 2 * SECOND, f"more than two seconds, {number}"
        if number % INDEXED == 0:
            check_committed(new, empty_index, tmp_path / f"{number}.db")
        if number % AGAIN:
            continue
        once = snapshot(new)
        chain = chain_on(new)
        assert recover_stream(new, STREAM, SystemFiles(), chain) == 0
        assert snapshot(new) == once, "recovery is not idempotent"
        chain.append(
            until + 1,
            lambda place, at=until: GapFacts(place, "recorder_down", "all", at + 1, at + 2),
            {},
        )
        check(new)


def test_a_crash_during_recovery_is_no_worse(tmp_path: Path) -> None:
    """Recover from a crash in mid-segment, and crash again after each step of that."""
    first = tmp_path / "first"
    first.mkdir()
    files = recorded_steps(first)
    disk = Disk()
    last_append = max(n for n, s in enumerate(files.steps) if s.path.suffix == ".part")
    for step in files.steps[: last_append - 3]:
        disk.do(step)
    second = tmp_path / "second"
    second.mkdir()
    disk.leave(Crash.EVERYTHING, first, second)
    recovering = RecordingFiles()
    # What lies there was written, but only as durable as the first process had made it.
    again = Disk(
        {second / p.relative_to(first): i for p, i in disk.live.items()},
        {second / p.relative_to(first): i for p, i in disk.durable.items()},
        {second / p.relative_to(first) for p in disk.live_dirs},
        {second / p.relative_to(first) for p in disk.durable_dirs},
        disk.promised_us,
    )
    chain = Chain(second, STREAM, recovering, site="site-1", recorder="recorder-1")
    assert recover_stream(second, STREAM, recovering, chain) == 1
    for crash in Crash:
        state = Disk(
            {p: type(i)(i.data, i.synced) for p, i in again.live.items()},
            dict(again.durable),
            set(again.live_dirs),
            set(again.durable_dirs),
            again.promised_us,
        )
        state.durable = {p: state.live.get(p, i) for p, i in state.durable.items()}
        for number, step in enumerate(recovering.steps):
            state.do(step)
            third = tmp_path / f"{crash.name}{number}"
            third.mkdir()
            state.leave(crash, second, third, Random(number))
            recover_stream(third, STREAM, SystemFiles(), chain_on(third))
            assert check(third) >= state.promised_us


def test_a_journalled_gap_is_durable_at_once(tmp_path: Path) -> None:
    files = RecordingFiles()
    desk = Desk.on(tmp_path / "v", files)
    desk.sink.gap(GapNote(GapCause.OFFLINE, ALL, 1_700_000_000_000_000, 1_700_000_001_000_000))
    desk.writer.work()
    disk = Disk()
    for step in files.steps:
        disk.do(step)
    new = tmp_path / "new"
    new.mkdir()
    disk.leave(Crash.NOTHING, tmp_path / "v", new)
    (gap,) = Left(new).gaps
    assert gap.cause == "offline"


@pytest.mark.parametrize(
    ("missing", "stated"), [(GapCause.OFFLINE, "offline"), (None, "unknown")], ids=str
)
def test_a_crash_in_a_runs_first_seconds_keeps_why_there_was_nothing_before_it(
    tmp_path: Path, missing: GapCause | None, stated: str
) -> None:
    desk = Desk.on(tmp_path)
    camera = FakeCamera(seconds=6)
    segmenter = desk.segmenter(camera.tracks)
    desk.play(segmenter, camera.packets())
    desk.finish(segmenter)
    again = [
        replace(packet, arrived_us=packet.arrived_us + 26_000_000)
        for packet in camera.packets()
        if packet.arrived_us < camera.packets()[0].arrived_us + 2_000_000
    ]
    desk.play(desk.segmenter(camera.tracks, missing=missing), again)
    desk.writer.work(sync=True)
    desk.sink.let_go()
    Desk.on(tmp_path)
    left = Left(tmp_path)
    last = left.segments[-1]
    assert last.start - left.segments[-2].end > 15_000_000
    (gap,) = left.gaps
    assert (gap.cause, gap.start, gap.end) == (stated, left.segments[-2].end, last.start)


def test_a_crash_before_a_run_settles_keeps_the_least_delayed_pictures_time(
    tmp_path: Path,
) -> None:
    """The first pictures come 160 ms late: the camera had to be asked for them."""
    desk = Desk.on(tmp_path)
    camera = FakeCamera(seconds=5)
    packets = camera.packets()
    asked_us = packets[0].arrived_us
    late = [replace(p, arrived_us=max(p.arrived_us, asked_us + 160_000)) for p in packets]
    segmenter = desk.segmenter(camera.tracks, segment_s=60)
    desk.play(segmenter, late)
    desk.writer.work(sync=True)
    desk.sink.let_go()
    Desk.on(tmp_path)
    (segment,) = Left(tmp_path).segments
    assert segment.start == UTC0
    assert abs((segment.end - segment.start) - segment_us_of(tmp_path)) <= 1


def segment_us_of(volume: Path) -> int:
    """Give how long the stored pictures last by their own ticks."""
    (dts, _), *_, (last, duration) = Left(volume).fragments_of(1)
    return (last + duration - dts) * 100 // 9
