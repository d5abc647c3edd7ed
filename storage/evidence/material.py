"""Published trust material: a policy with its version and the history of every key, as a signed note.

The centre signs it, and each witness countersigns it (cosignature/v1) after somebody of that
organisation has read it. A version repeats the whole history of those before and only adds to it:
no key comes or goes without a line that says so, and going needs a reason. Its second line is no
number, so that no signature under it can pass for one of a log's checkpoint.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from bidwitness.storage.evidence.note import ED25519, BadNote, Note, NoteKey, read_key, read_note
from bidwitness.storage.evidence.policy import BadPolicy, Policy, read_policy

MATERIAL_TITLE = "bidwitness trust material v1"
MAX_MATERIAL = 2_000_000
_COUNT = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_REASON = " | "
PLAIN_POLICY = (
    "信任材料未经签名:无法核对版本与公钥历史",
    "the trust material is not signed: neither its version nor its history of keys can be checked",
)
NO_POLICY_KEY = (
    "信任材料未用包外公钥核对:请以 --policy-key 给出中心公布的公钥或指纹",
    "the trust material was not checked against a key: give the centre's by --policy-key",
)


@dataclass(frozen=True)
class KeyChange:
    """In this version and on this day something came to be trusted, or ceased to be."""

    version: int
    day: str
    comes: bool
    what: str
    reason: str

    def line(self) -> str:
        """Give the line of the history."""
        head = f"{self.version} {self.day} {'+' if self.comes else '-'} {self.what}"
        return f"{head}{_REASON}{self.reason}" if self.reason else head


@dataclass(frozen=True)
class TrustMaterial:
    """One version. ``previous``: the digest of the version before, nothing in the first."""

    site: str
    version: int
    day: str
    previous: str | None
    centre: NoteKey
    history: tuple[KeyChange, ...]
    policy: Policy
    note: Note

    @property
    def digest(self) -> str:
        """SHA-256 of what is signed, in hex: what people compare with the paper."""
        return hashlib.sha256(self.note.text.encode()).hexdigest()

    @property
    def countersigned(self) -> dict[str, int]:
        """Which witnesses have countersigned, and when (seconds UTC)."""
        return self.policy.cosigned(self.note)

    def is_vouched_by(self, key: str) -> bool:
        """Say whether this key, whole or as its fingerprint, is one that has signed."""
        signers = [self.centre]
        signers += [self.policy.witnesses[name] for name in self.countersigned]
        # On paper a fingerprint stands in groups.
        given = "".join(key.split())
        return any(given in (str(signer), signer.fingerprint) for signer in signers)


def is_material(data: bytes) -> bool:
    """Say whether a file is published trust material, and not a bare policy."""
    return data.startswith(MATERIAL_TITLE.encode() + b"\n")


def read_material(data: bytes) -> TrustMaterial:
    """Read published trust material and check all that it says of itself: signatures, history.

    Raises ``BadPolicy``.
    """
    try:
        note = read_note(data, MAX_MATERIAL)
        material = _read_text(note)
        if note.verified_by(material.centre) is None:
            raise BadPolicy("the trust material is not signed by the centre that it names")
        # Raises for a countersignature that is wrong.
        material.policy.cosigned(note)
    except BadNote as error:
        raise BadPolicy(f"the trust material: {error}") from None
    return material


def check_extends(old: TrustMaterial, new: TrustMaterial) -> None:
    """See that a later version goes on from an earlier one. Raises ``BadPolicy`` saying what not."""
    if new.site != old.site or new.centre != old.centre:
        raise BadPolicy("the later version is of another centre, or of another key of it")
    if new.version < old.version:
        raise BadPolicy(f"version {new.version} comes after version {old.version}")
    if new.version == old.version and new.digest != old.digest:
        raise BadPolicy(f"there are TWO versions {new.version}: one of them was never published")
    if new.version == old.version + 1 and new.previous != old.digest:
        raise BadPolicy(
            f"version {new.version} does not follow the version {old.version} known here"
        )
    if new.day < old.day:
        raise BadPolicy(f"version {new.version} is older than version {old.version}")
    if new.history[: len(old.history)] != old.history:
        raise BadPolicy("the later version has another history: a line of it was changed or lost")
    late = [c for c in new.history[len(old.history) :] if c.version <= old.version]
    if late:
        raise BadPolicy(f"the later version adds to the history of version {late[0].version}")


def identities(policy: Policy) -> tuple[str, ...]:
    """Give what a policy says, a line each, as the history names it: certificates by SHA-256."""
    found = [f"log {key}" for key in policy.logs]
    found += [f"recorder {key}" for key in policy.recorders]
    found += [f"report sha256:{hashlib.sha256(item).hexdigest()}" for item in policy.reports]
    found += [f"witness {name} {key}" for name, key in policy.witnesses.items()]
    found += [
        f"group {name} {group.needed} {' '.join(group.members)}"
        for name, group in policy.groups.items()
    ]
    found += [
        f"timestamp {name} " + ",".join(f"sha256:{hashlib.sha256(c).hexdigest()}" for c in chain)
        for name, chain in policy.timestamps.items()
    ]
    return (*found, f"quorum {policy.quorum}")


def material_text(
    site: str,
    version: int,
    day: str,
    previous: str | None,
    centre: NoteKey,
    history: tuple[KeyChange, ...],
    policy: str,
) -> str:
    """Give the text of a version, to be signed. ``policy``: its lines."""
    head = [
        MATERIAL_TITLE,
        f"site {site}",
        f"version {version}",
        f"day {day}",
        f"previous {previous or 'none'}",
        f"centre {centre}",
    ]
    lines = [*head, "", "history", *(change.line() for change in history), "", "policy"]
    return "".join(f"{line}\n" for line in lines) + policy


@dataclass(frozen=True)
class Trusted:
    """A policy to verify by, and what is told of it: ``facts`` of a published one."""

    policy: Policy
    facts: dict[str, Any] | None = None
    notes: tuple[tuple[str, str], ...] = ()


def trust(data: bytes, key: str | None = None) -> Trusted:
    """Read trust material, published or bare. ``key``: one, or its fingerprint, that it must be
    signed by. Raises ``BadPolicy``."""
    if not is_material(data):
        if key is not None:
            raise BadPolicy("the policy is not signed: it is not what was published with that key")
        return Trusted(read_policy(data), None, (PLAIN_POLICY,))
    material = read_material(data)
    if key is not None and not material.is_vouched_by(key):
        raise BadPolicy("the trust material is not signed by the key that was given")
    signed = material.countersigned
    facts = {
        "site": material.site,
        "version": material.version,
        "day": material.day,
        "digest": material.digest,
        "checked": key is not None,
        "countersigned": [{"name": name, "at": at} for name, at in sorted(signed.items())],
        "missing": sorted(set(material.policy.witnesses) - set(signed)),
    }
    return Trusted(material.policy, facts, () if key is not None else (NO_POLICY_KEY,))


def _read_text(note: Note) -> TrustMaterial:
    head, found, rest = note.text.partition("\n\nhistory\n")
    middle, also, policy = rest.partition("\n\npolicy\n")
    lines = head.split("\n")
    if not found or not also or len(lines) != 6 or lines[0] != MATERIAL_TITLE:
        raise BadPolicy("the trust material has not the form of its first version")
    values: list[str] = []
    for line, name in zip(lines[1:], ("site", "version", "day", "previous", "centre"), strict=True):
        word, _, value = line.partition(" ")
        if word != name:
            raise BadPolicy(f"the trust material does not say its {name}")
        values.append(value)
    site, version, day, previous, centre = values
    good = _SITE.fullmatch(site) and _COUNT.fullmatch(version) and _ISO_DAY.fullmatch(day)
    if not good or not (previous == "none" or _HEX.fullmatch(previous)):
        raise BadPolicy("site, version, day or previous version is not well written")
    if (int(version) == 1) != (previous == "none"):
        raise BadPolicy("only the first version has none before it")
    key = read_key(centre)
    if key.kind != ED25519:
        raise BadPolicy("the centre's key is a key for something else")
    history = tuple(_read_change(line) for line in middle.split("\n"))
    material = TrustMaterial(
        site=site,
        version=int(version),
        day=day,
        previous=None if previous == "none" else previous,
        centre=key,
        history=history,
        policy=read_policy(policy.encode()),
        note=note,
    )
    _check_history(material)
    return material


def _read_change(line: str) -> KeyChange:
    parts = line.split(" ", 3)
    if len(parts) != 4 or not _COUNT.fullmatch(parts[0]) or not _ISO_DAY.fullmatch(parts[1]):
        raise BadPolicy(f"a line of the history is not well written: {line[:80]!a}")
    what, _, reason = parts[3].partition(_REASON)
    change = KeyChange(int(parts[0]), parts[1], parts[2] == "+", what, reason)
    if change.line() != line or (not change.comes and not reason):
        raise BadPolicy(f"a line of the history is not well written: {line[:80]!a}")
    return change


def _check_history(material: TrustMaterial) -> None:
    """See that the history, told from its beginning, ends in the policy that stands below it."""
    present: set[str] = set()
    before = (1, "")
    for change in material.history:
        here = (change.version, change.day)
        if change.version < before[0] or change.day < before[1]:
            raise BadPolicy("the history goes back in time")
        if (change.what in present) == change.comes:
            how = "comes twice" if change.comes else "goes and never came"
            raise BadPolicy(f"in the history {change.what[:80]!a} {how}")
        (present.add if change.comes else present.remove)(change.what)
        before = here
    if before[0] > material.version or before[1] > material.day:
        raise BadPolicy("the history is of a later version than this one")
    said = set(identities(material.policy))
    for what in sorted(said ^ present):
        where = "is trusted but not in the history" if what in said else "has DISAPPEARED from it"
        raise BadPolicy(f"the policy is not that of its history: {what[:80]!a} {where}")
