"""Disks that fill up: judged with hysteresis, said once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from support.clock import FakeClock

from bidwitness.storage import volumes
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm
from bidwitness.storage.keep.disk import DiskWatch
from bidwitness.storage.volumes import DiskState, disk_state


@pytest.mark.parametrize(
    ("free", "before", "after"),
    [
        (50, DiskState.OK, DiskState.OK),
        (15, DiskState.OK, DiskState.OK),
        (14, DiskState.OK, DiskState.LOW),
        (16, DiskState.LOW, DiskState.LOW),
        (17, DiskState.LOW, DiskState.OK),
        (9, DiskState.OK, DiskState.CRITICAL),
        (11, DiskState.LOW, DiskState.LOW),
        (11, DiskState.CRITICAL, DiskState.CRITICAL),
        (12, DiskState.CRITICAL, DiskState.LOW),
        (0, DiskState.OK, DiskState.CRITICAL),
    ],
)
def test_judgement(free: int, before: DiskState, after: DiskState) -> None:
    assert disk_state(free, 100, before) == after


@given(free=st.integers(0, 1000), before=st.sampled_from(DiskState))
def test_less_room_is_never_judged_better(free: int, before: DiskState) -> None:
    order = [DiskState.CRITICAL, DiskState.LOW, DiskState.OK]
    assert order.index(disk_state(free, 1000, before)) <= order.index(
        disk_state(free + 1, 1000, before)
    )


def test_an_unknown_size_is_critical() -> None:
    assert disk_state(0, 0) == DiskState.CRITICAL


def test_alarms_follow_the_state(
    index: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    watch = DiskWatch(index, clock, {"spool": tmp_path, "absent": tmp_path / "absent"})

    def open_alarms() -> list[tuple[str, str]]:
        with index.read() as orm:
            found = orm.scalars(select(Alarm).where(Alarm.cleared_us.is_(None)))
            return [(alarm.kind, alarm.subject) for alarm in found]

    # Every disk is below the mark, then none is: the real disk's figures, other marks.
    monkeypatch.setattr(volumes, "LOW_PERCENT", 101)
    monkeypatch.setattr(volumes, "CRITICAL_PERCENT", 0)
    assert watch.watch() == {"spool": DiskState.LOW}
    watch.watch()
    assert open_alarms() == [("disk_low", "volume:spool")]
    monkeypatch.setattr(volumes, "CRITICAL_PERCENT", 101)
    watch.watch()
    assert open_alarms() == [("disk_critical", "volume:spool")]
    monkeypatch.setattr(volumes, "CRITICAL_PERCENT", 0)
    monkeypatch.setattr(volumes, "LOW_PERCENT", 0)
    monkeypatch.setattr(volumes, "BACK_PERCENT", 0)
    watch.watch()
    assert open_alarms() == []
