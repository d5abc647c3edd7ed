"""Attacks really carried out on a package, each named by the verifier and by its one-file twin."""

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.attacks import (
    Records,
    edit_records,
    found,
    media,
    refit_tags,
    remanifest,
    swap,
)
from support.evidence_session import (
    CLAIM,
    LENGTH,
    START,
    Session,
    Stream,
    close_of,
    make_package,
    make_session,
    make_stream,
    media_pieces,
)

from bidwitness.storage.evidence.canonical import canonical, parse
from bidwitness.storage.evidence.records import check_record, leaf_hash, record_of
from bidwitness.storage.evidence.session_records import CloseFacts, SupplementFacts
from bidwitness.storage.evidence.verify import verify_package


def test_the_honest_package_is_consistent(honest: Path, standalone: ModuleType) -> None:
    for verify in (verify_package, standalone.verify_package):
        report = verify(honest)
        assert (report.exit_code, report.verdict, report.problems) == (3, "unproven", [])
        assert report.sealed
        assert [s.stream for s in report.streams] == ["cam-a", "cam-b"]
        for stream in report.streams:
            assert stream.segments == 7
            assert stream.partial == 1
            assert stream.recorded_us == {"picture": 65_000_000, "sound": 65_000_000}
            assert [(cause, part.start) for cause, _, part in stream.gaps] == [
                ("offline", START + 5 * LENGTH)
            ]
            assert stream.unexplained == []


@pytest.mark.parametrize("forge", [False, True], ids=["plain", "manifests-fitted"])
@pytest.mark.parametrize("position", [0, 40, 1000, -1])
def test_a_flipped_byte(bag: Path, standalone: ModuleType, position: int, forge: bool) -> None:
    path = media(bag, "cam-a", 2)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    if forge:
        remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"modified"}
    assert path.name in told


def test_a_flipped_byte_in_a_zip_names_the_file(tmp_path: Path, standalone: ModuleType) -> None:
    streams = [make_stream("cam-a")]
    path = tmp_path / "p.zip"
    make_package(path, streams, make_session(streams))
    data = path.read_bytes()
    piece = media_pieces("cam-a/3")[4]
    assert data.count(piece) == 1
    path.write_bytes(data.replace(piece, piece[:500] + bytes([piece[500] ^ 1]) + piece[501:]))
    kinds, told = found(path, standalone)
    assert kinds == {"modified"}
    assert "20231115-000001" in told


@pytest.mark.parametrize("forge", [False, True])
def test_a_removed_file(bag: Path, standalone: ModuleType, forge: bool) -> None:
    path = media(bag, "cam-b", 3)
    path.unlink()
    if forge:
        remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "missing" in kinds
    assert path.name in told


def test_an_added_file(bag: Path, standalone: ModuleType) -> None:
    extra = media(bag, "cam-a", 3).with_name("20231115-000009-20231115T000200.000Z.mp4")
    shutil.copy(media(bag, "cam-a", 3), extra)
    assert found(bag, standalone)[0] == {"inserted", "inconsistent"}
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"inserted"}
    assert extra.name in told


def remove_and_renumber(records: Records) -> None:
    """Drop the day's third record, renumber and chain the rest anew."""
    del records[2]
    for index, record in enumerate(records[2:], 2):
        record["seq"] = index
        record["prev"] = leaf_hash(records[index - 1]).hex()


def test_a_removed_part_with_everything_after_it_renumbered(
    bag: Path, standalone: ModuleType
) -> None:
    edit_records(bag / "data/records/cam-a/20231115.ndjson", remove_and_renumber)
    lost = media(bag, "cam-a", 3)
    lost.unlink()
    for path in sorted(lost.parent.iterdir())[3:]:
        seq = int(path.name[9:15])
        path.rename(path.with_name(path.name.replace(f"-{seq:06d}-", f"-{seq - 1:06d}-")))
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "removed" in kinds
    assert "part 4 of its run follows 2" in told or "missing" in told


def test_two_files_in_each_others_place(bag: Path, standalone: ModuleType) -> None:
    one, two = media(bag, "cam-a", 2), media(bag, "cam-a", 3)
    swap(one, two)
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"swapped"}
    assert f"{one.name}: holds the bytes of data/media/cam-a/{two.name}" in told


def test_two_streams_files_in_each_others_place(bag: Path, standalone: ModuleType) -> None:
    one, two = media(bag, "cam-a", 2), media(bag, "cam-b", 2)
    swap(one, two)
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"swapped"}
    assert f"data/media/cam-b/{two.name}: holds the bytes of data/media/cam-a" in told


def test_two_whole_streams_in_each_others_place(bag: Path, standalone: ModuleType) -> None:
    for folder in ("media", "records"):
        a, b = bag / "data" / folder / "cam-a", bag / "data" / folder / "cam-b"
        a.rename(a.with_name("other"))
        b.rename(a)
        a.with_name("other").rename(b)
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "swapped" in kinds
    assert "holds a record of cam-b/" in told


def set_to(name: str, value: object) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        records[1][name] = value

    return change


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wall", [START + 2 * LENGTH, START + 3 * LENGTH]),
        ("quality", "camera"),
        ("run", "run-9"),
        ("recorder", "rec-9"),
        ("prev", "0" * 64),
        ("seq", 7),
    ],
)
def test_an_edited_record(bag: Path, standalone: ModuleType, name: str, value: object) -> None:
    edit_records(bag / "data/records/cam-a/20231115.ndjson", set_to(name, value))
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds & {"modified", "removed", "inserted"}
    assert "cam-a/20231115" in told


def test_the_last_record_to_which_no_record_points(bag: Path, standalone: ModuleType) -> None:
    def edit(records: Records) -> None:
        records[-1]["quality"] = "camera"

    edit_records(bag / "data/records/cam-a/20231115.ndjson", edit)
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"modified"}
    assert "cam-a/20231115#6: is not the record that the close names" in told


def test_a_record_more_than_the_close_names(bag: Path, standalone: ModuleType) -> None:
    after = make_stream("cam-a").records[9]
    edit_records(bag / "data/records/cam-a/20231115.ndjson", lambda records: records.append(after))
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"inserted"}
    assert "cam-a/20231115#7: 1 record(s) the close does not speak of" in told


def test_a_gap_made_smaller(bag: Path, standalone: ModuleType) -> None:
    def shorten(records: Records) -> None:
        records[3]["to"] -= LENGTH // 2

    edit_records(bag / "data/records/cam-a/20231115.ndjson", shorten)
    remanifest(bag)
    assert "cam-a/20231115#3" in found(bag, standalone)[1]


def test_records_in_another_order(bag: Path, standalone: ModuleType) -> None:
    def turn(records: Records) -> None:
        records[1], records[2] = records[2], records[1]

    edit_records(bag / "data/records/cam-a/20231115.ndjson", turn)
    remanifest(bag)
    assert found(bag, standalone)[0] == {"reordered"}


def test_the_tail_cut_off(bag: Path, standalone: ModuleType) -> None:
    edit_records(bag / "data/records/cam-a/20231115.ndjson", lambda records: records.pop())
    media(bag, "cam-a", -1).unlink()
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "removed" in kinds
    assert "cam-a/20231115#6: 1 record(s) that the close names are missing" in told


def test_a_record_that_is_no_record(bag: Path, standalone: ModuleType) -> None:
    path = bag / "data/records/cam-a/20231115.ndjson"
    path.write_bytes(path.read_bytes().replace(b'"v":1', b'"v": 1', 1))
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "modified" in kinds
    assert "20231115.ndjson line 1: $: the bytes are not in canonical form" in told


def rewrite_session(bag: Path, change: Callable[[Session], None]) -> None:
    session = Session()
    path = next((bag / "data" / "session").iterdir())
    session.records = [parse(line) for line in path.read_bytes().splitlines()]
    change(session)
    path.write_bytes(b"".join(canonical(record) + b"\n" for record in session.records))
    remanifest(bag)


def test_an_edited_session_record(bag: Path, standalone: ModuleType) -> None:
    rewrite_session(bag, lambda session: session.records[1].update(started=CLAIM.start + 1))
    assert "session session-1#2: does not point" in found(bag, standalone)[1]


def test_a_claim_made_shorter_in_the_close(bag: Path, standalone: ModuleType) -> None:
    def narrow(session: Session) -> None:
        facts = check_record(session.records.pop())
        assert isinstance(facts, CloseFacts)
        first = dataclasses.replace(facts.claims[0], end=facts.claims[0].end - LENGTH)
        claims = (first, *facts.claims[1:])
        session.records.append(record_of(dataclasses.replace(facts, claims=claims)))

    rewrite_session(bag, narrow)
    kinds, told = found(bag, standalone)
    assert "inconsistent" in kinds
    assert "claim-0 is not closed as it was last recorded" in told


def test_a_claim_left_out_of_the_close(bag: Path, standalone: ModuleType) -> None:
    def forget(session: Session) -> None:
        facts = check_record(session.records.pop())
        assert isinstance(facts, CloseFacts)
        session.records.append(record_of(dataclasses.replace(facts, claims=facts.claims[:1])))

    rewrite_session(bag, forget)
    kinds, told = found(bag, standalone)
    assert "inconsistent" in kinds
    assert "claim-1 is not closed" in told


def test_a_close_that_states_more_than_was_recorded(bag: Path, standalone: ModuleType) -> None:
    def boast(session: Session) -> None:
        facts = check_record(session.records.pop())
        assert isinstance(facts, CloseFacts)
        full = tuple(dataclasses.replace(c, recorded_us=c.due_us) for c in facts.coverage)
        session.records.append(record_of(dataclasses.replace(facts, coverage=full)))

    rewrite_session(bag, boast)
    kinds, told = found(bag, standalone)
    assert kinds == {"inconsistent"}
    assert "75000000 of 75000000 µs recorded; the records show 65000000" in told


def test_a_second_close_with_less(bag: Path, standalone: ModuleType) -> None:
    streams = [make_stream("cam-a"), make_stream("cam-b")]
    rewrite_session(bag, lambda session: session.add(close_of(session, streams, CLAIM)))
    assert "is closed more than once" in found(bag, standalone)[1]


def test_a_supplement_speaks_for_itself(tmp_path: Path, standalone: ModuleType) -> None:
    """Sealed while a recorder was away; what it had is told later, and both statements hold."""
    stream = make_stream("cam-a")
    early = Stream("cam-a", stream.records[:5], stream.files)
    session = make_session([early])
    full = close_of(session, [stream], CLAIM)
    told = SupplementFacts(session.place(CLAIM.end + 1), "it came back", full.heads, full.coverage)
    session.add(told)
    make_package(tmp_path / "bag", [stream], session)
    report = verify_package(tmp_path / "bag")
    assert (report.exit_code, report.problems) == (3, [])
    assert len(report.streams[0].gaps) == 1
    session.records.pop()
    more = tuple(dataclasses.replace(c, recorded_us=c.due_us) for c in full.coverage)
    session.add(dataclasses.replace(told, coverage=more))
    make_package(tmp_path / "boast", [stream], session)
    assert "cam-a picture in the supplement" in found(tmp_path / "boast", standalone)[1]


def test_without_its_close_the_session_is_said_not_to_be_sealed(bag: Path) -> None:
    rewrite_session(bag, lambda session: session.records.pop())
    report = verify_package(bag)
    assert not report.sealed
    assert "not sealed" in report.notes[0][1]


def test_more_pieces_or_others_than_disclosed(bag: Path, standalone: ModuleType) -> None:
    path = media(bag, "cam-a", 0)
    pieces = media_pieces("cam-a/1")
    assert path.read_bytes() == b"".join([pieces[0], *pieces[4:]])
    for forged in ([pieces[0], *pieces[3:]], [pieces[0], *pieces[3:8]], [pieces[0], *pieces[5:]]):
        path.write_bytes(b"".join(forged))
        remanifest(bag)
        assert path.name in found(bag, standalone)[1]


def test_the_withheld_part_is_not_in_the_package(bag: Path) -> None:
    withheld = media_pieces("cam-a/1")[1:4]
    for path in bag.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(piece[20:60] in data for piece in withheld)


def test_a_disclosure_that_hides_a_whole_file_is_stated(bag: Path) -> None:
    """Leaving out is possible in a part of a session; leaving out unseen is not."""
    streams = [make_stream("cam-a"), make_stream("cam-b")]
    shutil.rmtree(bag)
    make_package(bag, streams, make_session(streams), keep={2: set()})
    report = verify_package(bag)
    assert report.exit_code == 3
    assert [(s.start, s.end) for s in report.streams[0].withheld] == [
        (START + 2 * LENGTH, START + 3 * LENGTH)
    ]


def test_another_sessions_stream_slipped_in(bag: Path, standalone: ModuleType) -> None:
    stray = make_stream("cam-c")
    (bag / "data/records/cam-c").mkdir()
    lines = b"".join(canonical(r) + b"\n" for r in stray.records if r["day"] == "20231115")
    (bag / "data/records/cam-c/20231115.ndjson").write_bytes(lines)
    remanifest(bag)
    kinds, told = found(bag, standalone)
    assert "inserted" in kinds
    assert "cam-c: the session claims nothing of this stream" in told


def test_a_whole_stream_left_out_is_said(bag: Path) -> None:
    for folder in ("media", "records"):
        shutil.rmtree(bag / "data" / folder / "cam-b")
    (bag / "data/disclosures/cam-b.ndjson").unlink()
    remanifest(bag)
    report = verify_package(bag)
    assert report.exit_code == 3
    assert ("stream cam-b is not in this package") in report.notes[0][1]


def test_manifests_and_tags(bag: Path, standalone: ModuleType) -> None:
    readme = bag / "README.txt"
    readme.write_bytes(readme.read_bytes() + b" ")
    assert "README.txt: sha256 is not the manifest's" in found(bag, standalone)[1]
    readme.unlink()
    assert "missing README.txt" in found(bag, standalone)[1]
    remanifest(bag)
    assert verify_package(bag).exit_code == 3
    info = bag / "bag-info.txt"
    info.write_text(info.read_text().replace("Payload-Oxum: ", "Payload-Oxum: 1"))
    assert "Payload-Oxum" in found(bag, standalone)[1]


def test_what_a_file_manager_leaves_is_no_forgery(bag: Path) -> None:
    (bag / ".DS_Store").write_bytes(b"x")
    report = verify_package(bag)
    assert report.exit_code == 3
    assert ".DS_Store is in no manifest" in report.notes[0][1]


def test_an_old_list_of_sm3_alone_tells_too(bag: Path, standalone: ModuleType) -> None:
    path = bag / "data/timeline.json"
    path.write_bytes(path.read_bytes() + b" ")
    lines = (bag / "digests-sm3.txt").read_bytes()
    remanifest(bag)
    (bag / "digests-sm3.txt").write_bytes(lines)
    refit_tags(bag)
    kinds, told = found(bag, standalone)
    assert kinds == {"modified"}
    assert "data/timeline.json: sm3 is not the manifest's" in told


def test_a_manifest_of_sm3_is_held_against_the_recordings(
    bag: Path, standalone: ModuleType
) -> None:
    """Ours are without one; whoever adds one states something, and it is checked."""
    payload = sorted(p for p in (bag / "data").rglob("*") if p.is_file())
    digests = {
        p.relative_to(bag).as_posix(): hashlib.new("sm3", p.read_bytes()).hexdigest()
        for p in payload
    }
    manifest = bag / "manifest-sm3.txt"
    manifest.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    assert verify_package(bag).exit_code == 3
    name = media(bag, "cam-a", 2).relative_to(bag).as_posix()
    digests[name] = "0" * 64
    manifest.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    kinds, told = found(bag, standalone)
    assert kinds == {"modified"}
    assert f"{name}: sm3 is not the manifest's" in told


@given(data=st.data())
@settings(max_examples=40)
def test_whatever_bytes_a_bag_holds_there_is_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, honest: Path, data: st.DataObject
) -> None:
    bag = tmp_path_factory.getbasetemp() / "fuzzed"
    shutil.rmtree(bag, ignore_errors=True)
    shutil.copytree(honest, bag)
    files = sorted(path.relative_to(honest) for path in honest.rglob("*") if path.is_file())
    path = bag / data.draw(st.sampled_from(files))
    old = path.read_bytes()
    place = data.draw(st.integers(0, len(old)))
    junk = data.draw(st.binary(max_size=20) | st.sampled_from([b"9" * 400, b"[" * 5000, b"\n"]))
    path.write_bytes(old[:place] + junk + old[place + data.draw(st.integers(0, 30)) :])
    same = path.read_bytes() == old
    code = verify_package(bag).exit_code
    # Nothing lists the list of lists: an empty line in it is nobody's loss.
    harmless = same or path.name.startswith("tagmanifest")
    assert code in (1, 2, 3) if harmless else code in (1, 2)
    if path.parent != bag:
        remanifest(bag)
        assert verify_package(bag).exit_code in (1, 3)


def test_a_run_out_of_order_but_well_chained(tmp_path: Path, standalone: ModuleType) -> None:
    stream = Stream("cam-a")
    for index in (1, 2, 4, 3):
        stream.segment(index)
    make_package(tmp_path / "bag", [stream], make_session([stream]))
    assert "reordered" in found(tmp_path / "bag", standalone)[0]
