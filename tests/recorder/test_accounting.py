"""However a disk fails, and whenever room runs out or comes back, footage and gaps tile the time."""

import errno
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.desk import UTC0, Desk, Left
from support.fake_source import FakeCamera

from bidwitness.storage.evidence.records import GapFacts, SegmentFacts
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.volumes import VolumeRoom

SECOND = 1_000_000
CAMERA = FakeCamera(seconds=14)
PACKETS = CAMERA.packets()
# So many packets meet one mood of the disk: a third of a second.
AT_ONCE = 25
STEPS = ("create", "sync", "rename", "sync_dir", "append nothing", "append half", "append all")


@dataclass(frozen=True)
class Mood:
    """What a disk does for a while: steps that fail, and its free hundredths."""

    failing: frozenset[str] = frozenset()
    free: int = 90


@dataclass
class MoodyFiles(SystemFiles):
    """A disk of which a step fails as its mood says; what it could not append may be there."""

    mood: Mood = field(default_factory=Mood)

    def _try(self, step: str) -> None:
        if step in self.mood.failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    def create(self, path: Path) -> int:
        self._try("create")
        return super().create(path)

    def append(self, handle: int, data: bytes) -> None:
        for step, size in zip(STEPS[-3:], (0, len(data) // 2, len(data)), strict=True):
            if step in self.mood.failing:
                super().append(handle, data[:size])
                self._try(step)
        super().append(handle, data)

    def sync(self, handle: int) -> None:
        self._try("sync")
        super().sync(handle)

    def rename(self, old: Path, new: Path) -> None:
        self._try("rename")
        super().rename(old, new)

    def sync_dir(self, path: Path) -> None:
        self._try("sync_dir")
        super().sync_dir(path)


MOODS = st.builds(
    Mood,
    st.frozensets(st.sampled_from(STEPS), max_size=1),
    st.sampled_from((90, 90, 6, 0)),
)


@given(
    moods=st.lists(MOODS, min_size=10, max_size=24),
    works=st.lists(st.booleans(), min_size=1, max_size=7),
)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    report_multiple_bugs=False,
)
def test_footage_and_gaps_tile_the_time(moods: list[Mood], works: list[bool]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = MoodyFiles()
        desk = Desk.on(
            Path(folder), files, measure=lambda _volume: VolumeRoom(files.mood.free, 100)
        )
        segmenter = desk.segmenter(CAMERA.tracks, segment_s=2)
        for place, at in enumerate(range(0, len(PACKETS), AT_ONCE)):
            # The first two seconds and the end are well, so that all that is missing is bounded.
            step = place - 6
            files.mood = moods[step] if 0 <= step < len(moods) else Mood()
            for packet in PACKETS[at : at + AT_ONCE]:
                desk.play(segmenter, [packet])
                if works[packet.arrived_us // 20_000 % len(works)]:
                    desk.writer.work()
        desk.finish(segmenter)
        assert_tiled(desk.left())


def assert_tiled(left: Left) -> None:
    assert left.others == []
    gaps = [gap for gap in left.gaps if gap.medium == "all"]
    items: list[SegmentFacts | GapFacts] = sorted(
        [*left.pictured, *gaps], key=lambda item: (item.start, item.end)
    )
    said = [(type(i).__name__, i.start - UTC0, i.end - UTC0) for i in items]
    assert all(abs(after.start - before.end) <= 1 for before, after in pairwise(items)), said
    assert (items[0].start, items[-1].end) == (UTC0, UTC0 + CAMERA.seconds * SECOND)
    assert {gap.cause for gap in gaps} <= {"disk"}
