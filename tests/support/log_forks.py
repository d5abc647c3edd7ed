"""Logs in memory, with one key: honest ones, and two histories of one name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bidwitness.storage.evidence.merkle import consistency_path, hash_leaf, root
from bidwitness.storage.evidence.note import Checkpoint, Note, read_note
from bidwitness.storage.ledger.keys import Signer, open_signer
from bidwitness.storage.witness.protocol import write_request

ORIGIN = "site-1/log/2026"


def leaves(count: int, fork_at: int | None = None) -> list[bytes]:
    """The first entries of a history; from ``fork_at`` on it is the other one."""
    other = count if fork_at is None else fork_at
    return [hash_leaf(f"{'a' if n < other else 'b'} {n}".encode()) for n in range(count)]


@dataclass
class Forks:
    """Whoever holds a log's key can do all this."""

    signer: Signer

    @classmethod
    def made(cls, path: Path) -> "Forks":
        return cls(open_signer(path, ORIGIN, create=True))

    def checkpoint(self, count: int, fork_at: int | None = None) -> Note:
        head = Checkpoint(self.signer.key.name, count, root(leaves(count, fork_at)))
        return read_note(self.signer.note(head.text()))

    def request(
        self,
        old: int,
        count: int,
        fork_at: int | None = None,
        proof: Sequence[bytes] | None = None,
    ) -> bytes:
        """Ask for ``count`` entries after ``old``, with the best proof there is."""
        if proof is None:
            proof = consistency_path(leaves(count, fork_at), old) if 0 < old <= count else []
        return write_request(old, proof, self.checkpoint(count, fork_at))
