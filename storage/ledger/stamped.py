"""The time stamps of a log on disk, and those of them that a package carries."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path

from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.merkle import consistency_ranges
from bidwitness.storage.evidence.note import BadNote, read_checkpoint, read_note
from bidwitness.storage.evidence.proof import LOG_FOLDER
from bidwitness.storage.evidence.stamps import CONSISTENCY, STAMPS, TOKEN_SUFFIX, ConsistencyFacts
from bidwitness.storage.ledger.tiles import CHECKPOINT, Tiles

FOLDER = STAMPS.rstrip("/")


def stamp_folder(shard: Path, size: int) -> Path:
    """Give where the stamps of a checkpoint lie. Names sort as sizes do."""
    return shard / FOLDER / f"{size:016d}"


def stamped_sizes(shard: Path) -> list[int]:
    """Give the sizes of the checkpoints that were stamped, ascending."""
    folder = shard / FOLDER
    names = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal())


def stamp_files(
    settings: Settings, shard: str, wanted: Sequence[int], files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Give the first stamps over each of these entries, for a package that has ``files`` already.

    Raises ``DamageFound`` if the log's own files are not whole.
    """
    base, folder = f"{LOG_FOLDER}{shard}/", settings.log / shard
    present = files.get(base + CHECKPOINT)
    sizes = stamped_sizes(folder)
    firsts = {sizes[at] for place in wanted if (at := bisect_right(sizes, place)) < len(sizes)}
    if present is None or not firsts:
        return {}
    try:
        size = read_checkpoint(read_note(present)).size
        out = {name: data for first in firsts for name, data in _read(folder, base, first)}
    except (OSError, BadNote) as error:
        raise DamageFound(f"The time stamps of the log {shard} cannot be read: {error}.") from None
    lines = [ConsistencyFacts(first, _path(folder, first, size)).line() for first in sorted(firsts)]
    out[base + CONSISTENCY] = b"".join(line + b"\n" for line in lines)
    return out


def _read(folder: Path, base: str, size: int) -> list[tuple[str, bytes]]:
    found = stamp_folder(folder, size)
    names = [CHECKPOINT, *sorted(item.name for item in found.glob(f"*{TOKEN_SUFFIX}"))]
    return [(f"{base}{STAMPS}{found.name}/{name}", (found / name).read_bytes()) for name in names]


def _path(folder: Path, one: int, other: int) -> tuple[str, ...]:
    small, large = sorted((one, other))
    if small == large:
        return ()
    tiles = Tiles(folder, large)
    ranges = consistency_ranges(small, large)
    return tuple(tiles.range_root(low, high).hex() for low, high in ranges)
