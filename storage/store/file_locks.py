"""Locks in a folder: a small file for each locked object, which this program obeys.

Whoever may write to the folder can remove file and lock alike: only an S3 store refuses by itself.
With ``immutable`` the kernel's immutable bit is set besides, where it allows that (it takes
CAP_LINUX_IMMUTABLE): then not even root removes the file by mistake, only on purpose.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bidwitness.errors import DamageFound
from bidwitness.locking import UNLOCKED, Lock

FOLDER = ".locks"
# linux/fs.h; the argument is an int, whatever the request says.
_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10


class FileLocks:
    """Reads and writes the locks of the objects below ``root``. ``make`` makes a folder durably."""

    def __init__(
        self,
        root: Path,
        make: Callable[[Path], None],
        sync_folder: Callable[[Path], None],
        *,
        immutable: bool,
    ) -> None:
        self._root = root
        self._make = make
        self._sync_folder = sync_folder
        self._immutable = immutable

    def read(self, place: Path) -> Lock:
        """Give the lock of the object at ``place``. Raises ``DamageFound``."""
        try:
            held = json.loads(self._beside(place).read_bytes())
            until = held["retained_until_us"]
            if until is not None and not isinstance(until, int):
                raise TypeError
            return Lock(until, held["held"] is True)
        except FileNotFoundError:
            return UNLOCKED
        except (ValueError, TypeError, KeyError):
            raise DamageFound(f"The lock of {place.name} in {FOLDER} is damaged.") from None

    def write(self, place: Path, lock: Lock) -> None:
        """Make the lock of the object at ``place`` durable."""
        path = self._beside(place)
        self._make(path.parent)
        draft = path.with_name(f".{secrets.token_hex(8)}")
        data = json.dumps({"retained_until_us": lock.until_us, "held": lock.held}).encode()
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        self._sync_folder(path.parent)
        self.fasten(place, on=True)

    def remove(self, place: Path) -> None:
        """Forget the lock of an object that is gone; a folder that becomes empty goes too."""
        path = self._beside(place)
        with suppress(FileNotFoundError):
            path.unlink()
        with suppress(OSError):
            path.parent.rmdir()

    def fasten(self, place: Path, *, on: bool) -> None:
        """Set or lift the immutable bit, if that is wanted and allowed.

        Not while the spool has a name for the same file: it could not be unlinked there.
        """
        if not self._immutable:
            return
        fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if on and os.fstat(fd).st_nlink > 1:
                return
            with suppress(OSError):
                flags = int.from_bytes(fcntl.ioctl(fd, _GET_FLAGS, bytes(8))[:4], "little")
                wanted = flags | _IMMUTABLE if on else flags & ~_IMMUTABLE
                if wanted != flags:
                    fcntl.ioctl(fd, _SET_FLAGS, wanted.to_bytes(8, "little"))
        finally:
            os.close(fd)

    def _beside(self, place: Path) -> Path:
        beside = self._root / FOLDER / place.relative_to(self._root)
        return beside.with_name(f"{beside.name}.json")
