"""Publishing trust material: each version signed by the centre, going on from the one before."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import ConfigError, DamageFound, InvalidInput, NotFound
from bidwitness.storage.evidence.entries import RosterEntry
from bidwitness.storage.evidence.material import (
    KeyChange,
    TrustMaterial,
    check_extends,
    identities,
    material_text,
    read_material,
)
from bidwitness.storage.evidence.note import NoteSignature, write_note
from bidwitness.storage.evidence.policy import BadPolicy, Policy
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.outbox import put_in_outbox
from bidwitness.storage.ledger.keys import Signer, open_signer
from bidwitness.storage.ledger.trust import policy_lines, site_policy
from bidwitness.storage.spool.files import Files, replace_file

TRUST = "trust"
MIN_FINGERPRINT = 16
Held = TypeVar("Held")


class Publisher:
    """The versions of a site's trust material, in a folder of their own."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, files: Files) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._files = files

    def publish(self, who: Who, *, reason: str = "", retire: Sequence[str] = ()) -> TrustMaterial:
        """Publish what is trusted now, if that differs from the last version; give the newest.

        Keys of logs, recorders, reports and authorities stay once they were published, unless
        ``retire`` names their fingerprint. Whatever goes needs the ``reason``. Raises
        ``InvalidInput`` without one, ``NotFound`` while there is no log, and ``ConfigError``.
        """
        last = newest(self._settings)
        policy = site_policy(self._database, self._settings, announced=True)
        if last is not None:
            policy = _carried_over(policy, last.policy)
        policy = _retired(policy, retire)
        if last is None or set(identities(policy)) != set(identities(last.policy)):
            last = self._write(policy, last, reason)
        # Also for a version that was written by a process that died here.
        self._log(who, last, reason)
        return last

    def add(self, who: Who, data: bytes) -> tuple[TrustMaterial, list[str]]:
        """Take the countersignatures of a file that a witness sent back; give whose are new.

        Raises ``InvalidInput`` if it is not a version that was published here, or holds a
        signature that is wrong.
        """
        try:
            given = read_material(data)
        except BadPolicy as error:
            raise InvalidInput(f"This file cannot be used: {error}.") from None
        version = given.version
        held = published(self._settings, version)
        if given.note.text != held.note.text:
            raise InvalidInput(f"This is not the version {version} that was published here.")
        had = set(held.countersigned)
        signatures = list(dict.fromkeys((*held.note.signatures, *given.note.signatures)))
        known = [s for s in signatures if _known(held, s)]
        self._keep(version, write_note(held.note.text, known))
        now = published(self._settings, version)
        fresh = sorted(set(now.countersigned) - had)
        if fresh:
            with self._database.write() as orm:
                leave_audit_entry(
                    orm,
                    who,
                    "trust.countersigned",
                    TRUST,
                    self._clock.utc_us(),
                    facts={"version": version, "digest": now.digest, "witnesses": fresh},
                )
        return now, fresh

    def _write(self, policy: Policy, last: TrustMaterial | None, reason: str) -> TrustMaterial:
        signer = self._signer(last)
        version = 1 if last is None else last.version + 1
        today = utc_day(self._clock.utc_us())
        day = f"{today[:4]}-{today[4:6]}-{today[6:]}"
        history = _history(last, policy, version, day, " ".join(reason.split()))
        body = "".join(f"{line}\n" for line in policy_lines(policy))
        previous = None if last is None else last.digest
        text = material_text(self._settings.site, version, day, previous, signer.key, history, body)
        data = signer.note(text)
        try:
            made = read_material(data)
            if last is not None:
                check_extends(last, made)
        except BadPolicy as error:
            raise ConfigError(f"No version can be published: {error}.") from None
        self._keep(version, data)
        return made

    def _signer(self, last: TrustMaterial | None) -> Signer:
        """Open the centre's key; it is made with the first version and never again."""
        path, name = self._settings.trust_key_file, f"{self._settings.site}/{TRUST}"
        signer = open_signer(path, name, create=last is None)
        if last is not None and signer.key != last.centre:
            raise ConfigError(f"The key file {path} is not the key that published version 1.")
        return signer

    def _keep(self, version: int, data: bytes) -> None:
        self._files.make_dirs(self._settings.trust)
        replace_file(self._files, _path(self._settings, version), data)

    def _log(self, who: Who, made: TrustMaterial, reason: str) -> None:
        now = self._clock.utc_us()
        entry = RosterEntry(TRUST, f"sha256:{made.digest}")
        with self._database.write() as orm:
            if put_in_outbox(orm, f"{TRUST}:{made.version}", entry, now):
                facts = {"version": made.version, "digest": made.digest}
                leave_audit_entry(
                    orm, who, "trust.publish", TRUST, now, reason=reason or None, facts=facts
                )


def newest(settings: Settings) -> TrustMaterial | None:
    """Give the newest published version, nothing before the first. Raises ``DamageFound``."""
    versions = sorted(int(path.stem) for path in settings.trust.glob("[0-9]*.txt"))
    return published(settings, versions[-1]) if versions else None


def published(settings: Settings, version: int) -> TrustMaterial:
    """Give a published version. Raises ``NotFound``, ``DamageFound``."""
    try:
        material = read_material(published_bytes(settings, version))
    except BadPolicy as error:
        raise DamageFound(f"Version {version} of the trust material is damaged: {error}.") from None
    if (material.site, material.version) != (settings.site, version):
        raise DamageFound(f"The trust material {version} is of another site or version.")
    return material


def published_bytes(settings: Settings, version: int) -> bytes:
    """Give a published version as it stands. Raises ``NotFound``."""
    try:
        return _path(settings, version).read_bytes()
    except FileNotFoundError:
        raise NotFound("There is no such version of the trust material.") from None


def _path(settings: Settings, version: int) -> Path:
    return settings.trust / f"{version:06d}.txt"


def _carried_over(policy: Policy, last: Policy) -> Policy:
    """Keep what vouches for what is past: old packages are verified by it."""
    for name in sorted(set(policy.timestamps) & set(last.timestamps)):
        if policy.timestamps[name] != last.timestamps[name]:
            raise ConfigError(
                f"BIDWITNESS_WITNESSES: the authority {name} has another certificate than was "
                "published. Give the new one a line of its own under a new name."
            )
    return replace(
        policy,
        logs=_both(policy.logs, last.logs),
        recorders=_both(policy.recorders, last.recorders),
        reports=_both(policy.reports, last.reports),
        timestamps={**last.timestamps, **policy.timestamps},
    )


def _both(now: Sequence[Held], before: Sequence[Held]) -> tuple[Held, ...]:
    return tuple(dict.fromkeys((*before, *now)))


def _retired(policy: Policy, retire: Sequence[str]) -> Policy:
    """Take out what is named by the beginning of its fingerprint."""
    for given in retire:
        if len(given) < MIN_FINGERPRINT:
            raise InvalidInput(f"Name a key by {MIN_FINGERPRINT} digits of its SHA-256 at least.")
        before = policy
        policy = replace(
            policy,
            logs=tuple(k for k in policy.logs if not k.fingerprint.startswith(given)),
            recorders=tuple(k for k in policy.recorders if not k.fingerprint.startswith(given)),
            reports=tuple(c for c in policy.reports if not _digest(c).startswith(given)),
            timestamps=_without(policy.timestamps, given),
        )
        if policy == before:
            raise InvalidInput(f"No key of this site has a fingerprint that begins with {given}.")
    return policy


def _without(
    timestamps: Mapping[str, tuple[bytes, ...]], given: str
) -> dict[str, tuple[bytes, ...]]:
    return {n: c for n, c in timestamps.items() if not _digest(c[0]).startswith(given)}


def _digest(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()


def _history(
    last: TrustMaterial | None, policy: Policy, version: int, day: str, reason: str
) -> tuple[KeyChange, ...]:
    before = () if last is None else identities(last.policy)
    after = identities(policy)
    gone = [what for what in before if what not in after]
    if gone and not reason:
        raise InvalidInput(
            "These are trusted no more, which needs a reason: " + "; ".join(gone)[:400],
            fields={"reason": "missing"},
        )
    changes = [KeyChange(version, day, False, what, reason) for what in gone]
    changes += [KeyChange(version, day, True, what, "") for what in after if what not in before]
    return (*(() if last is None else last.history), *changes)


def _known(material: TrustMaterial, signature: NoteSignature) -> bool:
    """Say whether a signature is of somebody whom this version names."""
    keys = [material.centre, *material.policy.witnesses.values()]
    return any((signature.name, signature.key_id) == (key.name, key.id) for key in keys)
