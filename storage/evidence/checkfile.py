"""Reading one file of a package once, for every digest that anybody names for it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from bidwitness.storage.evidence.bag import CHUNK, READ_ERRORS, Files, said
from bidwitness.storage.evidence.disclosure import DisclosureFacts, disclosed_root
from bidwitness.storage.evidence.merkle import SHA256, SM3, available, leaf_hasher, root
from bidwitness.storage.evidence.pieces import BadMedia, Readable, read_pieces
from bidwitness.storage.evidence.records import SegmentFacts


@dataclass(frozen=True)
class Task:
    """A file, the digests the manifests list for it and, for media, its record."""

    name: str
    listed: dict[str, str]
    facts: SegmentFacts | None = None
    disclosure: DisclosureFacts | None = None


@dataclass(frozen=True)
class SoundFinding:
    """How many fragments of sound are there, how many gave back what was received, and what
    did not."""

    fragments: int
    rebuilt: int
    wrong: list[str]


class SoundRebuild(Protocol):
    """Takes a file's fragments in their order, and says at the end what their sound was."""

    def take(self, piece: memoryview) -> None: ...

    def finish(self) -> SoundFinding: ...


# Gives what rebuilds the sound of a file (its record; whether the file is only a part of it), or
# nothing if its record does not say what was received.
SoundCheck: TypeAlias = Callable[[SegmentFacts, bool], "SoundRebuild | None"]


@dataclass
class FileFinding:
    """What reading a file showed. ``wrong`` is empty if it is what it is said to be; ``sound`` is
    of its sound, if that was rebuilt."""

    sha256: str = ""
    kind: str = "modified"
    wrong: list[str] = field(default_factory=list)
    sound: "SoundFinding | None" = None


class HashingReader:
    """Passes bytes on and takes their digests."""

    def __init__(self, source: Readable, hash_names: list[str]) -> None:
        self._source = source
        self._digests = {name: hashlib.new(name) for name in hash_names}
        self.size = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self.size += len(data)
        for digest in self._digests.values():
            digest.update(data)
        return data

    def drain(self) -> None:
        while self.read(CHUNK):
            continue

    def digests(self) -> dict[str, str]:
        return {name: digest.hexdigest() for name, digest in self._digests.items()}


def hash_names() -> list[str]:
    """Name the hashes this Python can take."""
    return [name for name in (SHA256, SM3) if available(name)]


def check_file(files: Files, task: Task, check_sound: "SoundCheck | None" = None) -> FileFinding:
    """Read a file and compare it with its manifests and its record. Never raises for its bytes."""
    facts, part = task.facts, task.disclosure
    sound = check_sound(facts, part is not None) if check_sound and facts else None
    try:
        with files.open(task.name) as source:
            finding = check_source(source, facts, part, task.listed, sound)
    except READ_ERRORS as error:
        finding = FileFinding(kind="unreadable", wrong=[said(error)])
    return finding


def check_source(
    source: Readable,
    facts: SegmentFacts | None,
    disclosure: DisclosureFacts | None = None,
    listed: Mapping[str, str] | None = None,
    sound: "SoundRebuild | None" = None,
) -> FileFinding:
    """Read bytes to their end and compare them with the digests and the record given."""
    finding = FileFinding()
    known = hash_names()
    leaves: dict[str, list[bytes]] = {name: [] for name in known}
    # Of the whole file a second hash is taken only if somebody states it: SM3 is slow.
    reader = HashingReader(source, [n for n in known if n == SHA256 or n in (listed or {})])
    init = _take_leaves(reader, leaves, finding, sound) if facts is not None else b""
    reader.drain()
    finding.sound = sound.finish() if sound is not None else None
    digests = reader.digests()
    finding.sha256 = digests[SHA256]
    for name, wanted in (listed or {}).items():
        if name in digests and digests[name] != wanted:
            finding.wrong.append(f"{name} is not the manifest's")
    if facts is None:
        return finding
    finding.wrong += _against_record(facts, disclosure, leaves, init)
    if disclosure is None:
        if reader.size != facts.file.bytes:
            finding.wrong.append(f"{reader.size} bytes, {facts.file.bytes} recorded")
        if finding.sha256 != facts.file.sha256:
            finding.wrong.append("sha256 is not the record's")
    return finding


def _take_leaves(
    reader: HashingReader,
    leaves: dict[str, list[bytes]],
    finding: FileFinding,
    sound: "SoundRebuild | None",
) -> bytes:
    """Hash each piece; give the init."""
    init = b""
    hashers = [(leaf_hasher(name), found) for name, found in leaves.items()]
    try:
        for piece in read_pieces(reader):
            if sound is not None and init:
                sound.take(piece)
            init = init or bytes(piece)
            for hash_of, found in hashers:
                found.append(hash_of(piece))
    except BadMedia as error:
        finding.wrong.append(str(error))
    return init


def _against_record(
    facts: SegmentFacts,
    disclosure: DisclosureFacts | None,
    leaves: dict[str, list[bytes]],
    init: bytes,
) -> list[str]:
    wrong = []
    if hashlib.sha256(init).hexdigest() != facts.init:
        wrong.append("its init is not the record's")
    for name, found in leaves.items():
        wanted = facts.root.sha256 if name == SHA256 else facts.root.sm3
        try:
            if disclosure is not None:
                got = disclosed_root(disclosure, facts.pieces, found, name)
            elif len(found) != facts.pieces:
                raise ValueError(f"{facts.pieces} pieces are recorded, {len(found)} are there")
            else:
                got = root(found, name)
        except ValueError as error:
            wrong.append(str(error))
            break
        if got.hex() != wanted:
            wrong.append(f"the {name} root of its pieces is not the record's")
    return wrong
