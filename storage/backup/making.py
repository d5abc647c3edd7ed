"""``bidwitness backup``: the index first, the log after it, trust material, keys, then the list of all that.

A backup gets its name only when everything in it is on the disk and was found whole.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bidwitness import __version__
from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import Conflict, InvalidInput, StorageFull
from bidwitness.storage.backup.durable import sync, sync_tree, write_file
from bidwitness.storage.backup.logs import GIVEN_UP, WHOLE, copy_log
from bidwitness.storage.backup.manifest import (
    INDEX,
    KEYS,
    LOG,
    NAME,
    SEALED_NAME,
    TRUST,
    Manifest,
    kept_in,
)
from bidwitness.storage.backup.material import copy_material
from bidwitness.storage.backup.rows import save_index, shards_in
from bidwitness.storage.backup.sealing import gather_keys, pack_keys, seal
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database

OPERATOR = Who("command line")
_DRAFT, _LOCK = ".unfinished", ".bidwitness-backup.lock"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """A backup: its folder, and what of it was not whole when it was copied."""

    folder: Path
    manifest: Manifest

    @property
    def not_whole(self) -> Sequence[str]:
        """What is wrong with the log, in words."""
        heads = (head for head in self.manifest.log if head.state not in (WHOLE, GIVEN_UP))
        return [f"the log {head.shard} is {head.state}" for head in heads]


def make_backup(
    database: Database,
    settings: Settings,
    clock: Clock,
    into: Path,
    passphrase: bytes | None,
    say: Say,
) -> Made:
    """Write a new backup into the folder ``into``; everything may go on meanwhile.

    ``passphrase``: nothing leaves the keys out. ``say`` hears of each step. Raises ``Conflict`` while
    another backup is made there, ``InvalidInput`` if it would lie within the data, ``NotFound`` if
    there is no index, ``IndexUnavailable``, ``ConfigError`` for a key file, ``DamageFound`` if the
    copy of the index is not whole, ``StorageFull``.
    """
    into = into.expanduser().absolute()
    if into.resolve().is_relative_to(settings.data.resolve()):
        raise InvalidInput(f"A backup within {settings.data} would be lost with it.")
    made_us = clock.utc_us()
    name = f"{settings.site}-{datetime.fromtimestamp(made_us // 1_000_000, UTC):%Y%m%dT%H%M%SZ}"
    draft, target = into / f".{name}{_DRAFT}", into / name
    try:
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(into):
            _sweep(into, settings.site)
            if target.exists():
                raise Conflict(f"{target} is there already.")
            draft.mkdir(mode=0o700)
            try:
                manifest = _fill(draft, database, settings, clock, made_us, passphrase, say)
                sync_tree(draft)
                draft.rename(target)
                sync(into)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise StorageFull(f"The backup cannot be written: {error.strerror}.") from error
    _leave_trace(database, clock, target, manifest)
    return Made(target, manifest)


def _fill(
    draft: Path,
    database: Database,
    settings: Settings,
    clock: Clock,
    made_us: int,
    passphrase: bytes | None,
    say: Say,
) -> Manifest:
    keys = gather_keys(settings.keys) if passphrase is not None else {}
    say("index …")
    revision = save_index(database, draft / INDEX)
    say(f"index: {(draft / INDEX).stat().st_size:,} bytes")
    heads = copy_log(settings, shards_in(draft / INDEX), draft / LOG, clock)
    for head in heads:
        say(f"log {head.shard}: {head.size:,} entries, {head.state}")
    if versions := copy_material(settings, draft / TRUST):
        say(f"trust material: {versions} versions")
    if passphrase is not None:
        write_file(draft / KEYS, seal(passphrase, "keys", pack_keys(keys)))
        say(f"keys: {len(keys)}, sealed")
    manifest = Manifest(
        site=settings.site,
        version=__version__,
        revision=revision,
        made_us=made_us,
        database="sqlite" if database.is_sqlite else "postgresql",
        keys=tuple(keys),
        log=tuple(heads),
        files=tuple(kept_in(draft)),
    )
    write_file(draft / NAME, manifest.to_bytes())
    if passphrase is not None:
        write_file(draft / SEALED_NAME, seal(passphrase, "manifest", manifest.to_bytes()))
    return manifest


def _leave_trace(database: Database, clock: Clock, target: Path, manifest: Manifest) -> None:
    log = [[head.shard, head.size, head.root, head.state] for head in manifest.log]
    facts = {"keys": list(manifest.keys), "log": log, "bytes": manifest.bytes}
    with database.write() as orm:
        now = clock.utc_us()
        subject = f"backup:{target.name}"
        leave_audit_entry(orm, OPERATOR, "index.backup", subject, now, facts=facts)


@contextmanager
def _alone(into: Path) -> Iterator[None]:
    handle = os.open(into / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Conflict(f"Another backup is being made in {into}.") from None
    finally:
        os.close(handle)


def _sweep(into: Path, site: str) -> None:
    """Remove what a backup that was killed has left."""
    for path in into.glob(f".{site}-*{_DRAFT}"):
        with suppress(OSError):
            shutil.rmtree(path)
