"""Trust material from outside a package: C2SP's tlog-policy, and whom else its holder trusts.

Three kinds of lines more than there: ``recorder KEY``; ``report CERTIFICATE``, that evidence reports
are signed by; and ``timestamp NAME CERTIFICATES [URL]`` with
a time-stamping authority's certificate in DER and base64, and behind commas those above it, the
root last; one that signed itself stands alone. What a quorum is made of, and that
a group counts each member once, is as C2SP defines it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bidwitness.storage.evidence.note import (
    COSIGNATURE,
    ED25519,
    BadNote,
    Note,
    NoteKey,
    from_base64,
    read_key,
)

NO_QUORUM = "none"
MAX_POLICY = 1_000_000
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


class BadPolicy(ValueError):
    """Not a policy; names the line."""


@dataclass(frozen=True)
class Group:
    """Holds if at least ``needed`` of its members do: witnesses, or groups."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """Whom its holder trusts. ``quorum`` names a witness, a group, or is ``none``.

    ``timestamps``: the certificates of time-stamping authorities, by name. ``urls``: where a witness
    or an authority is asked, by its name, if that is said. ``reports``: the certificates (DER) that
    evidence reports are signed by.
    """

    logs: tuple[NoteKey, ...]
    recorders: tuple[NoteKey, ...]
    witnesses: Mapping[str, NoteKey]
    groups: Mapping[str, Group]
    quorum: str
    timestamps: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    reports: tuple[bytes, ...] = ()

    def log(self, origin: str) -> NoteKey | None:
        """Give the key of the log that calls itself so."""
        return next((key for key in self.logs if key.name == origin), None)

    def cosigned(self, note: Note) -> dict[str, int]:
        """Give which witnesses have cosigned, and when (seconds UTC).

        Raises ``BadNote`` if a cosignature of a known witness is wrong.
        """
        found = {name: note.verified_by(key) for name, key in self.witnesses.items()}
        return {name: at for name, at in found.items() if at is not None}

    def quorum_met(self, note: Note) -> bool:
        """Say whether enough witnesses have cosigned. Raises as ``cosigned`` does."""
        return self.enough(self.cosigned(note))

    def enough(self, names: Iterable[str]) -> bool:
        """Say whether these witnesses are a quorum."""
        return self.quorum == NO_QUORUM or self._holds(self.quorum, set(names))

    def _holds(self, name: str, there: set[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in there
        return sum(self._holds(member, there) for member in group.members) >= group.needed


def read_policy(data: bytes) -> Policy:
    """Read a policy. Raises ``BadPolicy``."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPolicy("a policy is UTF-8") from None
    if len(data) > MAX_POLICY:
        raise BadPolicy("a policy is not so long")
    reading = _Reading()
    for number, line in enumerate(text.split("\n"), 1):
        words = re.split("[ \t]+", line.strip(" \t"))
        if words == [""] or words[0].startswith("#"):
            continue
        try:
            reading.take(words[0], words[1:])
        except (BadNote, BadPolicy) as error:
            raise BadPolicy(f"line {number} of the policy: {error}") from None
    if reading.quorum is None:
        raise BadPolicy("the policy has no quorum line (`quorum none` asks for no witness)")
    return Policy(
        tuple(reading.logs),
        tuple(reading.recorders),
        reading.witnesses,
        reading.groups,
        reading.quorum,
        reading.timestamps,
        reading.urls,
        tuple(reading.reports),
    )


class _Reading:
    def __init__(self) -> None:
        self.logs: list[NoteKey] = []
        self.recorders: list[NoteKey] = []
        self.witnesses: dict[str, NoteKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self.timestamps: dict[str, tuple[bytes, ...]] = {}
        self.urls: dict[str, str] = {}
        self.reports: list[bytes] = []
        self._members: set[str] = set()

    def take(self, kind: str, words: Sequence[str]) -> None:
        count = len(words)
        if kind == "log" and count in (1, 2):
            self.logs.append(_key(words[0], ED25519, self.logs))
        elif kind == "recorder" and count == 1:
            self.recorders.append(_key(words[0], ED25519, self.recorders))
        elif kind == "witness" and count in (2, 3):
            key = _key(words[1], COSIGNATURE, list(self.witnesses.values()))
            self.witnesses[self._new(words[0])] = key
            self.urls.update(zip(words[:1], words[2:], strict=False))
        elif kind == "timestamp" and count in (2, 3):
            parts = tuple(from_base64(part) for part in words[1].split(","))
            self.timestamps[self._new(words[0])] = parts
            self.urls.update(zip(words[:1], words[2:], strict=False))
        elif kind == "report" and count == 1:
            self.reports.append(from_base64(words[0]))
        elif kind == "group" and count >= 3:
            self._group(words[0], words[1], words[2:])
        elif kind == "quorum" and count == 1 and self.quorum is None:
            if words[0] != NO_QUORUM:
                self._known(words[0])
            self.quorum = words[0]
        else:
            raise BadPolicy(f"{kind!a} with {count} word(s) is not known")

    def _group(self, name: str, threshold: str, members: Sequence[str]) -> None:
        for member in members:
            self._known(member)
            if member in self._members:
                raise BadPolicy(f"{member} is a member twice")
            self._members.add(member)
        needed = {"all": len(members), "any": 1}.get(threshold, 0)
        if not needed:
            needed = int(threshold) if _THRESHOLD.fullmatch(threshold) else 0
        if not 0 < needed <= len(members):
            raise BadPolicy(f"{threshold} of {len(members)} is no threshold")
        self.groups[self._new(name)] = Group(needed, tuple(members))

    def _new(self, name: str) -> str:
        if name == NO_QUORUM or any(
            name in names for names in (self.witnesses, self.groups, self.timestamps)
        ):
            raise BadPolicy(f"the name {name} is taken")
        return name

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise BadPolicy(f"{name} is not defined above")


def _key(text: str, kind: int, others: Sequence[NoteKey]) -> NoteKey:
    key = read_key(text)
    if key.kind != kind:
        raise BadPolicy(f"{key.name} is a key for something else")
    if any(key.public == other.public for other in others):
        raise BadPolicy(f"the key of {key.name} is there twice")
    return key
