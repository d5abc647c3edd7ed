"""How much room a volume has left, and what may still be written to it. Pure, but for ``room_on``.

The marks, of all there is: below 15 % it is said, below 10 % what no session needs is not recorded
any more (nothing that must be kept makes room for it), and sessions go on to the last reserve, in
which the recorder still writes down what is missing.
"""

import os
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

LOW_PERCENT, CRITICAL_PERCENT = 15, 10
# A judgement is taken back only this much above where it was made, lest it come and go.
BACK_PERCENT = 2
# The last reserve: of a small volume a fiftieth.
RESERVE_BYTES, RESERVE_SHARE = 1 << 30, 50


class DiskState(StrEnum):
    OK = "ok"
    LOW = "disk_low"
    CRITICAL = "disk_critical"


class Admission(IntEnum):
    """Whose footage is taken."""

    NONE = 0
    SESSIONS = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class VolumeRoom:
    """What a volume holds, in bytes."""

    free: int
    total: int


def room_on(folder: Path) -> VolumeRoom:
    """Give what an ordinary process may still write where ``folder`` lies. Raises ``OSError``."""
    found = os.statvfs(folder)
    return VolumeRoom(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def disk_state(free: int, total: int, before: DiskState = DiskState.OK) -> DiskState:
    """Judge a disk by its free bytes, given what it was judged before."""
    low = LOW_PERCENT + (BACK_PERCENT if before != DiskState.OK else 0)
    critical = CRITICAL_PERCENT + (BACK_PERCENT if before == DiskState.CRITICAL else 0)
    if total <= 0 or free * 100 < critical * total:
        return DiskState.CRITICAL
    return DiskState.LOW if free * 100 < low * total else DiskState.OK


def admission(room: VolumeRoom, before: Admission = Admission.ALL) -> Admission:
    """Say whose footage a volume takes, given whose it took before."""
    reserve = min(RESERVE_BYTES, room.total // RESERVE_SHARE)
    if before is Admission.NONE:
        reserve += reserve // 2
    if room.free <= reserve:
        return Admission.NONE
    was = DiskState.OK if before is Admission.ALL else DiskState.CRITICAL
    full = disk_state(room.free, room.total, was) is DiskState.CRITICAL
    return Admission.SESSIONS if full else Admission.ALL
