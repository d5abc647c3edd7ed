"""What every store can do, and what all of them mean by a key, a version and a source."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from bidwitness.errors import DamageFound, InvalidInput

CHUNK = 1 << 20
MAX_KEY = 400
MAX_PART = 120
# Each part begins with a letter or digit: so neither "..", nor hidden names, nor an absolute path.
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*\Z")
# The file store writes the digest into the name after this mark.
DIGEST_MARK = ".sha256-"

# A path, or a function that opens the bytes anew at their start (binary, seekable).
Source = Path | Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One object of which the store has proved, by reading it again, that it holds ``sha256``."""

    key: str
    version: str
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """One object as the store describes it. ``said_sha256`` is a label, not a proof."""

    key: str
    version: str
    size: int
    said_sha256: bytes | None


class Store(Protocol):
    """Keeps objects that never change. Each has a key and, within it, a version.

    Every method raises ``StoreError`` when the store does not answer, ``StorageFull`` when it
    has no room, and ``InvalidInput`` for a key that is not one.
    """

    def prepare(self) -> None:
        """Make the folder or bucket, and find out whether objects can be put into it."""
        ...

    def put(
        self, key: str, source: Source, sha256: bytes, *, expect_absent: bool = True
    ) -> StoredVersion:
        """Keep the bytes of ``source`` and prove it by reading that version again.

        Putting the same bytes again gives the version that is there. Nothing is ever visible in
        part. Raises ``DamageFound`` if the source does not hash to ``sha256``, and ``Conflict``
        if the key holds other bytes, unless ``expect_absent`` is false: then a further version
        is made.
        """
        ...

    def read(self, key: str, version: str, offset: int = 0, length: int | None = None) -> bytes:
        """Give ``length`` bytes from ``offset``, or all that are left; fewer at the end.

        Raises ``NotFound`` if there is no such version.
        """
        ...

    def stream(self, key: str, version: str, offset: int = 0) -> Iterator[bytes]:
        """Give the bytes from ``offset`` to the end in pieces. Raises ``NotFound``."""
        ...

    def stat(self, key: str, version: str | None = None) -> Found:
        """Describe a version, or the newest. Raises ``NotFound``."""
        ...

    def list(self, prefix: str = "") -> Iterator[Found]:
        """Give all versions of all keys that begin with ``prefix``, by key."""
        ...

    def delete_version(self, key: str, version: str) -> None:
        """Remove one version for good. Removing what is not there is no error."""
        ...

    def is_permanent(self, error: Exception) -> bool:
        """Say whether trying again cannot help."""
        ...


def check_key(key: str) -> str:
    """Give the key back. Raises ``InvalidInput`` if it is not one that every store can hold."""
    parts = key.split("/")
    good = (
        len(key) <= MAX_KEY
        and DIGEST_MARK not in key
        and all(len(part) <= MAX_PART and _PART.match(part) for part in parts)
    )
    if not good:
        raise InvalidInput(
            f"{key[:80]!r} is not a key: use letters, digits and ._=+- between slashes.",
            fields={"key": "not a key"},
        )
    return key


def opened(source: Source) -> BinaryIO:
    """Open the bytes of a source at their start; the caller closes it."""
    return source.open("rb") if isinstance(source, Path) else source()


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Give the rest of a file in pieces of ``CHUNK`` bytes."""
    while chunk := file.read(CHUNK):
        yield chunk


def digest_of(chunks: Iterator[bytes]) -> tuple[bytes, int]:
    """Give the SHA-256 and the number of the bytes."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return digest.digest(), size


def source_damaged(key: str) -> DamageFound:
    return DamageFound(
        f"The bytes to be kept as {key} are not those that were recorded: their SHA-256 differs. "
        "Nothing was put in the store."
    )
