"""Disks that fill up: the alarms that follow from it."""

from collections.abc import Mapping
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.spool.volumes import is_present
from bidwitness.storage.volumes import DiskState, disk_state, room_on

SPOOL = "spool"
# What a full disk means for the cameras.
_MEANS = {DiskState.CRITICAL: " New footage is recorded for sessions only."}


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
            before = self._states.get(name)
            if name.startswith(f"{SPOOL}-") and not is_present(folder):
                if before != DiskState.CRITICAL:
                    self._say(name, DiskState.CRITICAL, "The volume is not there.")
                    self._states[name] = DiskState.CRITICAL
                continue
            if not folder.is_dir():
                continue
            room = room_on(folder)
            after = disk_state(room.free, room.total, before or DiskState.OK)
            if after != before:
                percent = room.free * 100 // max(1, room.total)
                means = _MEANS.get(after, "") if name.startswith(SPOOL) else ""
                self._say(name, after, f"{percent} % of the disk is free.{means}")
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
