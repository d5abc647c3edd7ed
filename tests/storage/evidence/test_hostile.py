"""Packages that mean harm: a verdict or a clear word from both commands, never a trace."""

import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from support.attacks import remanifest
from support.evidence_session import make_package, make_session, make_stream

from bidwitness.storage.evidence.bundle import standalone_verifier
from bidwitness.storage.evidence.verify import verify_package

HUGE = 2**64 - 2


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    streams = [make_stream("cam-a")]
    path = tmp_path_factory.mktemp("packages") / "p.zip"
    return make_package(path, streams, make_session(streams)).path.read_bytes()


def entries(data: bytes) -> list[int]:
    """Give where the entries of the central directory are."""
    found, at = [], data.find(b"PK\x01\x02")
    while at >= 0:
        found.append(at)
        at = data.find(b"PK\x01\x02", at + 4)
    return found


def far_away(data: bytearray) -> None:
    """An entry that begins beyond any file: its offset is said to stand in a zip64 field."""
    for at in entries(data)[:1]:
        struct.pack_into("<I", data, at + 42, 0xFFFFFFFE)


def never_ending(data: bytearray) -> None:
    for at in entries(data)[:1]:
        struct.pack_into("<II", data, at + 20, 0xFFFFFFF0, 0xFFFFFFF0)


def other_method(data: bytearray) -> None:
    for at in entries(data):
        struct.pack_into("<H", data, at + 10, 14)


def strong_encryption(data: bytearray) -> None:
    for at in entries(data):
        struct.pack_into("<H", data, at + 8, 0x40)


def name_of_no_text(data: bytearray) -> None:
    for at in entries(data)[:1]:
        struct.pack_into("<H", data, at + 8, 0x800)
        data[at + 46] = 0xFF


def other_name_inside(data: bytearray) -> None:
    data[30] ^= 1


def begins_later(data: bytearray) -> None:
    end = data.rfind(b"PK\x05\x06")
    offset = struct.unpack_from("<I", data, end + 16)[0]
    struct.pack_into("<I", data, end + 16, min(offset + 10_000_000, 0xFFFFFFFE))


def half(data: bytearray) -> None:
    del data[len(data) // 2 :]


@pytest.mark.parametrize(
    "change",
    [
        far_away,
        never_ending,
        other_method,
        strong_encryption,
        name_of_no_text,
        other_name_inside,
        begins_later,
        half,
    ],
)
def test_archives_that_lie_about_themselves(
    tmp_path: Path, standalone: ModuleType, package: bytes, change: Callable[[bytearray], None]
) -> None:
    data = bytearray(package)
    change(data)
    path = tmp_path / "p.zip"
    path.write_bytes(data)
    ours, theirs = verify_package(path), standalone.verify_package(path)
    assert ours.exit_code == theirs.exit_code
    assert ours.exit_code in (1, 2)
    assert all(problem.detail for problem in ours.problems)


def test_an_offset_that_no_file_has(tmp_path: Path, package: bytes) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"):
            archive.writestr(name, b"BagIt-Version: 1.0\n")
        for info in archive.infolist():
            info.header_offset = HUGE
    assert verify_package(path).exit_code == 2


def digits(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"seq":1,', b'"seq":' + b"9" * 6000 + b",", 1))


def exponent(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"seq":1,', b'"seq":1e999,', 1))


def not_a_number(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"seq":1,', b'"seq":NaN,', 1))


def far_future(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"wall":[1', b'"wall":[9', 1))


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 200_000 + b"\n")


def other_encoding(path: Path) -> None:
    path.write_bytes(path.read_bytes() + "录像".encode("gbk") + b"\n")


def half_a_letter(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"arrival"', b'"\\ud800"', 1))


def escape(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"arrival"', b'"\x1b[2J"', 1))


@pytest.mark.parametrize(
    "change",
    [digits, exponent, not_a_number, far_future, deep, other_encoding, half_a_letter, escape],
)
def test_records_that_mean_harm(
    bag: Path, standalone: ModuleType, change: Callable[[Path], None]
) -> None:
    path = bag / "data/records/cam-a/20231114.ndjson"
    before = path.read_bytes()
    change(path)
    assert path.read_bytes() != before
    remanifest(bag)
    ours, theirs = verify_package(bag), standalone.verify_package(bag)
    assert ours.exit_code == theirs.exit_code == 1
    assert any("20231114.ndjson line" in p.where for p in ours.problems)


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        (b"\xff\xfe.mp4", 2, "is no text"),
        (b"\x1b[2J.mp4", 1, "data/\\x1b[2J.mp4"),
        (b"a\nb.mp4", 1, "data/a\\nb.mp4"),
    ],
)
def test_names_that_are_no_text(bag: Path, name: bytes, code: int, says: str) -> None:
    (bag / "data" / os.fsdecode(name)).write_bytes(b"x")
    script = bag.parent / "verify.py"
    script.write_text(standalone_verifier(), encoding="utf-8")
    commands = (
        [sys.executable, "-m", "bidwitness", "verify", str(bag)],
        [sys.executable, "-I", "-S", str(script), str(bag)],
    )
    for command in commands:
        told = subprocess.run(command, capture_output=True, check=False, timeout=60)
        assert (told.returncode, told.stderr) == (code, b"")
        assert b"\x1b" not in told.stdout
        assert says in told.stdout.decode()


def test_a_package_whose_own_name_is_no_text(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\x1b.zip"
    command = [sys.executable, "-m", "bidwitness", "verify", path]
    told = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (told.returncode, told.stderr) == (2, b"")
    assert b"\\udcff\\x1b.zip" in told.stdout
