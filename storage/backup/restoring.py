"""``bidwitness restore``: nothing is written over, and the log stands still until somebody vouches.

What the log signed after the backup was made is not in it. To go on from it could sign a second
history under the same key; so the restored log is marked, and its writer waits (docs/backup.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import ConfigError, Conflict, DamageFound, InvalidInput, StorageFull
from bidwitness.keyfile import make_key_file, read_key_file
from bidwitness.storage.backup.logs import absent_shards, check_log, put_back
from bidwitness.storage.backup.manifest import (
    INDEX,
    KEYS,
    LOG,
    NAME,
    SEALED_NAME,
    TRUST,
    LogHead,
    Manifest,
    check_files,
    read_manifest,
)
from bidwitness.storage.backup.material import put_back_material
from bidwitness.storage.backup.rows import check_index_file, load_index, refuse_living_index
from bidwitness.storage.backup.sealing import unpack_keys, unseal
from bidwitness.storage.evidence.merkle import root
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database, known_revisions
from bidwitness.storage.index.models import Login, LogShard
from bidwitness.storage.keep.lock import KeepLock
from bidwitness.storage.ledger.shard import WriterLock
from bidwitness.storage.spool.files import SystemFiles

OPERATOR = Who("command line")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Verified:
    """A backup that is whole. ``keys``: by name; nothing if they were not asked for."""

    folder: Path
    manifest: Manifest
    keys: dict[str, bytes] | None


@dataclass(frozen=True)
class Restored:
    """What came back; what was there already stayed as it was."""

    keys: tuple[str, ...]
    shards: tuple[str, ...]


def verify_backup(folder: Path, passphrase: bytes | None, say: Say) -> Verified:
    """Look at all of a backup; change nothing. Without ``passphrase`` the keys stay closed, and
    nobody vouches that the backup is the one that was made.

    Raises ``DamageFound`` if it is not whole, ``InvalidInput`` if the passphrase is not its own or it
    was changed, ``ConfigError`` if a newer program made it.
    """
    manifest = read_manifest(folder)
    if manifest.revision not in known_revisions():
        raise ConfigError(f"A newer program made this backup (version {manifest.version}).")
    keys: dict[str, bytes] | None = None
    if passphrase is not None:
        if not (folder / SEALED_NAME).is_file():
            raise InvalidInput("This backup has no keys: say --without-keys.")
        sealed = unseal(passphrase, "manifest", (folder / SEALED_NAME).read_bytes())
        if sealed != (folder / NAME).read_bytes():
            raise DamageFound(f"{NAME} is not the one that this backup was made with.")
    check_files(folder, manifest)
    say(f"{len(manifest.files):,} files, {manifest.bytes:,} bytes: each as it was")
    if passphrase is not None:
        keys = unpack_keys(unseal(passphrase, "keys", (folder / KEYS).read_bytes()))
        if tuple(keys) != manifest.keys:
            raise DamageFound("The keys in the backup are not those that its manifest names.")
        say(f"keys: {len(keys)}, readable")
    check_index_file(folder / INDEX)
    say("index: whole")
    check_log(folder / LOG, manifest.site, manifest.log)
    for head in manifest.log:
        say(f"log {head.shard}: {head.size:,} entries, {head.state}")
    return Verified(folder, manifest, keys)


def restore_backup(
    database: Database, settings: Settings, clock: Clock, found: Verified, say: Say
) -> Restored:
    """Bring back what a verified backup holds and is not there: trust material, keys, log, last the index.

    Raises ``InvalidInput`` if it is another site's, ``Conflict`` if there is an index, another key or
    an older log, or `keep` runs; before anything is written. ``StorageFull``, ``ConfigError``.
    """
    if found.manifest.site != settings.site:
        raise InvalidInput(
            f"This is a backup of the site {found.manifest.site}; "
            f"BIDWITNESS_SITE says {settings.site}."
        )
    refuse_living_index(database)
    keeper, writer = KeepLock(database, settings.data / "keep.lock"), WriterLock(settings.log)
    if not keeper.acquire():
        raise Conflict("`keep` runs. Stop everything first.")
    try:
        writer.acquire()
        keys = _absent_keys(settings, found)
        shards = absent_shards(settings, found.manifest.log)
        # Before the key that could publish another version of the same number.
        versions = put_back_material(settings, SystemFiles(), found.folder / TRUST)
        say(f"trust material: {versions} versions written")
        for name in keys:
            make_key_file(settings.keys / name, (found.keys or {})[name])
        say(f"keys: {len(keys)} written")
        for head in shards:
            put_back(found.folder / LOG / head.shard, settings.log / head.shard)
        _tell_of_logs(found.manifest, shards, say)
        now = clock.utc_us()

        def finish(orm: Orm) -> None:
            _finish(orm, found, keys, shards, now)

        load_index(found.folder / INDEX, database, settings.data, finish)
        say("index: written")
    except OSError as error:
        raise StorageFull(f"The backup cannot be restored: {error.strerror}.") from error
    finally:
        writer.release()
        keeper.release()
    return Restored(tuple(keys), tuple(head.shard for head in shards))


def _absent_keys(settings: Settings, found: Verified) -> list[str]:
    absent = []
    for name, data in (found.keys or {}).items():
        path = settings.keys / name
        if not path.exists():
            absent.append(name)
        elif read_key_file(path, "") != data:
            raise Conflict(f"{path} is another key than the backup's. Move one of them away.")
    return absent


def _tell_of_logs(manifest: Manifest, shards: list[LogHead], say: Say) -> None:
    written = {head.shard for head in shards}
    for head in manifest.log:
        say(f"log {head.shard}: {'written' if head.shard in written else 'left as it was'}")


def _finish(orm: Orm, found: Verified, keys: list[str], shards: list[LogHead], now_us: int) -> None:
    """Mark the log, and end what must not come to life again; in the index's own transaction."""
    # A sign-in that was ended since would be good again.
    orm.execute(delete(Login))
    newest = orm.scalars(select(LogShard).order_by(LogShard.opened_us.desc()).limit(1)).first()
    if newest is None:
        # There may have been a log since, under this very name.
        year = utc_day(now_us)[:4]
        newest = LogShard(
            shard=year, opened_us=now_us, size=0, root=root([]), checkpoint_us=now_us, key=""
        )
        orm.add(newest)
    newest.restored_us = now_us
    orm.flush()
    facts = {
        "made": found.manifest.made_us,
        "version": found.manifest.version,
        "keys": keys,
        "log": [head.shard for head in shards],
    }
    subject = f"backup:{found.folder.name}"
    leave_audit_entry(orm, OPERATOR, "index.restore", subject[:200], now_us, facts=facts)
