"""Reading a BagIt bag (RFC 8493) from a zip or a folder of unknown origin.

Names that lead outside, links, encrypted or doubled entries and zip bombs make a bag unreadable.
What is merely not as the manifests say is told as problems.
"""

import os
import re
import stat
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

MAX_ENTRIES = 500_000
# Records and lists; media files have no such bound, they are never held whole.
MAX_TEXT = 256 * 1024 * 1024
# Media do not compress; text does, but nothing honest does by more than this.
MAX_RATIO = 1000
CHUNK = 1 << 20
# What reading an archive that lies about itself ends in: offsets beyond any file (OverflowError,
# ValueError), names that are no text (UnicodeDecodeError), headers cut short (struct.error).
READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)
MANIFESTS = {"sha256": "manifest-sha256.txt", "sm3": "manifest-sm3.txt"}
TAG_MANIFEST = "tagmanifest-sha256.txt"
# SM3 of the payload but its media, whose SM3 stands in their records: a manifest must be of all.
SM3_LIST = "digests-sm3.txt"


def said(error: Exception) -> str:
    """Give what an error says; some say nothing but their name."""
    return str(error) or type(error).__name__


class Unreadable(ValueError):
    """Not a bag that can be read, or one that means harm."""


class Files(ABC):
    """The files of a bag by their names relative to its base, with ``/``."""

    @abstractmethod
    def sizes(self) -> Mapping[str, int]: ...

    @abstractmethod
    def open(self, name: str) -> IO[bytes]: ...

    def text(self, name: str) -> bytes:
        """Give a whole small file. Raises ``Unreadable`` if it is none or too big."""
        if name not in self.sizes():
            raise Unreadable(f"{name} is missing")
        if self.sizes()[name] > MAX_TEXT:
            raise Unreadable(f"{name} is too big")
        try:
            with self.open(name) as source:
                return source.read(MAX_TEXT + 1)
        except READ_ERRORS as error:
            raise Unreadable(f"{name} cannot be read: {said(error)}") from None


class Folder(Files):
    def __init__(self, base: Path, sizes: Mapping[str, int]) -> None:
        self._base, self._sizes = base, sizes

    def sizes(self) -> Mapping[str, int]:
        return self._sizes

    def open(self, name: str) -> IO[bytes]:
        return (self._base / name).open("rb")


class Zip(Files):
    def __init__(self, archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> None:
        self._archive, self._entries = archive, entries
        self._sizes = {name: entry.file_size for name, entry in entries.items()}

    def sizes(self) -> Mapping[str, int]:
        return self._sizes

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(self._entries[name])


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """Open a bag: a zip, its base folder, or a folder that holds exactly one bag.

    Raises ``Unreadable``.
    """
    try:
        archive = None if path.is_dir() else zipfile.ZipFile(path)
        files = _zip(archive) if archive else _folder(path)
    except Unreadable:
        raise
    except READ_ERRORS as error:
        raise Unreadable(f"cannot be read: {said(error)}") from None
    try:
        yield files
    finally:
        if archive:
            archive.close()


def _folder(path: Path) -> Folder:
    if not (path / "bagit.txt").is_file():
        inside = [item for item in path.iterdir() if (item / "bagit.txt").is_file()]
        if len(inside) != 1:
            raise Unreadable("this folder is no bag and does not hold exactly one")
        path = inside[0]
    sizes: dict[str, int] = {}
    folders = [""]
    while folders:
        above = folders.pop()
        with os.scandir(path / above) as entries:
            for entry in entries:
                name, found = above + entry.name, entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    folders.append(f"{name}/")
                    continue
                if not stat.S_ISREG(found.st_mode):
                    raise Unreadable(f"{name} is a link or a device")
                sizes[_checked(name)] = found.st_size
                if len(sizes) > MAX_ENTRIES:
                    raise Unreadable("too many files")
    return Folder(path, sizes)


def _zip(archive: zipfile.ZipFile) -> Zip:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MAX_ENTRIES:
        raise Unreadable("too many files")
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = _checked(info.filename)
        mode = info.external_attr >> 16
        if stat.S_ISLNK(mode) or info.flag_bits & 1:
            raise Unreadable(f"{name} is a link or encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(f"{name} is packed in a way that is not read here")
        if info.file_size > CHUNK and info.file_size > MAX_RATIO * max(info.compress_size, 1):
            raise Unreadable(f"{name} grows beyond reason when unpacked")
        if name in entries:
            raise Unreadable(f"{name} is there twice")
        # The archive's own CRC would hide which part of the file differs; the digests tell.
        del info.CRC
        entries[name] = info
    tops = {name.split("/", 1)[0] for name in entries}
    if "bagit.txt" not in entries:
        if len(tops) != 1:
            raise Unreadable("this archive does not hold exactly one bag")
        above = len(tops.pop()) + 1
        entries = {name[above:]: info for name, info in entries.items()}
    return Zip(archive, entries)


def _checked(name: str) -> str:
    parts = name.split("/")
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise Unreadable(f"the name {name!a} is no text") from None
    if name.startswith("/") or "\\" in name or "\0" in name or ":" in parts[0]:
        raise Unreadable(f"the name {name!r} leads outside the bag")
    if any(part in ("", ".", "..") for part in parts) or len(name) > 1024:
        raise Unreadable(f"the name {name!r} leads outside the bag")
    return name


class Bag:
    """A bag's declarations, read; its payload is read by whoever verifies it.

    Raises ``Unreadable`` if it does not declare itself as RFC 8493 says.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        declared = _lines(files.text("bagit.txt"))
        if declared[:1] not in (["BagIt-Version: 1.0"], ["BagIt-Version: 0.97"]):
            raise Unreadable("bagit.txt does not declare a version that is known")
        self.manifests = {
            name: read_manifest(files.text(file))
            for name, file in MANIFESTS.items()
            if file in files.sizes()
        }
        if "sha256" not in self.manifests:
            raise Unreadable(f"{MANIFESTS['sha256']} is missing")
        self.tags = read_manifest(files.text(TAG_MANIFEST))
        listed = SM3_LIST in files.sizes()
        self.sm3 = read_manifest(files.text(SM3_LIST)) if listed else {}
        self.info = read_info(files.text("bag-info.txt"))
        self.payload = [name for name in files.sizes() if name.startswith("data/")]

    def missing(self) -> list[str]:
        """Name what a manifest lists and the bag does not hold."""
        listed = set(self.tags).union(self.sm3, *self.manifests.values())
        return sorted(listed - set(self.files.sizes()))

    def listed(self, name: str) -> dict[str, str]:
        """Give the digests that are stated of a file, by the name of the hash."""
        found = {h: m[name] for h, m in self.manifests.items() if name in m}
        if name in self.sm3:
            found.setdefault("sm3", self.sm3[name])
        return found or ({"sha256": self.tags[name]} if name in self.tags else {})

    def unlisted(self) -> list[str]:
        """Name payload files that some manifest does not list."""
        return sorted(
            name
            for name in self.payload
            if any(name not in manifest for manifest in self.manifests.values())
        )

    def strangers(self) -> list[str]:
        """Name files beside the payload that nobody lists, as file managers leave them."""
        beside = set(self.files.sizes()) - set(self.payload) - {TAG_MANIFEST}
        return sorted(beside - set(self.tags))


def read_manifest(data: bytes) -> dict[str, str]:
    """Read ``digest path`` lines. Raises ``Unreadable`` for any other line."""
    entries: dict[str, str] = {}
    for line in _lines(data):
        match = re.fullmatch(r"([0-9a-fA-F]{64})[ \t]+\*?(.+)", line)
        if not match:
            raise Unreadable(f"a line of a manifest is not one: {line[:80]!r}")
        name = re.sub("%(0[dD]|0[aA]|25)", lambda m: chr(int(m[1], 16)), match[2])
        if _checked(name) in entries:
            raise Unreadable(f"a manifest lists {name} twice")
        entries[name] = match[1].lower()
    return entries


def read_info(data: bytes) -> dict[str, str]:
    """Read ``bag-info.txt``: labels and values; folded lines are joined."""
    info: dict[str, str] = {}
    label = ""
    for line in _lines(data):
        if line[:1] in (" ", "\t") and label:
            info[label] += " " + line.strip()
        else:
            label, found, value = line.partition(":")
            if not found:
                raise Unreadable(f"a line of bag-info.txt is not one: {line[:80]!r}")
            info[label] = value.strip()
    return info


def _lines(data: bytes) -> list[str]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("a text of the bag is not UTF-8") from None
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]
