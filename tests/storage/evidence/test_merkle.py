"""The hash tree against published vectors and against the definition, written out naively."""

import ctypes
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.storage.evidence import quick_sm3
from bidwitness.storage.evidence.merkle import (
    Tree,
    available,
    consistency_path,
    hash_leaf,
    inclusion_path,
    leaf_hasher,
    root,
    root_from_disclosed,
    verify_consistency,
    verify_inclusion,
    withheld_hashes,
)
from bidwitness.storage.evidence.quick_sm3 import WORTH_IT, quick_sm3_leaf

# The test vectors of the certificate-transparency project for RFC 6962 (= RFC 9162) trees.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive(data: list[bytes], hash_name: str) -> bytes:
    """RFC 9162 2.1.1, word by word."""
    if not data:
        return hashlib.new(hash_name, b"").digest()
    if len(data) == 1:
        return hashlib.new(hash_name, b"\x00" + data[0]).digest()
    split = 1
    while split * 2 < len(data):
        split *= 2
    left, right = naive(data[:split], hash_name), naive(data[split:], hash_name)
    return hashlib.new(hash_name, b"\x01" + left + right).digest()


def hashes(count: int, hash_name: str = "sha256") -> list[bytes]:
    return [hash_leaf(index.to_bytes(4, "big"), hash_name) for index in range(count)]


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert root(hash_leaf(leaf) for leaf in LEAVES[:size]).hex() == ROOTS[size - 1]


def test_sm3_is_the_published_hash() -> None:
    assert available("sm3")
    # GB/T 32905-2016, example 1.
    digest = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert hashlib.new("sm3", b"abc").hexdigest() == digest
    assert hash_leaf(b"abc", "sm3") == hashlib.new("sm3", b"\x00abc").digest()


@pytest.mark.parametrize("hash_name", ["sha256", "sm3"])
@given(data=st.lists(st.binary(max_size=8), max_size=40))
def test_growing_gives_the_root_of_the_definition(hash_name: str, data: list[bytes]) -> None:
    tree = Tree(hash_name)
    for index, leaf in enumerate(data):
        assert tree.root() == naive(data[:index], hash_name)
        tree.append(leaf)
    assert tree.root() == naive(data, hash_name)
    assert tree.size == len(data)


@pytest.mark.parametrize("size", range(1, 34))
def test_every_leaf_of_every_small_tree_is_proved(size: int) -> None:
    leaves = hashes(size)
    top = root(leaves)
    for index in range(size):
        path = inclusion_path(leaves, index)
        assert verify_inclusion(leaves[index], index, size, path, top)
        assert not verify_inclusion(leaves[index], index, size, [*path, top], top)
        assert not verify_inclusion(leaves[index], index, size, path[:-1], top) or not path
        for other in range(size + 1):
            if other != index:
                assert not verify_inclusion(leaves[index], other, size, path, top)


@pytest.mark.parametrize("new", range(1, 34))
def test_every_prefix_of_every_small_tree_is_proved(new: int) -> None:
    leaves = hashes(new)
    top = root(leaves)
    for old in range(1, new + 1):
        path = consistency_path(leaves, old)
        before = root(leaves[:old])
        assert verify_consistency(old, new, before, top, path)
        assert not verify_consistency(old, new, before, top, [*path, top])
        assert not path or not verify_consistency(old, new, before, top, path[:-1])
        assert not verify_consistency(old, new, top[::-1], top, path)
        if old > 1:
            assert not verify_consistency(old - 1, new, before, top, path)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70), st.data())
def test_another_implementation_agrees(entries: list[bytes], draw: st.DataObject) -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries:
        theirs.append_entry(entry)
    leaves, size = [hash_leaf(entry) for entry in entries], len(entries)
    for old in range(1, size + 1):
        assert root(leaves[:old]) == theirs.get_root(old)
    # What it proves consistency by has another form than the standard's.
    index = draw.draw(st.integers(0, size - 1))
    assert [leaves[index], *inclusion_path(leaves, index)] == theirs.prove_inclusion(
        index + 1, size
    ).path


def test_edge_sizes_of_proofs() -> None:
    top = root(hashes(3))
    assert not verify_inclusion(top, 0, 0, [], top)
    assert not verify_consistency(0, 3, root([]), top, [])
    assert not verify_consistency(4, 3, top, top, [])
    assert not verify_consistency(2, 3, top, top, [])
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_path(hashes(3), 3)
    with pytest.raises(ValueError, match="no tree"):
        consistency_path(hashes(3), 4)


@given(
    st.integers(1, 70).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))),
    st.sampled_from(["sha256", "sm3"]),
)
def test_a_part_and_the_hashes_of_the_rest_give_the_root(
    case: tuple[int, set[int]], hash_name: str
) -> None:
    size, shown = case
    leaves = hashes(size, hash_name)
    rest = withheld_hashes(leaves, shown, hash_name)
    part = {index: leaves[index] for index in shown}
    assert root_from_disclosed(size, part, rest, hash_name) == root(leaves, hash_name)
    for index in shown:
        changed = {**part, index: bytes(32)}
        assert root_from_disclosed(size, changed, rest, hash_name) != root(leaves, hash_name)
    with pytest.raises(ValueError, match="more hashes"):
        root_from_disclosed(size, part, [*rest, bytes(32)], hash_name)
    if rest:
        with pytest.raises(ValueError, match="missing"):
            root_from_disclosed(size, part, rest[:-1], hash_name)


def test_a_false_size_is_an_error_not_a_long_loop() -> None:
    with pytest.raises(ValueError, match="missing"):
        root_from_disclosed(2**53, {2**52: bytes(32)}, [])


def test_the_quicker_sm3_is_the_same_hash() -> None:
    quick = quick_sm3_leaf()
    # Debian and Ubuntu have the library; elsewhere `leaf_hasher` does without.
    assert quick is not None
    for size in (0, 1, 54, 55, 56, 63, 64, WORTH_IT - 1, WORTH_IT, 100_000):
        data = bytes(index * 7 % 251 for index in range(size))
        expected = hashlib.new("sm3", b"\x00" + data).digest()
        assert quick(data) == quick(bytearray(data)) == quick(memoryview(data)) == expected
        assert leaf_hasher("sm3")(data) == Tree("sm3").append(data) == expected


def test_without_the_library_nothing_quicker_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_sm3, "_LIBRARY", "libnowhere.so.1")
    quick_sm3._prepared_sm3.cache_clear()
    try:
        assert quick_sm3_leaf() is None
        data = bytes(WORTH_IT)
        assert leaf_hasher("sm3")(data) == hashlib.new("sm3", b"\x00" + data).digest()
    finally:
        quick_sm3._prepared_sm3.cache_clear()


def test_the_library_is_prepared_by_one_thread_while_the_others_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """libgcrypt fails a call that comes while another thread prepares it."""
    prepare, second = quick_sm3._library, threading.Event()
    entered: list[int] = []

    def watched() -> ctypes.CDLL | None:
        entered.append(threading.get_ident())
        if len(entered) > 1:
            second.set()
        second.wait(0.5)
        return prepare()

    monkeypatch.setattr(quick_sm3, "_library", watched)
    quick_sm3._prepared_sm3.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        offered = list(pool.map(lambda _: quick_sm3_leaf(), range(4)))
    assert len(entered) == 1
    assert offered[0] is not None and len(set(offered)) == 1
