"""There is one `keep` at a time: a file lock on the data folder, and on PostgreSQL one for the site."""

import fcntl
import logging
import os
import threading
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bidwitness.errors import ConfigError, Conflict, IndexUnavailable
from bidwitness.storage.index.database import Database, unavailable_if_down

log = logging.getLogger(__name__)

# Any fixed number, unlike the one for migrations.
ADVISORY_LOCK = 7_421_904


class KeepLock:
    """Held from ``acquire`` to ``release``; a process that dies lets go of it."""

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._path = path
        self._file: int | None = None
        self._connection: Connection | None = None
        self._guard = threading.Lock()

    def acquire(self) -> bool:
        """Try to become the one `keep`; say whether it worked.

        Raises ``IndexUnavailable`` if the database does not answer, ``ConfigError`` if the data
        folder cannot be written.
        """
        with self._guard:
            if self._file is None:
                self._file = self._lock_file()
            return self._file is not None and self._lock_database()

    def confirm(self) -> None:
        """Ask before work whether the lock still holds.

        Raises ``IndexUnavailable`` while that cannot be told, and ``Conflict`` if another has it:
        then this process must end.
        """
        with self._guard:
            if self._connection is not None:
                try:
                    self._connection.execute(text("SELECT 1"))
                    return
                except DBAPIError:
                    log.warning("the connection that held the site's lock broke")
                    self._drop_connection()
            if not self._lock_database():
                raise Conflict("Another keep took over while the database was away.")

    def release(self) -> None:
        with self._guard:
            self._unlock_database()
            self._drop_connection()
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _lock_file(self) -> int | None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ConfigError(f"BIDWITNESS_DATA: {self._path}: {error.strerror}.") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def _lock_database(self) -> bool:
        if self._database.is_sqlite:
            return True  # its file lies in the data folder
        with unavailable_if_down():
            connection = self._database.engine.connect().execution_options(
                isolation_level="AUTOCOMMIT"
            )
        try:
            with unavailable_if_down():
                query = text("SELECT pg_try_advisory_lock(:number)")
                if connection.scalar(query, {"number": ADVISORY_LOCK}):
                    self._connection = connection
                    return True
        except IndexUnavailable:
            connection.invalidate()
            connection.close()
            raise
        connection.close()
        return False

    def _unlock_database(self) -> None:
        """Let go at once: the server notices a closed connection only a moment later."""
        if self._connection is not None:
            try:
                query = text("SELECT pg_advisory_unlock(:number)")
                self._connection.execute(query, {"number": ADVISORY_LOCK})
            except DBAPIError:
                log.warning("the connection that held the site's lock broke")

    def _drop_connection(self) -> None:
        if self._connection is not None:
            # Not back into the pool: the lock lives as long as the server's side of it.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
