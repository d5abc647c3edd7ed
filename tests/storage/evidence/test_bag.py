"""Bags of unknown origin: read safely or refused."""

import io
import os
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.storage.evidence.bag import Bag, Unreadable, open_files, read_info, read_manifest
from bidwitness.storage.evidence.verify import verify_package

ZEROS = "0" * 64
TEXTS = {
    "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
    "bag-info.txt": b"Payload-Oxum: 2.1\n",
    "manifest-sha256.txt": f"{ZEROS}  data/a\n".encode(),
    "tagmanifest-sha256.txt": f"{ZEROS}  bagit.txt\n".encode(),
    "data/a": b"hi",
}


def zipped(path: Path, files: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, packing)
    return path


@pytest.mark.parametrize("prefix", ["", "bag/"])
@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_bag_in_a_zip(tmp_path: Path, prefix: str, packing: int) -> None:
    path = zipped(tmp_path / "b.zip", {prefix + n: d for n, d in TEXTS.items()}, packing)
    with open_files(path) as files:
        bag = Bag(files)
        assert bag.files.text("data/a") == b"hi"
        assert bag.payload == ["data/a"]
        assert bag.info == {"Payload-Oxum": "2.1"}
        assert bag.missing() == []
        assert bag.unlisted() == []
        assert bag.strangers() == ["bag-info.txt", "manifest-sha256.txt"]


def test_a_bag_in_a_folder_or_one_above(tmp_path: Path) -> None:
    base = tmp_path / "out" / "bag"
    for name, data in TEXTS.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(data)
    for path in (base, base.parent):
        with open_files(path) as files:
            assert Bag(files).files.text("data/a") == b"hi"
    (base.parent / "other").mkdir()
    (base.parent / "other" / "bagit.txt").write_bytes(b"")
    with pytest.raises(Unreadable, match="exactly one"), open_files(base.parent):
        pass
    (base / "data" / "link").symlink_to("/etc/passwd")
    with pytest.raises(Unreadable, match="link"), open_files(base):
        pass
    (base / "data" / "link").unlink()
    os.mkfifo(base / "data" / "pipe")
    with pytest.raises(Unreadable, match="device"), open_files(base):
        pass


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "data/../../x", "data\\x", "C:/x", "data//x", "data/./x", "a" * 2000]
)
def test_names_that_lead_outside(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "b.zip", {**TEXTS, name: b"x"})
    with pytest.raises(Unreadable, match="leads outside"), open_files(path):
        pass
    assert verify_package(path).exit_code == 2


def test_a_manifest_that_names_something_outside(tmp_path: Path) -> None:
    files = {**TEXTS, "manifest-sha256.txt": f"{ZEROS}  ../../etc/passwd\n".encode()}
    assert verify_package(zipped(tmp_path / "b.zip", files)).exit_code == 2


def test_a_zip_bomb(tmp_path: Path) -> None:
    bomb = {**TEXTS, "data/bomb": bytes(50_000_000)}
    path = zipped(tmp_path / "b.zip", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    report = verify_package(path)
    assert report.exit_code == 2
    assert "beyond reason" in report.problems[0].detail


def test_links_doubles_and_odd_packing_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("data/link")
    link.external_attr = 0o120777 << 16
    for entry, packing, says in (
        (link, zipfile.ZIP_STORED, "link"),
        (zipfile.ZipInfo("data/a"), zipfile.ZIP_STORED, "twice"),
        (zipfile.ZipInfo("data/b"), zipfile.ZIP_BZIP2, "packed in a way"),
    ):
        path = zipped(tmp_path / "b.zip", TEXTS)
        with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns of the double that is meant here
            archive.writestr(entry, b"x", packing)
        with pytest.raises(Unreadable, match=says), open_files(path):
            pass


def test_an_encrypted_entry(tmp_path: Path) -> None:
    path = zipped(tmp_path / "b.zip", TEXTS)
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            data[at + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(Unreadable, match="encrypted"), open_files(path):
        pass


@pytest.mark.parametrize("missing", [name for name in TEXTS if not name.startswith("data/")])
def test_without_its_declarations_it_is_no_bag(tmp_path: Path, missing: str) -> None:
    files = {f"bag/{name}": data for name, data in TEXTS.items() if name != missing}
    assert verify_package(zipped(tmp_path / "b.zip", files)).exit_code == 2


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip" * 100])
def test_not_even_a_zip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(data)
    assert verify_package(path).exit_code == 2
    assert verify_package(tmp_path / "nothing").exit_code == 2
    (tmp_path / "empty").mkdir()
    assert verify_package(tmp_path / "empty").exit_code == 2


@given(junk=st.binary(max_size=40), position=st.integers(0, 600))
def test_a_damaged_zip_gives_a_verdict_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, position: int
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in TEXTS.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    data = buffer.getvalue()
    place = position % len(data)
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    path.write_bytes(data[:place] + junk + data[place + len(junk) :])
    assert verify_package(path).exit_code in (1, 2)


def test_manifest_lines() -> None:
    text = f"{ZEROS}  data/a\n{ZEROS} *data/b%0Ac%25\r\n{ZEROS}\tdata/d\n"
    assert list(read_manifest(text.encode())) == ["data/a", "data/b\nc%", "data/d"]
    for bad in (f"{ZEROS} data/a\n{ZEROS} data/a\n", "xyz data/a\n", f"{ZEROS}\n"):
        with pytest.raises(Unreadable):
            read_manifest(bad.encode())
    with pytest.raises(Unreadable):
        read_manifest(b"\xff")


def test_info_lines() -> None:
    assert read_info(b"A: one\n  two\nB:three\n") == {"A": "one two", "B": "three"}
    with pytest.raises(Unreadable):
        read_info(b"nothing\n")
