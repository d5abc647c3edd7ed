"""Files that hold a key: made whole or not at all, readable by their owner alone."""

import os
import secrets
from pathlib import Path

from bidwitness.errors import ConfigError

OTHERS = 0o077


def make_key_file(path: Path, data: bytes) -> None:
    """Write a new key file whole; when two processes race, the first one's key stands.

    Mode 0600, in a folder of mode 0700. Raises ``ConfigError`` if it cannot be made.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, data)
            os.fsync(file)
        finally:
            os.close(file)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        finally:
            draft.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigError(f"The key file {path} cannot be made: {error.strerror}.") from None


def read_key_file(path: Path, missing: str) -> bytes:
    """Give a key file's bytes.

    Raises ``ConfigError`` if it cannot be read, is open to other users, or is not there:
    ``missing`` then says what follows and what to do.
    """
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"The key file {path} is missing. {missing}") from None
    except OSError as error:
        raise ConfigError(f"The key file {path} cannot be read: {error.strerror}.") from None
    if mode & OTHERS:
        raise ConfigError(f"The key file {path} can be read by other users. Run: chmod 600 {path}")
    return data
