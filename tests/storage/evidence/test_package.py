"""Writing packages: what is in them, what is never in them, and all or nothing."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from support.evidence_session import (
    CLAIM,
    LENGTH,
    SECOND,
    START,
    make_package,
    make_session,
    make_stream,
    media_pieces,
)

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.package import (
    MediaSource,
    Opener,
    PackageInfo,
    StreamSource,
    write_package,
)
from bidwitness.storage.evidence.records import SegmentFacts, utc_text
from bidwitness.storage.evidence.verify import verify_package

INFO = PackageInfo("session-1", "标题\nsecond line", "中心", START, "for a test")


def package_of_one(target: Path, opener: Opener, keep: set[int] | None = None) -> None:
    stream = make_stream("cam-a")
    facts = stream.links[1].facts
    assert isinstance(facts, SegmentFacts)
    lines = [canonical(stream.records[1])]
    source = StreamSource("cam-a", "room · cam-a", lines, [MediaSource(facts, opener, keep)])
    write_package(target, INFO, session_record_lines=[], streams=[source])


def test_the_layout_of_a_zip(tmp_path: Path) -> None:
    streams = [make_stream("cam-a")]
    made = make_package(tmp_path / "p.zip", streams, make_session(streams))
    with zipfile.ZipFile(made.path) as archive:
        assert archive.testzip() is None
        names = {info.filename.removeprefix("bidwitness-session-1/") for info in archive.infolist()}
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        timeline = json.loads(archive.read("bidwitness-session-1/data/timeline.json"))
        media = archive.read(
            "bidwitness-session-1/data/media/cam-a/20231114-000001-20231114T235950.000Z.mp4"
        )
    assert media == b"".join(media_pieces("cam-a/1"))
    assert {name for name in names if not name.startswith("data/")} == {
        "bagit.txt",
        "bag-info.txt",
        "manifest-sha256.txt",
        "digests-sm3.txt",
        "tagmanifest-sha256.txt",
        "README.txt",
        "verify.html",
        "verify.py",
    }
    assert {name for name in names if name.startswith("data/") and "/media/" not in name} == {
        "data/records/cam-a/20231114.ndjson",
        "data/records/cam-a/20231115.ndjson",
        "data/session/session-1.ndjson",
        "data/timeline.json",
    }
    (stream,) = timeline["streams"]
    assert stream["label"] == "开标一室 cam-a"
    assert len(stream["files"]) == 7
    assert stream["files"][0]["from_utc"] == "2023-11-14T23:59:50.000Z"
    assert stream["gaps"][0]["cause"] == "offline"
    assert made.payload_files == sum(name.startswith("data/") for name in names)


def test_the_same_session_gives_the_same_zip(tmp_path: Path) -> None:
    streams = [make_stream("cam-a")]
    one = make_package(tmp_path / "1.zip", streams, make_session(streams))
    two = make_package(tmp_path / "2.zip", streams, make_session(streams))
    assert one.sha256 == two.sha256
    assert one.path.read_bytes() == two.path.read_bytes()


def test_records_outside_the_claim_are_not_handed_out(tmp_path: Path) -> None:
    streams = [make_stream("cam-a")]
    make_package(tmp_path / "bag", streams, make_session(streams))
    lines = (tmp_path / "bag/data/records/cam-a/20231114.ndjson").read_bytes().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1]
    lines = (tmp_path / "bag/data/records/cam-a/20231115.ndjson").read_bytes().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [0, 1, 2, 3, 4, 5, 6]


def test_part_of_a_file_is_the_init_and_the_permitted_pieces(tmp_path: Path) -> None:
    streams = [make_stream("cam-a")]
    make_package(tmp_path / "bag", streams, make_session(streams), keep={1: {5, 6}, 8: {1, 2}})
    pieces = media_pieces("cam-a/1")
    (first, *_middle, last) = sorted((tmp_path / "bag/data/media/cam-a").iterdir())
    assert first.read_bytes() == b"".join([pieces[0], pieces[5], pieces[6]])
    assert last.read_bytes() == b"".join(media_pieces("cam-a/8")[:3])
    assert verify_package(tmp_path / "bag").exit_code == 3


@pytest.mark.parametrize("suffix", ["bag", "p.zip"])
@pytest.mark.parametrize("keep", [None, {1, 2}])
@pytest.mark.parametrize(
    "stored",
    [
        b"".join(media_pieces("cam-a/2")),
        b"".join(media_pieces("cam-a/1"))[:-1],
        b"",
    ],
    ids=["another", "cut", "empty"],
)
def test_damaged_footage_is_not_handed_out(
    tmp_path: Path, suffix: str, keep: set[int] | None, stored: bytes
) -> None:
    with pytest.raises(DamageFound):
        package_of_one(tmp_path / suffix, lambda: io.BytesIO(stored), keep)
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> io.BytesIO:
        raise OSError("the store does not answer")

    with pytest.raises(OSError, match="does not answer"):
        package_of_one(tmp_path / "p.zip", fails)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="not in the segment"):
        package_of_one(tmp_path / "p.zip", fails, {1, 99})


def test_no_file_is_whole_in_memory(tmp_path: Path) -> None:
    asked: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(-1 if size is None else size)
            return super().read(size)

    package_of_one(tmp_path / "p.zip", lambda: Watched(b"".join(media_pieces("cam-a/1"))))
    assert asked
    assert all(0 < size <= 1 << 20 for size in asked)


def test_info_stays_on_its_line(tmp_path: Path) -> None:
    package_of_one(tmp_path / "bag", lambda: io.BytesIO(b"".join(media_pieces("cam-a/1"))))
    text = (tmp_path / "bag" / "bag-info.txt").read_text()
    assert "External-Description: 标题 second line\n" in text
    assert all(":" in line for line in text.splitlines())


def test_times_in_names() -> None:
    assert utc_text(START + 1_999) == "2023-11-14T23:59:40.001Z"
    assert utc_text(CLAIM.end) == utc_text(START + 9 * LENGTH - 2 * SECOND)
