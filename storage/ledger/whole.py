"""Is a log on disk, to its last entry, the tree that its checkpoint says?"""

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.entries import RosterEntry, read_entry
from bidwitness.storage.evidence.merkle import Tree
from bidwitness.storage.evidence.note import BadNote, Note, read_key
from bidwitness.storage.ledger.tiles import WIDTH, Tiles
from bidwitness.storage.ledger.trust import KEY_PLACE


def check_whole(tiles: Tiles) -> None:
    """Make the tree anew from all entries. Raises ``DamageFound`` if it is not that of the tiles."""
    tree = Tree()
    for number in range((tiles.size + WIDTH - 1) // WIDTH):
        if [tree.append(entry) for entry in tiles.bundle(number)] != tiles.hashes(0, number):
            raise DamageFound(f"Tile {number} of the log is not that of its entries.")
    if tree.root() != tiles.root():
        raise DamageFound("The entries of the log are not those of its tiles.")


def signed_by_itself(tiles: Tiles, note: Note) -> bool:
    """Say whether a checkpoint is signed with the key that its own log names. Raises ``DamageFound``."""
    try:
        key = read_entry(tiles.entry(KEY_PLACE)) if tiles.size > KEY_PLACE else None
        return isinstance(key, RosterEntry) and note.verified_by(read_key(key.key)) is not None
    except (BadNote, BadRecord):
        return False
