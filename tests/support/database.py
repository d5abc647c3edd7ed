"""The index on both databases: SQLite in a folder, PostgreSQL as a private server on a socket."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import create_engine, make_url, text
from support.needs import absent

from bidwitness.ids import new_id


def _bin(name: str) -> str | None:
    found = shutil.which(name)
    if found and "/usr/bin/" not in found:
        return found
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / name).is_file():
            return str(folder / name)
    return found


def postgres_programs() -> tuple[str, str]:
    """Find initdb and pg_ctl. Skips or fails where they are missing."""
    initdb, pg_ctl = _bin("initdb"), _bin("pg_ctl")
    if not initdb or not pg_ctl:
        absent("PostgreSQL (make system)")
        raise AssertionError("absent() did not end the test")
    return initdb, pg_ctl


def open_postgres() -> "PostgresServer":
    """Give an empty server of our own, on loopback, to be used as a context.

    initdb refuses root, so as root the server runs as the system's ``postgres`` user.
    """
    return PostgresServer(*postgres_programs())


@contextmanager
def running_postgres() -> Iterator[str]:
    """Give the URL of an empty server of our own; stop it afterwards."""
    with open_postgres() as server:
        yield server.url


class PostgresServer:
    """A server that a test may stop and start again.

    Its folder is not one of pytest's: those are closed to other users, and the server may be one.
    """

    def __init__(self, initdb: str, pg_ctl: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bidwitness-postgres-")
        self.data = Path(self._folder.name) / "pg"
        self.port = free_port()
        self.initdb, self.pg_ctl = initdb, pg_ctl
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{self.user}@127.0.0.1:{self.port}/postgres"

    def _run(self, *command: str) -> None:
        as_user = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        prefix = as_user if os.geteuid() == 0 else []
        subprocess.run([*prefix, *command], check=True, capture_output=True, cwd="/", timeout=60)

    def __enter__(self) -> Self:
        self.data.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.data, self.user)
            self.data.parent.chmod(0o711)
        self._run(self.initdb, "-D", str(self.data), "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        return self

    def start(self) -> None:
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} "
            "-c unix_socket_directories='' -c fsync=off"
        )
        log = str(self.data / "log")
        self._run(self.pg_ctl, "-D", str(self.data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run(self.pg_ctl, "-D", str(self.data), "-w", "-m", "immediate", "stop")

    def __exit__(self, *_: object) -> None:
        # A test that failed may have left it stopped.
        if (self.data / "postmaster.pid").exists():
            self.stop()
        self._folder.cleanup()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def empty_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Give the URL of a new database on a running server, a copy of ``template``; drop it
    afterwards. The template must have no connection."""
    name = f"t_{new_id()}"
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
