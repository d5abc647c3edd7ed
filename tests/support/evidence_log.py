"""An honest log about an honest session: its files for a package, and a policy from outside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from support.evidence_session import CLAIM, RECORDER, SESSION, SITE, Session, Stream

from bidwitness.storage.evidence.entries import (
    UNSIGNED,
    EpochEntry,
    EpochHead,
    LogEntry,
    RosterEntry,
    SessionEntry,
    ShardEntry,
    entry_bytes,
    epoch_genesis,
    epoch_message,
    head_leaf,
    session_tag,
)
from bidwitness.storage.evidence.merkle import inclusion_path, root
from bidwitness.storage.evidence.note import write_note
from bidwitness.storage.evidence.proof import (
    COVERED_FILE,
    CoveredFacts,
    LoggedFacts,
    recorder_key_name,
)
from bidwitness.storage.evidence.records import leaf_hash
from bidwitness.storage.evidence.seal import heads_of
from bidwitness.storage.ledger.keys import Signer, open_signer
from bidwitness.storage.ledger.shard import ShardLog, read_head
from bidwitness.storage.spool.files import SystemFiles

SHARD = "2023"
ORIGIN = f"{SITE}/log/{SHARD}"
FOLDER = f"data/log/{SHARD}"


@dataclass
class Keys:
    """A log's and a recorder's."""

    log: Signer
    recorder: Signer

    @classmethod
    def made(cls, folder: Path) -> "Keys":
        return cls(
            open_signer(folder / "log.key", ORIGIN, create=True),
            open_signer(folder / "rec.key", recorder_key_name(SITE, RECORDER), create=True),
        )

    def policy(self, quorum: str = "quorum none\n") -> bytes:
        return f"log {self.log.key}\nrecorder {self.recorder.key}\n{quorum}".encode()


def sign_epoch(signer: Signer, heads: Sequence[EpochHead], seq: int = 0) -> EpochEntry:
    entry = EpochEntry(
        site=SITE,
        recorder=RECORDER,
        seq=seq,
        prev=epoch_genesis(RECORDER),
        at=CLAIM.end,
        size=len(heads),
        root=root(map(head_leaf, heads)).hex(),
        signature=UNSIGNED,
    )
    return replace(entry, signature=signer.sign(epoch_message(entry)).hex())


def epoch_heads(streams: list[Stream]) -> list[EpochHead]:
    """The heads of whole days of chains."""
    out = []
    for stream in streams:
        for day in sorted({link.facts.place.day for link in stream.links}):
            leaves = [x.leaf for x in stream.links if x.facts.place.day == day]
            tree = root(map(bytes.fromhex, leaves)).hex()
            out.append(EpochHead(stream.id, day, len(leaves), leaves[-1], tree))
    return out


def log_entries(session: Session) -> list[LogEntry]:
    tag = session_tag(SESSION)
    return [
        SessionEntry(tag, seq, leaf_hash(record).hex())
        for seq, record in enumerate(session.records)
    ]


def make_log(
    folder: Path,
    keys: Keys,
    streams: list[Stream],
    session: Session,
    *,
    change: Callable[[list[LogEntry]], None] = lambda _: None,
) -> dict[str, bytes]:
    """Log the session and an epoch over its streams among other entries; give the package's files.

    ``change`` may alter what is logged.
    """
    heads = epoch_heads(streams)
    begins = [ShardEntry(None, None), RosterEntry("log", str(keys.log.key))]
    entries = [*begins, *log_entries(session), sign_epoch(keys.recorder, heads)]
    change(entries)
    log = ShardLog(folder / SHARD, keys.log, SystemFiles())
    log.open()
    log.append([entry_bytes(entry) for entry in entries])
    log.append([entry_bytes(SessionEntry(session_tag("another"), 0, "0" * 64))])
    return {**shard_files(folder, log, entries), **covered_file(streams, heads)}


def shard_files(folder: Path, log: ShardLog, entries: Sequence[LogEntry]) -> dict[str, bytes]:
    found = read_head(folder / SHARD, ORIGIN)
    assert found is not None
    lines = [
        LoggedFacts(place, tuple(item.hex() for item in log.tiles.path(place)), entry).line()
        for place, entry in enumerate(entries)
        if place >= 2
    ]
    return {
        f"{FOLDER}/checkpoint": write_note(found[1].text, found[1].signatures),
        f"{FOLDER}/entries.ndjson": b"".join(line + b"\n" for line in lines),
    }


def covered_file(streams: list[Stream], heads: list[EpochHead]) -> dict[str, bytes]:
    lines = []
    leaves = [head_leaf(head) for head in heads]
    for stream in streams:
        for head in heads_of(stream.links, [CLAIM]):
            number = [(h.stream, h.day) for h in heads].index((stream.id, head.day))
            day = [bytes.fromhex(x.leaf) for x in stream.links if x.facts.place.day == head.day]
            lines.append(
                CoveredFacts(
                    RECORDER,
                    0,
                    number,
                    tuple(item.hex() for item in inclusion_path(leaves, number)),
                    heads[number],
                    head.last,
                    tuple(item.hex() for item in inclusion_path(day, head.last)),
                ).line()
            )
    return {COVERED_FILE: b"".join(line + b"\n" for line in lines)}
