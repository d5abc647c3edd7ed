"""An encoded loop as a file in the cache. Standard library only: see ``stamps``.

Layout: 8 bytes of magic, 4 bytes of length, a JSON header, then the units back to back. The
header's ``sizes`` lists for each unit the sizes of its parts (NAL units, or one sound packet).
"""

import json
import os
import struct
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

MAGIC = b"BWLOOP1\n"


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop, encoded. ``units`` are access units (as NAL units without start codes, in
    sending order) or sound packets (one part each). ``header`` holds, for picture: ``codec``,
    ``width``, ``height``, ``keys`` (indexes of units), ``shown`` (for each unit, the frame of
    the loop that it shows), ``sets`` (parameter sets, hex); for sound: ``sound``, ``rate``,
    ``samples`` (of a packet), ``config`` (hex)."""

    header: dict[str, Any]
    units: tuple[tuple[bytes, ...], ...]


def save_loop(path: Path, loop: Loop) -> None:
    """Write a loop so that a reader never sees half of it."""
    header = {**loop.header, "sizes": [[len(part) for part in unit] for unit in loop.units]}
    head = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(MAGIC + struct.pack(">I", len(head)) + head)
        file.writelines(chain.from_iterable(loop.units))
    part.replace(path)


def load_loop(path: Path) -> Loop | None:
    """Read a loop; None if the file is absent or is not whole."""
    try:
        data = path.read_bytes()
        (length,) = struct.unpack_from(">I", data, len(MAGIC))
        at = len(MAGIC) + 4 + length
        header = json.loads(data[len(MAGIC) + 4 : at])
        sizes: list[list[int]] = header.pop("sizes")
    except (OSError, ValueError, KeyError, struct.error):
        return None
    if not data.startswith(MAGIC) or at + sum(map(sum, sizes)) != len(data):
        return None
    units: list[tuple[bytes, ...]] = []
    for unit in sizes:
        parts = []
        for size in unit:
            parts.append(data[at : at + size])
            at += size
        units.append(tuple(parts))
    return Loop(header, tuple(units))
