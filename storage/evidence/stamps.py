"""The time stamps in a package: older and newer checkpoints of a log, each with tokens over it.

``data/log/SHARD/stamps/SIZE/checkpoint`` is what was stamped, byte for byte; the files ``NAME.tsr``
beside it are the answers of the authorities. What the log holds below a stamped size was there at
the token's time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical, parse
from bidwitness.storage.evidence.chain import Problem
from bidwitness.storage.evidence.entries import ENTRY_VERSION
from bidwitness.storage.evidence.merkle import verify_consistency
from bidwitness.storage.evidence.note import BadNote, Checkpoint, read_checkpoint, read_note
from bidwitness.storage.evidence.policy import Policy
from bidwitness.storage.evidence.records import utc_text
from bidwitness.storage.evidence.schema import Count, Hex32, from_json, to_json
from bidwitness.storage.evidence.token import BadToken, read_token

STAMPS = "stamps/"
CONSISTENCY = "consistency.ndjson"
TOKEN_SUFFIX = ".tsr"
# A record may be written so long before its time, by a recorder whose clock is off.
EARLY_US = 300_000_000
# So long after it was written a record is stamped at the latest, while the site and its authority
# work as they should; an outage is allowed for.
LATE_US = 86_400_000_000
# Holds a token against what was stamped and the certificates that are trusted; raises ``BadToken``.
TokenCheck: TypeAlias = Callable[[bytes, bytes, Sequence[bytes]], None]
NO_TOKEN_CHECK = (
    "时间戳机构的签名与证书(本程序只核对其摘要)",
    "signatures and certificates of time stamps (only what they are over)",
)


@dataclass(frozen=True)
class ConsistencyFacts:
    """That the smaller of two checkpoints is a prefix of the larger: of the one that was stamped
    at ``size``, and the shard's."""

    T: ClassVar[str] = "consistent"
    size: Count
    path: tuple[Hex32, ...]

    def line(self) -> bytes:
        """Give it as it stands in a package."""
        return canonical({"v": ENTRY_VERSION, "t": self.T, **to_json(self)})


def read_consistency(line: bytes) -> ConsistencyFacts:
    """Read such a line, of unknown origin. Raises ``BadRecord``."""
    obj: dict[str, JsonValue] = parse(line)
    version = obj.pop("v", None)
    if isinstance(version, bool) or version != ENTRY_VERSION:
        raise BadRecord("$.v: this version is not known")
    if obj.pop("t", None) != ConsistencyFacts.T:
        raise BadRecord("$.t: not a line about consistency")
    facts: ConsistencyFacts = from_json(ConsistencyFacts, obj)
    return facts


@dataclass(frozen=True)
class Stamp:
    """An authority saw the log's first ``size`` entries at ``at`` (µs UTC)."""

    origin: str
    size: int
    name: str
    at: int
    serial: int


@dataclass
class StampFindings:
    """``stamps``: those whose authority is trusted, and that are what they should be."""

    problems: list[Problem] = field(default_factory=list)
    unproven: list[tuple[str, str]] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)


class StampVerification:
    """Holds a shard's time stamps against its checkpoint and a policy. ``base``: the shard's folder
    in the package."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        base: str,
        policy: Policy,
        check_token: TokenCheck | None,
    ) -> None:
        self._files = files
        self._base = base
        self._policy = policy
        self._check_token = check_token
        self.findings = StampFindings()

    def run(self, head: Checkpoint) -> StampFindings:
        """Give what was found. ``head``: the shard's checkpoint, whose signature is good."""
        paths = self._paths()
        for name in sorted(self._files):
            rest = name[len(self._base) :]
            if not name.startswith(self._base + STAMPS) or not rest.endswith("/checkpoint"):
                continue
            try:
                stamped = self._stamped(name, head, paths)
            except (BadNote, ValueError) as error:
                self._wrong("modified", name, str(error))
                continue
            self._read_tokens(name[: -len("checkpoint")], stamped, self._files[name])
        return self.findings

    def _wrong(self, kind: str, where: str, detail: str) -> None:
        self.findings.problems.append(Problem(kind, where, detail))

    def _paths(self) -> dict[int, list[bytes]]:
        name, out = self._base + CONSISTENCY, {}
        for number, line in enumerate(self._files.get(name, b"").split(b"\n")[:-1], 1):
            try:
                facts = read_consistency(line)
                out[facts.size] = [bytes.fromhex(item) for item in facts.path]
            except BadRecord as error:
                self._wrong("modified", f"{name} line {number}", str(error))
        return out

    def _stamped(
        self, name: str, head: Checkpoint, paths: Mapping[int, Sequence[bytes]]
    ) -> Checkpoint:
        """Read a stamped checkpoint. Raises ``BadNote`` if it is not one of this very log."""
        note = read_note(self._files[name])
        stamped = read_checkpoint(note)
        key = self._policy.log(head.origin)
        if stamped.origin != head.origin or key is None or note.verified_by(key) is None:
            raise BadNote(f"not signed by the key of {head.origin} that is trusted")
        first, second = sorted((stamped, head), key=lambda item: item.size)
        path = paths.get(stamped.size, ())
        if not verify_consistency(first.size, second.size, first.root, second.root, path):
            raise BadNote("is not of the history that the shard's checkpoint is of")
        return stamped

    def _read_tokens(self, folder: str, stamped: Checkpoint, message: bytes) -> None:
        for name in sorted(self._files):
            rest = name[len(folder) :]
            if not name.startswith(folder) or not rest.endswith(TOKEN_SUFFIX):
                continue
            authority = rest[: -len(TOKEN_SUFFIX)]
            certificates = self._policy.timestamps.get(authority)
            try:
                token = read_token(self._files[name])
                if not token.is_of(message):
                    raise BadToken("is not of the checkpoint beside it")
                if certificates is None:
                    continue  # nobody who is trusted: it says nothing, and harms nothing
                if self._check_token is not None:
                    self._check_token(self._files[name], message, certificates)
            except BadToken as error:
                self._wrong("modified", name, str(error))
                continue
            found = Stamp(stamped.origin, stamped.size, authority, token.at, token.serial)
            self.findings.stamps.append(found)


@dataclass(frozen=True)
class StampedRecord:
    """A session's record: where it stands in which log, and when it says that it was written."""

    where: str
    origin: str
    index: int
    at: int


def hold_against_stamps(
    records: Sequence[StampedRecord], stamps: Sequence[Stamp], policy: Policy
) -> StampFindings:
    """Hold the times that records state against when they can be shown to have been there. Pure."""
    found = StampFindings()
    if not policy.timestamps:
        return found
    bare, late = [], []
    for record in records:
        times = [s.at for s in stamps if s.origin == record.origin and s.size > record.index]
        if not times:
            bare.append(record.where)
        elif min(times) < record.at - EARLY_US:
            said = f"says {utc_text(record.at)}, and was there by {utc_text(min(times))}"
            found.problems.append(Problem("inconsistent", record.where, said))
        elif min(times) > record.at + LATE_US:
            late.append(f"{record.where} ({utc_text(record.at)}, {utc_text(min(times))})")
    if bare:
        said = f"no trusted time stamp covers {', '.join(bare[:5])}"
        found.unproven.append((f"没有可信时间戳覆盖 {', '.join(bare[:5])}", said))
    if late:
        said = f"stamped more than a day after the time that they state: {', '.join(late[:5])}"
        found.unproven.append((f"时间戳晚于所述时间一天以上: {', '.join(late[:5])}", said))
    return found
