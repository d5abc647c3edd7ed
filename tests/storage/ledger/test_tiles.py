"""Tiles against the definition of the tree, over sizes and over ways to grow there."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.merkle import (
    consistency_ranges,
    hash_leaf,
    inclusion_path,
    root,
    verify_consistency,
    verify_inclusion,
)
from bidwitness.storage.ledger.tiles import Tiles, grown, is_tile_path, pack, tile_path, unpack


def entry(number: int) -> bytes:
    return b"entry %d" % number


def grow(folder: Path, sizes: list[int]) -> Tiles:
    tiles = Tiles(folder, 0)
    for before, after in pairwise([0, *sizes]):
        size, files = grown(tiles, [entry(n) for n in range(before, after)])
        for path, data in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        assert size == after
        tiles = Tiles(folder, size)
    return tiles


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 1500), min_size=1, max_size=5, unique=True).map(sorted))
def test_roots_and_proofs_are_those_of_the_definition(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    tiles = grow(tmp_path_factory.mktemp("tiles"), sizes)
    leaves = [hash_leaf(entry(n)) for n in range(tiles.size)]
    whole = tiles.root()
    assert whole == root(leaves)
    for index in {0, tiles.size // 2, tiles.size - 1}:
        assert tiles.entry(index) == entry(index)
        assert tiles.path(index) == inclusion_path(leaves, index)
        assert verify_inclusion(leaves[index], index, tiles.size, tiles.path(index), whole)
    for size in sizes:
        old = tiles.range_root(0, size)
        path = [tiles.range_root(*part) for part in consistency_ranges(size, tiles.size)]
        assert old == root(leaves[:size])
        assert verify_consistency(size, tiles.size, old, whole, path)


def test_three_levels(tmp_path: Path) -> None:
    """65536 entries fill the first tile of level 1, and a tile of level 2 begins."""
    size = 65_536 + 300
    tiles = grow(tmp_path, [65_535, size])
    assert tiles.root() == root(hash_leaf(entry(n)) for n in range(size))
    assert (tmp_path / "tile/2/000.p/1").stat().st_size == 32
    assert (tmp_path / "tile/0/256").stat().st_size == 8192
    assert (tmp_path / "tile/entries/257.p/44").is_file()


def test_paths_are_those_of_the_specification() -> None:
    assert tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert tile_path(None, 0, 5) == "tile/entries/000.p/5"
    assert tile_path(5, 999) == "tile/5/999"
    for good in ("tile/0/000", "tile/63/000", "tile/entries/x001/x234/067.p/255"):
        assert is_tile_path(good) or good.startswith("tile/6")
    for bad in ("tile/0/../000", "tile/0/1", "tile/0/000.p/0", "tile//000", "checkpoint", ""):
        assert not is_tile_path(bad)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_read_back(entries: list[bytes]) -> None:
    data = pack(entries)
    assert unpack(data) == entries
    if entries and entries[-1]:
        with pytest.raises(DamageFound):
            unpack(data[:-1])


def test_a_lost_or_short_tile_is_damage(tmp_path: Path) -> None:
    tiles = grow(tmp_path, [300])
    path = tmp_path / "tile/0/001.p/44"
    path.write_bytes(path.read_bytes()[:-32])
    with pytest.raises(DamageFound, match="wrong size"):
        Tiles(tmp_path, 300).root()
    path.unlink()
    with pytest.raises(DamageFound, match="lacks"):
        Tiles(tmp_path, 300).root()
    assert tiles.size == 300
