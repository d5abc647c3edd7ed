"""What every store can do, and what all of them mean by a key, a version and a source."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from bidwitness.errors import Conflict, DamageFound, InvalidInput
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.words import LockLevel

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


@dataclass(frozen=True, slots=True)
class Listed:
    """One version as a listing tells of it. ``marker``: it holds nothing, and where it is the
    ``newest`` it hides the object from whoever names no version. ``changed_us``: µs UTC, by the
    store's clock."""

    key: str
    version: str
    size: int
    marker: bool
    newest: bool
    changed_us: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """How far a listing has come: behind this version of this key; without one, behind the key."""

    key: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing; ``more`` is where the next one begins, nothing at the end."""

    listed: tuple[Listed, ...]
    more: Place | None


class Store(Protocol):
    """Keeps objects that never change. Each has a key and, within it, a version.

    Every method raises ``StoreError`` when the store does not answer, ``StorageFull`` when it
    has no room, and ``InvalidInput`` for a key that is not one.
    """

    def prepare(self) -> None:
        """Make the folder or bucket, and find out whether objects can be put into it."""
        ...

    def put(
        self,
        key: str,
        source: Source,
        sha256: bytes,
        *,
        expect_absent: bool = True,
        lock: Lock = UNLOCKED,
    ) -> StoredVersion:
        """Keep the bytes of ``source`` and prove it by reading that version again.

        Putting the same bytes again gives the version that is there. Nothing is ever visible in
        part. A store that refuses by itself makes the version with ``lock``; one that is there
        already is brought up to it. Raises ``DamageFound`` if the source does not hash to ``sha256``, and ``Conflict``
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

    def versions(self, prefix: str = "", after: Place | None = None, limit: int = 1000) -> Page:
        """Give up to ``limit`` versions and delete markers of keys that begin with ``prefix``.

        All of them come, whatever hides them, page after page: so a walk needs no memory and can
        go on after a crash. A page may be empty and have more behind it.
        """
        ...

    def delete_version(self, key: str, version: str) -> None:
        """Remove one version for good. Removing what is not there is no error.

        Raises ``Conflict`` while a lock forbids it.
        """
        ...

    def is_permanent(self, error: Exception) -> bool:
        """Say whether trying again cannot help."""
        ...


class Lockable(Protocol):
    """Locks on versions. Every change is read back before it is believed.

    Every method raises ``NotFound`` for a version that is not there, and ``StoreError`` when the
    store does not answer, has no locks, or says something else afterwards.
    """

    def lock_level(self) -> LockLevel:
        """Say who refuses to remove what is locked; ``none`` if nothing can be locked here."""
        ...

    def lock_of(self, key: str, version: str) -> Lock:
        """Give the lock that a version has, as the store tells it."""
        ...

    def retain(self, key: str, version: str, until_us: int) -> Lock:
        """Forbid the removal of a version until then (µs UTC), so that nobody can take it back.

        Also extends. Raises ``Conflict`` if it is retained for longer already.
        """
        ...

    def hold(self, key: str, version: str) -> Lock:
        """Forbid the removal of a version until ``release``, whatever its date."""
        ...

    def release(self, key: str, version: str) -> Lock:
        """Let the date alone count again."""
        ...

    def attacks(self) -> "Attacks":
        """Give what tries to get round the locks."""
        ...


class Attacks(Protocol):
    """What somebody with the store's keys would try, past our own rules, for the lock self-test.

    Nothing is said of whether it worked: that is for the one who looks afterwards.
    """

    def delete(self, key: str, version: str) -> None: ...

    def shorten(self, key: str, version: str, until_us: int) -> None: ...

    def bypass(self, key: str, version: str) -> None: ...

    def delete_many(self, versions: Sequence[tuple[str, str]]) -> None: ...


class LockingStore(Store, Lockable, Protocol):
    """A store with locks, as far as it has them."""


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


def locked_error(key: str, lock: Lock) -> Conflict:
    why = "a legal hold" if lock.held else "its retention"
    return Conflict(f"The store may not remove {key}: {why} forbids it.")


def shortening_error(key: str) -> Conflict:
    return Conflict(f"{key} is retained for longer already; a retention is never shortened.")


def brought_up(store: Lockable, key: str, version: str, lock: Lock) -> None:
    """Have a version locked at least as ``lock`` says."""
    if lock == UNLOCKED:
        return
    present = store.lock_of(key, version)
    if lock.until_us is not None and lock.until_us > (present.until_us or 0):
        store.retain(key, version, lock.until_us)
    if lock.held and not present.held:
        store.hold(key, version)
