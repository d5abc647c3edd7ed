"""Trust material: the public keys that a verifier must have from elsewhere than the package."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import NotFound
from bidwitness.storage.evidence.entries import RosterEntry, read_entry
from bidwitness.storage.evidence.note import NoteKey, read_key
from bidwitness.storage.evidence.policy import NO_QUORUM, Policy
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.evidence_report.signing import der_of, read_report_certificates
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard, Outbox
from bidwitness.storage.index.outbox import put_in_outbox
from bidwitness.storage.ledger.keys import key_path, open_signer
from bidwitness.storage.ledger.shard import origin_of, read_head
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.ledger.trusted import read_trusted

# A shard's own key stands right after its first entry.
KEY_PLACE = 1


def write_policy(database: Database, settings: Settings) -> bytes:
    """Give ``site_policy`` as a file."""
    head = "# BidWitness: compare each fingerprint with the one that the centre publishes."
    lines = [head, *policy_lines(site_policy(database, settings))]
    return "".join(f"{line}\n" for line in lines).encode()


def site_policy(database: Database, settings: Settings, *, announced: bool = False) -> Policy:
    """Give a policy with every key of this site's logs, recorders and reports, and the witnesses and
    time-stamping authorities of the settings. ``announced``: with keys of logs still to begin.

    The site's keys come from the logs themselves. Raises ``NotFound`` while there is no log,
    ``DamageFound`` if its files are not whole, ``ConfigError`` if the settings are wrong.
    """
    with database.read() as orm:
        shards = list(orm.scalars(select(LogShard.shard).order_by(LogShard.opened_us)))
        rosters = orm.execute(
            select(Outbox.shard, Outbox.position)
            .where(Outbox.kind == RosterEntry.T, Outbox.shard.is_not(None))
            .order_by(Outbox.id)
        ).all()
    tiles: dict[str, Tiles] = {}
    logs: list[NoteKey | None] = []
    for shard in shards:
        folder = settings.log / shard
        found = read_head(folder, origin_of(settings.site, shard))
        if found is not None:
            tiles[shard] = Tiles(folder, found[0].size)
            logs.append(_key_at(tiles[shard], KEY_PLACE, "log"))
    if not tiles:
        raise NotFound("There is no log yet: start `bidwitness keep` first.")
    recorders = [
        _key_at(tiles[shard], position, "recorder")
        for shard, position in rosters
        if shard in tiles and position is not None
    ]
    if announced:
        logs += [
            _key_at(tiles[shard], position, "log")
            for shard, position in rosters
            if shard in tiles and position is not None
        ]
    others = read_trusted(settings.witnesses)
    return replace(
        others,
        logs=_once(logs),
        recorders=_once(recorders),
        reports=tuple(der_of(item) for item in read_report_certificates(settings)[:1]),
        urls={},
    )


def _once(keys: Sequence[NoteKey | None]) -> tuple[NoteKey, ...]:
    return tuple(dict.fromkeys(key for key in keys if key is not None))


def announce_next_year(database: Database, settings: Settings, clock: Clock) -> bytes:
    """Make the key of the coming year's log, have it logged in this year's, and give its lines.

    So witnesses know it before the year begins. Raises ``ConfigError`` if the key cannot be made.
    """
    now = clock.utc_us()
    shard = str(int(utc_day(now)[:4]) + 1)
    name = origin_of(settings.site, shard)
    key = open_signer(key_path(settings, shard), name, create=True).key
    with database.write() as orm:
        put_in_outbox(orm, f"roster:{name}", RosterEntry("log", str(key)), now)
    return "".join(f"{line}\n" for line in ["", "# The coming year.", *_line("log", key)]).encode()


def policy_lines(policy: Policy) -> list[str]:
    """Give the lines of a policy, each key with its fingerprint above it; no addresses."""
    lines: list[str] = []
    for key in policy.logs:
        lines += _line("log", key)
    for key in policy.recorders:
        lines += _line("recorder", key)
    for certificate in policy.reports:
        lines += _certificate(f"report {base64.b64encode(certificate).decode()}", certificate)
    for name, key in policy.witnesses.items():
        lines += _line(f"witness {name}", key)
    for name, group in policy.groups.items():
        lines += ["", f"group {name} {group.needed} {' '.join(group.members)}"]
    for name, certificates in policy.timestamps.items():
        body = ",".join(base64.b64encode(item).decode() for item in certificates)
        lines += _certificate(f"timestamp {name} {body}", certificates[0])
    if policy.quorum == NO_QUORUM:
        lines += ["", "# No witness of another organisation is asked for."]
    return [*lines, f"quorum {policy.quorum}"]


def _certificate(line: str, certificate: bytes) -> list[str]:
    return ["", f"# SHA-256 {hashlib.sha256(certificate).hexdigest()}", line]


def _key_at(tiles: Tiles, place: int, role: str) -> NoteKey | None:
    """Give the key that the log says came into use there, if it is of this role."""
    entry = read_entry(tiles.entry(place))
    if isinstance(entry, RosterEntry) and entry.role == role:
        return read_key(entry.key)
    return None


def _line(kind: str, key: NoteKey) -> list[str]:
    return ["", f"# SHA-256 {key.fingerprint}", f"{kind} {key}"]
