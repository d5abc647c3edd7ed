"""The log as it lies on the disk, read for what it committed to. The index is not asked."""

from dataclasses import dataclass

from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.entries import AuditCommitment, read_entry
from bidwitness.storage.evidence.note import Checkpoint, Note
from bidwitness.storage.ledger.shard import origin_of, read_head
from bidwitness.storage.ledger.tiles import CHECKPOINT, Tiles


@dataclass(frozen=True)
class Head:
    """A shard up to the checkpoint that it had when it was opened."""

    checkpoint: Checkpoint
    note: Note
    tiles: Tiles


class LoggedCommitments:
    """Reads shards. What was logged since a shard was opened is read when it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heads: dict[str, Head] = {}

    def shards(self) -> list[str]:
        """Give the shards that are here, given up ones too, in the order of their names."""
        folder = self._settings.log
        found = sorted(folder.glob(f"*/{CHECKPOINT}")) if folder.is_dir() else []
        return [path.parent.name for path in found]

    def open(self, shard: str) -> Head:
        """Read a shard's head as it is now. Raises ``DamageFound``."""
        folder = self._settings.log / shard
        found = read_head(folder, origin_of(self._settings.site, shard))
        if found is None:
            raise DamageFound(f"The log {shard} has no checkpoint here.")
        head = Head(*found, Tiles(folder, found[0].size))
        self._heads[shard] = head
        return head

    def at(self, shard: str, place: int) -> str | None:
        """Give the commitment at a place; nothing if none stands there. Raises ``DamageFound``."""
        head = self._heads.get(shard) or self.open(shard)
        if place >= head.tiles.size:
            head = self.open(shard)
        inside = 0 <= place < head.tiles.size
        return commitment_in(head.tiles.entry(place)) if inside else None


def commitment_in(entry: bytes) -> str | None:
    """Give the commitment that an entry of the log is; nothing if it is another kind."""
    try:
        found = read_entry(entry)
    except BadRecord as error:
        raise DamageFound(f"An entry of the log cannot be read: {error}.") from None
    return found.commitment if isinstance(found, AuditCommitment) else None
