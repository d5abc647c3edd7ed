"""Disks that fill up: a pure decision, and the alarms that follow from it."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database

LOW_PERCENT, CRITICAL_PERCENT = 15, 10
# An alarm is cleared only this much above where it was raised, lest it come and go.
BACK_PERCENT = 2


class DiskState(StrEnum):
    OK = "ok"
    LOW = "disk_low"
    CRITICAL = "disk_critical"


def disk_state(free: int, total: int, before: DiskState = DiskState.OK) -> DiskState:
    """Judge a disk by its free bytes, given what it was judged before."""
    low = LOW_PERCENT + (BACK_PERCENT if before != DiskState.OK else 0)
    critical = CRITICAL_PERCENT + (BACK_PERCENT if before == DiskState.CRITICAL else 0)
    if total <= 0 or free * 100 < critical * total:
        return DiskState.CRITICAL
    return DiskState.LOW if free * 100 < low * total else DiskState.OK


class DiskWatch:
    """Watches the disks that folders lie on. ``volumes``: name → folder."""

    def __init__(self, database: Database, clock: Clock, volumes: Mapping[str, Path]) -> None:
        self._database = database
        self._clock = clock
        self._volumes = volumes
        self._states: dict[str, DiskState] = {}

    def watch(self) -> Mapping[str, DiskState]:
        """Judge every disk, raise and clear its alarms; give the states by volume."""
        for name, folder in self._volumes.items():
            if not folder.is_dir():
                continue
            found = os.statvfs(folder)
            before = self._states.get(name)
            after = disk_state(found.f_bavail, found.f_blocks, before or DiskState.OK)
            if after != before:
                percent = found.f_bavail * 100 // max(1, found.f_blocks)
                self._say(name, after, f"{percent} % of the disk is free.")
                self._states[name] = after
        return self._states

    def _say(self, name: str, state: DiskState, cause: str) -> None:
        now = self._clock.utc_us()
        with self._database.write() as orm:
            for kind in (DiskState.LOW, DiskState.CRITICAL):
                if kind == state:
                    raise_alarm(orm, kind, f"volume:{name}", now, cause=cause)
                else:
                    clear_alarm(orm, kind, f"volume:{name}", now)
