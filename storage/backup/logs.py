"""The log in a backup: each shard as it was at one instant, and whether it was whole."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import Conflict, DamageFound
from bidwitness.storage.backup.durable import sync, sync_tree, write_file
from bidwitness.storage.backup.manifest import LogHead
from bidwitness.storage.index.models import LogShard
from bidwitness.storage.ledger.shard import COSIGNED, COSIGNING, origin_of, read_head
from bidwitness.storage.ledger.stamped import FOLDER as STAMPS
from bidwitness.storage.ledger.tiles import CHECKPOINT, Tiles
from bidwitness.storage.ledger.whole import check_whole

WHOLE, DAMAGED, MISSING, GIVEN_UP = "whole", "damaged", "missing", "given_up"
# So long what was promised in the index may take to be signed.
PATIENCE_S, STEP_S = 5, 0.1


def copy_log(
    settings: Settings, rows: Sequence[LogShard], target: Path, clock: Clock
) -> list[LogHead]:
    """Copy the shards that the copied index knows. It must have been copied before: so the log
    never lacks what the index says was signed. Raises ``OSError``."""
    return [_copy_shard(settings, row, target / row.shard, clock) for row in rows]


def _copy_shard(settings: Settings, row: LogShard, target: Path, clock: Clock) -> LogHead:
    source = settings.log / row.shard
    if not source.is_dir():
        # A row is made a moment before its folder.
        return LogHead(row.shard, row.size, row.root.hex(), MISSING if row.size else WHOLE)
    if row.given_up is None:
        with suppress(DamageFound):
            _await_promise(settings, row, clock)
            return _copy_whole(settings, row, source, target)
        shutil.rmtree(target, ignore_errors=True)
    _copy_as_it_is(source, target)
    state = DAMAGED if row.given_up is None else GIVEN_UP
    return LogHead(row.shard, row.size, row.root.hex(), state)


def _await_promise(settings: Settings, row: LogShard, clock: Clock) -> None:
    origin, waited = origin_of(settings.site, row.shard), 0.0
    while True:
        found = read_head(settings.log / row.shard, origin)
        if (found[0].size if found else 0) >= row.size:
            return
        if waited >= PATIENCE_S:
            raise DamageFound(f"The log {row.shard} does not reach what was promised.")
        clock.sleep(STEP_S)
        waited += STEP_S


def _copy_whole(settings: Settings, row: LogShard, source: Path, target: Path) -> LogHead:
    origin = origin_of(settings.site, row.shard)
    # What others have signed first: it must not reach further than the checkpoint beside it.
    others = {name: _read(source / name) for name in (COSIGNED, COSIGNING)}
    checkpoint = _read(source / CHECKPOINT)
    target.mkdir(parents=True, mode=0o700)
    for name, data in {**others, CHECKPOINT: checkpoint}.items():
        if data is not None:
            write_file(target / name, data)
    found = read_head(target, origin)
    if found is None:
        return LogHead(row.shard, 0, row.root.hex(), WHOLE)
    head = found[0]
    for path, data in Tiles(source, head.size).files():
        write_file(target / path, data)
    copied = Tiles(target, head.size)
    check_whole(copied)
    same = row.size == 0 or copied.range_root(0, row.size) == row.root
    if copied.root() != head.root or not same:
        raise DamageFound(f"The log {row.shard} is not the one that was promised.")
    if (source / STAMPS).is_dir():
        _copy_as_it_is(source / STAMPS, target / STAMPS)
    return LogHead(row.shard, head.size, head.root.hex(), WHOLE)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _copy_as_it_is(source: Path, target: Path) -> None:
    """Copy what is there but locks and drafts; narrow tiles may go while we look."""
    for path in sorted(source.rglob("*")):
        place = path.relative_to(source)
        if path.is_file() and not any(part.startswith(".") for part in place.parts):
            with suppress(FileNotFoundError):
                write_file(target / place, path.read_bytes())


def check_log(folder: Path, site: str, heads: Sequence[LogHead]) -> None:
    """Make each whole shard's tree anew. Raises ``DamageFound`` if it is not what it was."""
    for head in heads:
        if head.state != WHOLE or head.size == 0:
            continue
        found = read_head(folder / head.shard, origin_of(site, head.shard))
        if found is None or (found[0].size, found[0].root.hex()) != (head.size, head.root):
            raise DamageFound(f"The log {head.shard} in the backup is not what its manifest says.")
        tiles = Tiles(folder / head.shard, head.size)
        check_whole(tiles)
        if tiles.root().hex() != head.root:
            raise DamageFound(f"The log {head.shard} in the backup is not its checkpoint's.")


def absent_shards(settings: Settings, heads: Sequence[LogHead]) -> list[LogHead]:
    """Give the shards that are to be copied back: those of which nothing is here.

    What is here and reaches as far stays. Raises ``Conflict`` for what is here and does not.
    """
    absent = []
    for head in heads:
        folder = settings.log / head.shard
        if head.state == MISSING:
            continue
        if not folder.is_dir() or not any(folder.iterdir()):
            absent.append(head)
        elif head.state == WHOLE and not _continues(settings, head):
            raise Conflict(
                f"The log in {folder} is older than the backup's, or another one. Move it away."
            )
    return absent


def _continues(settings: Settings, head: LogHead) -> bool:
    folder = settings.log / head.shard
    try:
        found = read_head(folder, origin_of(settings.site, head.shard))
        if found is None or found[0].size < head.size:
            return False
        tiles = Tiles(folder, found[0].size)
        return head.size == 0 or tiles.range_root(0, head.size).hex() == head.root
    except DamageFound:
        return False


def put_back(source: Path, target: Path) -> None:
    """Copy a shard back; it shows only when it is whole on the disk. Raises ``OSError``."""
    if not source.is_dir():
        return  # it had no entry yet
    draft = target.with_name(f".{target.name}.restoring")
    shutil.rmtree(draft, ignore_errors=True)
    # Readable by who serves it, as the writer leaves it.
    shutil.copytree(source, draft, copy_function=shutil.copyfile)
    for path in (draft, *draft.rglob("*")):
        path.chmod(0o750 if path.is_dir() else 0o640)
    sync_tree(draft)
    with suppress(OSError):
        target.rmdir()
    draft.rename(target)
    sync(target.parent)
