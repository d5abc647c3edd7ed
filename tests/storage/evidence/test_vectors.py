"""The format as fixed bytes: docs/evidence-format.md points here. A change here is a new version."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from bidwitness.storage.evidence.canonical import BadRecord, canonical, parse
from bidwitness.storage.evidence.chain import day_root, verify_chain, verify_session_chain
from bidwitness.storage.evidence.disclosure import disclosed_root, read_disclosure
from bidwitness.storage.evidence.merkle import (
    consistency_path,
    hash_leaf,
    inclusion_path,
    root,
    verify_consistency,
    verify_inclusion,
)
from bidwitness.storage.evidence.pieces import read_pieces
from bidwitness.storage.evidence.records import (
    check_record,
    genesis,
    leaf_hash,
    record_of,
    session_genesis,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))
HASHES = ("sha256", "sm3")


def test_canonical_bytes() -> None:
    for case in VECTORS["canonical"]:
        assert canonical(case["value"]).hex() == case["utf8"]
        assert parse(bytes.fromhex(case["utf8"])) == case["value"]
    for text in VECTORS["refused"]:
        with pytest.raises(BadRecord):
            parse(text.encode())


def test_where_chains_begin() -> None:
    first = VECTORS["genesis"]["stream"]
    assert genesis(first["stream"], first["day"]) == first["hex"]
    first = VECTORS["genesis"]["session"]
    assert session_genesis(first["session"]) == first["hex"]


@pytest.mark.parametrize("hash_name", HASHES)
def test_trees(hash_name: str) -> None:
    leaves = [hash_leaf(bytes.fromhex(d), hash_name) for d in VECTORS["trees"]["leaves"]]
    for case in VECTORS["trees"]["roots"]:
        assert root(leaves[: case["size"]], hash_name).hex() == case[hash_name]


def test_proofs() -> None:
    leaves = [hash_leaf(bytes.fromhex(data)) for data in VECTORS["trees"]["leaves"]]
    for case in VECTORS["trees"]["inclusion"]:
        path = [bytes.fromhex(item) for item in case["path"]]
        tree = leaves[: case["size"]]
        assert inclusion_path(tree, case["index"]) == path
        assert verify_inclusion(leaves[case["index"]], case["index"], len(tree), path, root(tree))
    for case in VECTORS["trees"]["consistency"]:
        path = [bytes.fromhex(item) for item in case["path"]]
        old, new = leaves[: case["old"]], leaves[: case["new"]]
        assert consistency_path(new, len(old)) == path
        assert verify_consistency(len(old), len(new), root(old), root(new), path)


@pytest.mark.parametrize("hash_name", HASHES)
def test_pieces_and_a_disclosure(hash_name: str) -> None:
    case = VECTORS["pieces"]
    pieces = list(read_pieces(io.BytesIO(bytes.fromhex(case["file"]))))
    assert [len(piece) for piece in pieces] == case["lengths"]
    whole = root([hash_leaf(piece, hash_name) for piece in pieces], hash_name)
    assert whole.hex() == case["roots"][hash_name]
    shown = list(read_pieces(io.BytesIO(bytes.fromhex(VECTORS["disclosure"]["file"]))))
    facts = read_disclosure(parse(VECTORS["disclosure"]["line"].encode()))
    kept = [hash_leaf(piece, hash_name) for piece in shown]
    assert disclosed_root(facts, len(pieces), kept, hash_name) == whole


@pytest.mark.parametrize("chain", ["stream_records", "session_records"])
def test_records(chain: str) -> None:
    for case in VECTORS[chain]:
        record = parse(case["canonical"].encode())
        assert record_of(check_record(record)) == record
        assert canonical(record) == case["canonical"].encode()
        assert leaf_hash(record).hex() == case["leaf"]


def test_chains_and_days() -> None:
    records = [parse(case["canonical"].encode()) for case in VECTORS["stream_records"]]
    assert verify_chain(records) == []
    for day, roots in VECTORS["day_roots"].items():
        of_day = [record for record in records if record["day"] == day]
        for hash_name in HASHES:
            assert day_root(of_day, hash_name).hex() == roots[hash_name]
    session = [parse(case["canonical"].encode()) for case in VECTORS["session_records"]]
    assert verify_session_chain(session)[1] == []
