"""Attacks on what lies inside a file, on gaps, and on the verifier in the package."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from support.attacks import Records, edit_records, found, media, refit_tags, remanifest
from support.evidence_session import LENGTH, START, media_pieces

from bidwitness.storage.evidence.records import leaf_hash
from bidwitness.storage.evidence.verify import verify_package

Pieces = list[bytes]
DAY = "20231115"


def cut_off(pieces: Pieces) -> None:
    del pieces[-1]


def cut_out(pieces: Pieces) -> None:
    del pieces[4]


def turn(pieces: Pieces) -> None:
    pieces[3], pieces[4] = pieces[4], pieces[3]


def repeat(pieces: Pieces) -> None:
    pieces.insert(4, pieces[3])


def splice(pieces: Pieces) -> None:
    """A piece of another camera, of the same moment and the same length."""
    pieces[4] = media_pieces("cam-b/3")[4]


def other_head(pieces: Pieces) -> None:
    """Another camera's init: it says how all the rest is to be decoded."""
    pieces[0] = media_pieces("cam-b/3")[0]


@pytest.mark.parametrize("change", [cut_off, cut_out, turn, repeat, splice, other_head])
def test_pieces_within_a_file(
    bag: Path, standalone: ModuleType, change: Callable[[Pieces], None]
) -> None:
    path = media(bag, "cam-a", 2)
    pieces = media_pieces("cam-a/3")
    assert path.read_bytes() == b"".join(pieces)
    change(pieces)
    path.write_bytes(b"".join(pieces))
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"modified"}
    assert path.name in told
    assert "root of its pieces" in told or "pieces are recorded" in told


@pytest.mark.parametrize("kept", [0, 1, 7, 100, -1, -700])
def test_a_truncated_file(bag: Path, standalone: ModuleType, kept: int) -> None:
    path = media(bag, "cam-a", 3)
    path.write_bytes(path.read_bytes()[:kept])
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"modified"}
    assert f"{path.name}: the file" in told


def test_a_file_of_another_time_under_this_name(bag: Path, standalone: ModuleType) -> None:
    """Not even of the session: its record is nowhere in the package."""
    path = media(bag, "cam-a", 3)
    path.write_bytes(b"".join(media_pieces("cam-a/9")))
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"modified"}
    assert path.name in told


def put_cause(records: Records) -> None:
    records[3]["cause"] = "maintenance"


def put_medium(records: Records) -> None:
    records[3]["medium"] = "sound"


def put_later(records: Records) -> None:
    records[3]["from"] += LENGTH // 2


@pytest.mark.parametrize("change", [put_cause, put_medium, put_later])
def test_a_changed_gap(
    bag: Path, standalone: ModuleType, change: Callable[[Records], None]
) -> None:
    def edit(records: Records) -> None:
        assert records[3]["t"] == "gap"
        change(records)

    edit_records(bag / f"data/records/cam-a/{DAY}.ndjson", edit)
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "modified" in kinds
    assert f"cam-a/{DAY}#3: is not the record that cam-a/{DAY}#4 points to" in told


def chained(records: Records, start: int) -> None:
    """Number and chain anew from a record on, as whoever can write all of them can."""
    for index in range(start, len(records)):
        records[index]["seq"] = index
        records[index]["prev"] = leaf_hash(records[index - 1]).hex()


def test_a_gap_removed_and_all_after_it_chained_anew(bag: Path, standalone: ModuleType) -> None:
    def edit(records: Records) -> None:
        del records[3]
        chained(records, 3)

    edit_records(bag / f"data/records/cam-a/{DAY}.ndjson", edit)
    for path in sorted((bag / "data/media/cam-a").iterdir())[5:]:
        seq = int(path.name[9:15])
        path.rename(path.with_name(path.name.replace(f"-{seq:06d}-", f"-{seq - 1:06d}-")))
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "removed" in kinds
    assert f"cam-a/{DAY}#6: 1 record(s) that the close names are missing" in told


def test_a_segment_inserted_and_all_after_it_chained_anew(
    bag: Path, standalone: ModuleType
) -> None:
    """Footage for the gap, as it were: record, bytes, chain and manifests all fit each other."""
    path = bag / f"data/records/cam-a/{DAY}.ndjson"

    def edit(records: Records) -> None:
        made = {**records[2], "wall": [START + 5 * LENGTH, START + 6 * LENGTH], "run": "run-9"}
        records[3] = made
        chained(records, 3)

    source = media(bag, "cam-a", 4)
    edit_records(path, edit)
    target = source.with_name(f"{DAY}-000003-20231115T000030.000Z.mp4")
    target.write_bytes(source.read_bytes())
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "modified" in kinds
    assert f"cam-a/{DAY}#6: is not the record that the close names" in told


def test_a_doctored_verifier_in_the_package(bag: Path, standalone: ModuleType) -> None:
    """Named while the list of tag files is the old one. Whoever fits that too is not found: take
    the verifier from elsewhere."""
    program = bag / "verify.py"
    program.write_text("print('authentic')")
    kinds, told = found(bag, standalone)
    assert kinds == {"modified"}
    assert "verify.py: sha256 is not the manifest's" in told
    refit_tags(bag)
    assert verify_package(bag).exit_code == 3
