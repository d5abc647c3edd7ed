"""What a package carries of the log, and what it proves: each record and epoch in a signed log.

``data/log/SHARD/checkpoint`` is the log's signed note, ``data/log/SHARD/entries.ndjson`` entries
with their inclusion proofs, ``data/log/covered.ndjson`` says which epoch covers which stretch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical, parse
from bidwitness.storage.evidence.chain import Problem
from bidwitness.storage.evidence.ed25519 import ed25519_verifies
from bidwitness.storage.evidence.entries import (
    ENTRY_VERSION,
    EpochEntry,
    EpochHead,
    LogEntry,
    SessionEntry,
    entry_object,
    entry_of,
    epoch_message,
    head_leaf,
    session_tag,
)
from bidwitness.storage.evidence.merkle import hash_leaf, verify_inclusion
from bidwitness.storage.evidence.note import BadNote, Checkpoint, read_checkpoint, read_note
from bidwitness.storage.evidence.policy import NO_QUORUM, Policy
from bidwitness.storage.evidence.schema import Count, Hex32, Name, from_json, to_json
from bidwitness.storage.evidence.session_records import HeadFacts
from bidwitness.storage.evidence.stamps import (
    Stamp,
    StampedRecord,
    StampVerification,
    TokenCheck,
    hold_against_stamps,
)

LOG_FOLDER = "data/log/"
COVERED_FILE = "data/log/covered.ndjson"
NO_WITNESS = (
    "信任材料不要求共签(法定数为 0):账本私钥的持有者可能向不同的人出示不同的账本",
    "the trust material asks for no witness (quorum 0): the log's owner could show others another",
)


@dataclass(frozen=True)
class LoggedFacts:
    """An entry of a log and its way to the root."""

    T: ClassVar[str] = "logged"
    index: Count
    path: tuple[Hex32, ...]
    entry: LogEntry

    def line(self) -> bytes:
        """Give it as it stands in a package."""
        path: list[JsonValue] = [*self.path]
        body = {"index": self.index, "path": path, "entry": entry_object(self.entry)}
        return canonical({"v": ENTRY_VERSION, "t": self.T, **body})


@dataclass(frozen=True)
class CoveredFacts:
    """That an epoch covers a stretch: record ``last`` of the head's day is in the tree of the
    head (``record_path``), and the head is the epoch's number ``number`` (``path``)."""

    T: ClassVar[str] = "covered"
    recorder: Name
    epoch: Count
    number: Count
    path: tuple[Hex32, ...]
    head: EpochHead
    last: Count
    record_path: tuple[Hex32, ...]

    def line(self) -> bytes:
        """Give it as it stands in a package."""
        return canonical({"v": ENTRY_VERSION, "t": self.T, **to_json(self)})


@dataclass(frozen=True)
class LogIndex:
    index: Count
    path: tuple[Hex32, ...]


def _unwrap(line: bytes, kind: str) -> dict[str, JsonValue]:
    obj = parse(line)
    version = obj.pop("v", None)
    if isinstance(version, bool) or version != ENTRY_VERSION or obj.pop("t", None) != kind:
        raise BadRecord(f"$: not a line of kind {kind}")
    return obj


def read_logged(line: bytes) -> LoggedFacts:
    """Read an entry with its proof, of unknown origin. Raises ``BadRecord``."""
    obj = _unwrap(line, LoggedFacts.T)
    entry = obj.pop("entry", None)
    if not isinstance(entry, dict):
        raise BadRecord("$.entry: an object is needed")
    place: LogIndex = from_json(LogIndex, obj)
    return LoggedFacts(place.index, place.path, entry_of(entry))


def read_covered(line: bytes) -> CoveredFacts:
    """Read which epoch covers a stretch, of unknown origin. Raises ``BadRecord``."""
    facts: CoveredFacts = from_json(CoveredFacts, _unwrap(line, CoveredFacts.T))
    return facts


def _hashes(path: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(item) for item in path]


@dataclass(frozen=True)
class LogClaims:
    """What the log is asked about: a session, the leaf hash of each of its records in order, the
    stretches that its close and supplements name, and when each record says it was written."""

    session: str
    leaves: Sequence[str]
    heads: Sequence[HeadFacts]
    times: Sequence[int] = ()


@dataclass
class LogFindings:
    """``problems`` contradict the package; ``unproven`` is what is merely not shown; ``logs`` say
    origin, size, key and witnesses of what was held against the policy, ``stamps`` its time stamps."""

    problems: list[Problem] = field(default_factory=list)
    unproven: list[tuple[str, str]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    stamps: list[Stamp] = field(default_factory=list)


class LogVerification:
    """Holds the log's part of a package against its records, and against a policy if there is
    one. ``files``: the lines of each file under ``data/log/``, and the whole of a checkpoint."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        policy: Policy | None,
        check_token: TokenCheck | None = None,
    ) -> None:
        self._files = files
        self._policy = policy
        self._check_token = check_token
        self._entries: list[LogEntry] = []
        # Of each of the session's records, by its number: in which log it stands, and where.
        self._places: dict[str, tuple[str, int]] = {}
        self.findings = LogFindings()

    def run(self, claims: LogClaims) -> LogFindings:
        """Give what was found."""
        if self._policy is None:
            self._unproven("未提供包外信任材料", "no trust material from outside was given")
        for name in sorted(self._files):
            if name.endswith("/checkpoint") and name.count("/") == LOG_FOLDER.count("/") + 1:
                self._read_shard(name, name[: -len("checkpoint")] + "entries.ndjson")
        self._check_session(claims)
        self._check_heads(claims.heads)
        self._check_times(claims)
        return self.findings

    def _wrong(self, kind: str, where: str, detail: str) -> None:
        self.findings.problems.append(Problem(kind, where, detail))

    def _unproven(self, chinese: str, english: str) -> None:
        self.findings.unproven.append((chinese, english))

    def _lines(self, name: str) -> Iterable[tuple[str, bytes]]:
        lines = self._files.get(name, b"").split(b"\n")
        if lines.pop():
            self._wrong("modified", name, "its last line does not end")
        return [(f"{name} line {number}", line) for number, line in enumerate(lines, 1)]

    def _read_shard(self, name: str, entries: str) -> None:
        """Check a checkpoint's signatures, then that each entry is under its root."""
        try:
            note = read_note(self._files[name])
            checkpoint = read_checkpoint(note)
            if self._policy is not None:
                key = self._policy.log(checkpoint.origin)
                if key is None:
                    said = f"the trust material does not speak of the log {checkpoint.origin}"
                    self._unproven(f"信任材料未列出存证账本 {checkpoint.origin}", said)
                elif note.verified_by(key) is None:
                    raise BadNote(f"not signed by the key of {key.name} that is trusted")
                else:
                    self._check_quorum(checkpoint, key.fingerprint, self._policy.cosigned(note))
                    self._read_stamps(name[: -len("checkpoint")], checkpoint)
        except BadNote as error:
            self._wrong("modified", name, str(error))
            return
        for where, line in self._lines(entries):
            try:
                facts = read_logged(line)
            except BadRecord as error:
                self._wrong("modified", where, str(error))
                continue
            leaf = hash_leaf(canonical(entry_object(facts.entry)))
            path = _hashes(facts.path)
            if verify_inclusion(leaf, facts.index, checkpoint.size, path, checkpoint.root):
                self._entries.append(facts.entry)
                if isinstance(facts.entry, SessionEntry):
                    self._places[facts.entry.leaf] = (checkpoint.origin, facts.index)
            else:
                self._wrong("modified", where, "is not in the log that the checkpoint is of")

    def _check_quorum(
        self, checkpoint: Checkpoint, fingerprint: str, cosigned: Mapping[str, int]
    ) -> None:
        """Say which witnesses vouch for the log, and whether they are enough."""
        if self._policy is not None and not self._policy.enough(cosigned):
            count, of = len(cosigned), len(self._policy.witnesses)
            said = f"not enough witnesses have cosigned the log ({count} of {of} have)"
            self._unproven(f"共签机构未达法定数({of} 家中有 {count} 家共签)", said)
            return
        witnesses = [{"name": name, "at": cosigned[name]} for name in sorted(cosigned)]
        self.findings.logs.append(
            {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "key": fingerprint,
                "witnesses": witnesses,
            }
        )

    def _read_stamps(self, base: str, head: Checkpoint) -> None:
        if self._policy is None:
            return
        found = StampVerification(self._files, base, self._policy, self._check_token).run(head)
        self.findings.problems += found.problems
        self.findings.stamps += found.stamps

    def _check_times(self, claims: LogClaims) -> None:
        """Hold the times that the session's records state against the time stamps."""
        if self._policy is None:
            return
        records = [
            StampedRecord(f"session {claims.session}#{seq}", *self._places[leaf], at)
            for seq, (leaf, at) in enumerate(zip(claims.leaves, claims.times, strict=True))
            if leaf in self._places
        ]
        found = hold_against_stamps(records, self.findings.stamps, self._policy)
        self.findings.problems += found.problems
        self.findings.unproven += found.unproven

    def _check_session(self, claims: LogClaims) -> None:
        """Every record of the session is logged as it stands here."""
        tag = session_tag(claims.session)
        logged: dict[int, set[str]] = {}
        for entry in self._entries:
            if isinstance(entry, SessionEntry) and entry.tag == tag:
                logged.setdefault(entry.seq, set()).add(entry.leaf)
        missing = []
        for seq, leaf in enumerate(claims.leaves):
            where = f"session {claims.session}#{seq}"
            if seq not in logged:
                missing.append(seq)
            elif logged[seq] != {leaf}:
                self._wrong("modified", where, "is not the record that was logged")
        for seq in sorted(set(logged) - set(range(len(claims.leaves)))):
            self._wrong("removed", f"session {claims.session}#{seq}", "was logged and is not here")
        if missing or not claims.leaves:
            said = f"{len(missing)} record(s) of the session are not shown to be in the log"
            self._unproven(f"场次的 {len(missing)} 条记录未证明已入存证账本", said)

    def _check_heads(self, heads: Sequence[HeadFacts]) -> None:
        """Every stretch is covered by an epoch that its recorder signed."""
        covered: dict[tuple[str, str, int], CoveredFacts] = {}
        for where, line in self._lines(COVERED_FILE) if COVERED_FILE in self._files else ():
            try:
                facts = read_covered(line)
            except BadRecord as error:
                self._wrong("modified", where, str(error))
                continue
            covered[facts.head.stream, facts.head.day, facts.last] = facts
        bare = []
        for head in heads:
            name = f"{head.stream}/{head.day}#{head.last}"
            found = covered.get((head.stream, head.day, head.last))
            epoch = self._epoch(found) if found is not None else None
            if found is None or epoch is None:
                bare.append(name)
            elif self._signed(epoch):
                self._check_covered(name, head, found, epoch)
        if bare:
            said = f"no epoch of a recorder is shown to cover {', '.join(bare[:5])}"
            self._unproven(f"未证明录制端时段签名覆盖 {', '.join(bare[:5])}", said)

    def _epoch(self, facts: CoveredFacts) -> EpochEntry | None:
        return next(
            (
                entry
                for entry in self._entries
                if isinstance(entry, EpochEntry)
                and (entry.recorder, entry.seq) == (facts.recorder, facts.epoch)
            ),
            None,
        )

    def _signed(self, epoch: EpochEntry) -> bool:
        """Say whether there is any use in looking further; without a policy there is."""
        if self._policy is None:
            return True
        name = recorder_key_name(epoch.site, epoch.recorder)
        keys = [key for key in self._policy.recorders if key.name == name]
        if not keys:
            said = f"the trust material has no key of the recorder {epoch.recorder}"
            self._unproven(f"信任材料未列出录制端 {epoch.recorder} 的公钥", said)
            return False
        signature, message = bytes.fromhex(epoch.signature), epoch_message(epoch)
        if any(ed25519_verifies(key.public, message, signature) for key in keys):
            return True
        where = f"epoch {epoch.recorder}#{epoch.seq}"
        self._wrong("modified", where, "is not signed by a key of the recorder that is trusted")
        return False

    def _check_covered(
        self, name: str, head: HeadFacts, facts: CoveredFacts, epoch: EpochEntry
    ) -> None:
        root, tree_root = bytes.fromhex(facts.head.root), bytes.fromhex(epoch.root)
        record = bytes.fromhex(head.head)
        record_path, path = _hashes(facts.record_path), _hashes(facts.path)
        if not verify_inclusion(head_leaf(facts.head), facts.number, epoch.size, path, tree_root):
            self._wrong("modified", name, "its head is not one that the epoch was signed over")
        elif not verify_inclusion(record, head.last, facts.head.count, record_path, root):
            self._wrong("modified", name, "is not the record that the epoch covers")


def recorder_key_name(site: str, recorder: str) -> str:
    """Give the name of a recorder's key."""
    return f"{site}/recorder/{recorder}"


def witness_words(policy: Policy) -> tuple[str, str] | None:
    """Say what a quorum of none means, if that is the policy's."""
    if policy.quorum != NO_QUORUM:
        return None
    return NO_WITNESS
