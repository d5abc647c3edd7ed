"""A crash after every single step of recording, in five ways, and what recovery makes of it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from support.crash import Crash, Disk, RecordingFiles
from support.desk import STREAM, UTC0, Desk, Left
from support.fake_source import FakeCamera, during, without

from bidwitness.recorder.chain import Chain
from bidwitness.recorder.recovery import recover_stream
from bidwitness.recorder.values import ALL, GapNote
from bidwitness.storage.evidence.merkle import Tree
from bidwitness.storage.evidence.records import GapFacts, SegmentFacts
from bidwitness.storage.media.boxes import split_pieces
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import GapCause


def recorded_steps(volume: Path) -> RecordingFiles:
    """Record six seconds in short segments, with a gap, and write down every step."""
    files = RecordingFiles()
    camera = FakeCamera(seconds=6, sound="pcm_mulaw")
    desk = Desk.on(volume, files)
    segmenter = desk.segmenter(camera.tracks, segment_s=1)
    packets = during(camera.packets(), 3.4, 4.6, without)
    for start in range(0, len(packets), 30):
        desk.play(segmenter, packets[start : start + 30], every_us=400_000)
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
        assert until in (0, record.start) or record.start < until, "a hole that nothing states"
        until = max(until, record.end)
    assert left.others == []
    on_disk = set(volume.rglob("*.mp4"))
    assert on_disk == set(left.paths), "footage that no record names"
    return until


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RecordingFiles]:
    volume = tmp_path_factory.mktemp("recorded")
    return volume, recorded_steps(volume)


@pytest.mark.parametrize("crash", Crash)
def test_after_a_crash_at_any_step_nothing_durable_is_lost(
    tmp_path: Path, steps: tuple[Path, RecordingFiles], crash: Crash
) -> None:
    old, files = steps
    disk = Disk()
    assert len(files.steps) > 100
    for number, step in enumerate(files.steps):
        disk.do(step)
        new = tmp_path / str(number)
        new.mkdir()
        disk.leave(crash, old, new)
        recover_stream(new, STREAM, SystemFiles(), chain_on(new))
        until = check(new)
        assert until >= disk.promised_us, f"lost after step {number} ({step.kind})"
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
            state.leave(crash, second, third)
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
