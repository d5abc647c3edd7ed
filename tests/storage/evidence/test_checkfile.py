"""One file against its record."""

import dataclasses
import io

import pytest
from support.evidence_session import make_stream, media_pieces

from bidwitness.storage.evidence.checkfile import check_source
from bidwitness.storage.evidence.records import Digests, FileFacts, SegmentFacts

PIECES = media_pieces("cam-a/1")
FACTS = make_stream("cam-a").links[1].facts
assert isinstance(FACTS, SegmentFacts)
ZEROS = "0" * 64


def wrong(facts: SegmentFacts, data: bytes = b"".join(PIECES)) -> list[str]:
    return check_source(io.BytesIO(data), facts).wrong


def test_the_honest_file() -> None:
    assert wrong(FACTS) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"init": ZEROS}, "its init is not the record's"),
        ({"pieces": 8}, "8 pieces are recorded, 9 are there"),
        ({"root": Digests(ZEROS, FACTS.root.sm3)}, "the sha256 root of its pieces"),
        ({"root": Digests(FACTS.root.sha256, ZEROS)}, "the sm3 root of its pieces"),
        ({"file": FileFacts(1, FACTS.file.sha256)}, "1 recorded"),
        ({"file": FileFacts(FACTS.file.bytes, ZEROS)}, "sha256 is not the record's"),
    ],
)
def test_each_statement_of_a_record_is_held_against_the_file(
    change: dict[str, object], says: str
) -> None:
    (told,) = wrong(dataclasses.replace(FACTS, **change))
    assert says in told


def test_all_that_differs_is_told() -> None:
    told = wrong(FACTS, b"".join(PIECES[:-1]) + b"junk")
    assert any("ends within a box" in item for item in told)
    assert any("pieces are recorded" in item for item in told)
    assert any("sha256" in item for item in told)
