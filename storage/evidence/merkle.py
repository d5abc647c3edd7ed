"""The hash tree of RFC 9162 (section 2.1), over SHA-256 or SM3.

A leaf's hash is ``H(0x00 ‖ data)``, a node's ``H(0x01 ‖ left ‖ right)``; a tree of n leaves splits
at the largest power of two below n. Functions over whole trees take *leaf hashes*, so that the
data need not be at hand.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from bidwitness.storage.evidence.quick_sm3 import WORTH_IT, LeafHasher, quick_sm3_leaf

SHA256 = "sha256"
SM3 = "sm3"


def available(hash_name: str) -> bool:
    """Say whether this Python's library knows the hash (older ones lack SM3)."""
    return hash_name in hashlib.algorithms_available


def hash_leaf(data: bytes | bytearray | memoryview, hash_name: str = SHA256) -> bytes:
    """Give ``H(0x00 ‖ data)``."""
    digest = hashlib.new(hash_name, b"\x00")
    digest.update(data)
    return digest.digest()


def leaf_hasher(hash_name: str = SHA256) -> LeafHasher:
    """Give ``hash_leaf`` for many leaves: looking a hash up costs as much as a small leaf.

    Raises ``ValueError`` for a hash the library lacks.
    """
    begun = hashlib.new(hash_name, b"\x00")
    quick = quick_sm3_leaf() if hash_name == SM3 else None

    def take(data: bytes | bytearray | memoryview) -> bytes:
        if quick is not None and len(data) >= WORTH_IT:
            return quick(data)
        digest = begun.copy()
        digest.update(data)
        return digest.digest()

    return take


def hash_node(left: bytes, right: bytes, hash_name: str = SHA256) -> bytes:
    """Give ``H(0x01 ‖ left ‖ right)``."""
    return hashlib.new(hash_name, b"\x01" + left + right).digest()


class Tree:
    """A tree that grows at its end and remembers only O(log n) hashes.

    ``Tree("sha256")`` or ``Tree("sm3")``. Raises ``ValueError`` for a hash the library lacks.
    """

    def __init__(self, hash_name: str = SHA256) -> None:
        self._hash_leaf = leaf_hasher(hash_name)
        self.hash_name = hash_name
        self.size = 0
        # Roots of the perfect subtrees of the leaves so far, from the largest to the smallest.
        self._peaks: list[bytes] = []

    def append(self, data: bytes | bytearray | memoryview) -> bytes:
        """Add a leaf by its data; give its hash."""
        leaf = self._hash_leaf(data)
        self.append_hash(leaf)
        return leaf

    def append_hash(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        node, rest = leaf, self.size
        while rest & 1:
            node = hash_node(self._peaks.pop(), node, self.hash_name)
            rest >>= 1
        self._peaks.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Give the root over the leaves so far; of no leaf it is ``H("")``."""
        if not self._peaks:
            return hashlib.new(self.hash_name, b"").digest()
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = hash_node(peak, node, self.hash_name)
        return node


def root(leaves: Iterable[bytes], hash_name: str = SHA256) -> bytes:
    """Give the root over leaf hashes."""
    tree = Tree(hash_name)
    for leaf in leaves:
        tree.append_hash(leaf)
    return tree.root()


def split_at(size: int) -> int:
    """Give the largest power of two below ``size`` (2 or more): where a tree of it splits."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Give the ranges of leaves whose roots are the audit path of a leaf, from its sibling up.

    Raises ``ValueError`` if there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    ranges: list[tuple[int, int]] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split_at(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    ranges.reverse()
    return ranges


def inclusion_path(leaves: Sequence[bytes], index: int, hash_name: str = SHA256) -> list[bytes]:
    """Give the audit path of a leaf, from its sibling up.

    Raises ``ValueError`` if there is no such leaf.
    """
    ranges = inclusion_ranges(index, len(leaves))
    return [root(leaves[low:high], hash_name) for low, high in ranges]


def verify_inclusion(
    leaf: bytes,
    index: int,
    size: int,
    path: Sequence[bytes],
    expected_root: bytes,
    hash_name: str = SHA256,
) -> bool:
    """Say whether ``leaf`` is at ``index`` of the tree with this size and root."""
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    value = leaf
    for sibling in path:
        if last == 0:
            return False  # the path is longer than the tree is high
        if node & 1 or node == last:
            value = hash_node(sibling, value, hash_name)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = hash_node(value, sibling, hash_name)
        node, last = node >> 1, last >> 1
    return last == 0 and value == expected_root


def consistency_ranges(old: int, size: int) -> list[tuple[int, int]]:
    """Give the ranges of leaves whose roots prove that the first ``old`` are a prefix of the tree.

    Raises ``ValueError`` unless 0 < old <= size.
    """
    if not 0 < old <= size:
        raise ValueError(f"no tree of {old} leaves within one of {size}")
    ranges: list[tuple[int, int]] = []
    low, high, whole = 0, size, True
    while low + old < high:
        middle = low + split_at(high - low)
        if low + old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            old, low, whole = old - (middle - low), middle, False
    if not whole:
        ranges.append((low, high))
    ranges.reverse()
    return ranges


def consistency_path(leaves: Sequence[bytes], old: int, hash_name: str = SHA256) -> list[bytes]:
    """Give the proof that the first ``old`` leaves are a prefix of the tree.

    Raises ``ValueError`` unless 0 < old <= number of leaves.
    """
    ranges = consistency_ranges(old, len(leaves))
    return [root(leaves[low:high], hash_name) for low, high in ranges]


def verify_consistency(
    old: int,
    new: int,
    old_root: bytes,
    new_root: bytes,
    path: Sequence[bytes],
    hash_name: str = SHA256,
) -> bool:
    """Say whether the tree (new, new_root) only adds leaves to the tree (old, old_root)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    nodes = list(path)
    if old & (old - 1) == 0:
        nodes.insert(0, old_root)  # a perfect old tree is itself the first node of the proof
    if not nodes:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first = hash_node(sibling, first, hash_name)
            second = hash_node(sibling, second, hash_name)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = hash_node(second, sibling, hash_name)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def withheld_hashes(
    leaves: Sequence[bytes], disclosed: Iterable[int], hash_name: str = SHA256
) -> list[bytes]:
    """Give the roots of the largest subtrees without a disclosed leaf, from left to right.

    With the disclosed leaves they give the root back (``root_from_disclosed``), and they say
    nothing of the withheld data.
    """
    shown = sorted(set(disclosed))
    if shown and not 0 <= shown[0] <= shown[-1] < len(leaves):
        raise ValueError(f"no such leaf in a tree of {len(leaves)}")
    out: list[bytes] = []

    def walk(low: int, high: int, inside: Sequence[int]) -> None:
        if not inside:
            out.append(root(leaves[low:high], hash_name))
        elif high - low > 1:
            middle = low + split_at(high - low)
            walk(low, middle, [i for i in inside if i < middle])
            walk(middle, high, [i for i in inside if i >= middle])

    if leaves:
        walk(0, len(leaves), shown)
    return out


def root_from_disclosed(
    size: int,
    disclosed: Mapping[int, bytes],
    withheld: Sequence[bytes],
    hash_name: str = SHA256,
) -> bytes:
    """Rebuild a root from some leaf hashes and ``withheld_hashes``.

    Raises ``ValueError`` if they are not exactly what a tree of ``size`` leaves needs.
    """
    if size < 1 or any(not 0 <= index < size for index in disclosed):
        raise ValueError("a disclosed leaf is not in the tree")
    rest = list(reversed(withheld))

    def walk(low: int, high: int, inside: Sequence[int]) -> bytes:
        if not inside:
            if not rest:
                raise ValueError("hashes of withheld leaves are missing")
            return rest.pop()
        if high - low == 1:
            return disclosed[low]
        middle = low + split_at(high - low)
        left = walk(low, middle, [i for i in inside if i < middle])
        right = walk(middle, high, [i for i in inside if i >= middle])
        return hash_node(left, right, hash_name)

    value = walk(0, size, sorted(disclosed))
    if rest:
        raise ValueError("there are more hashes of withheld leaves than the tree has")
    return value
