"""The index as one file: always SQLite's, whatever the database, so that each can take the other's."""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, MetaData, String, Table, func, insert, select, text
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.orm import Session as Orm
from sqlalchemy.types import TypeEngine

from bidwitness.errors import ConfigError, Conflict, DamageFound, NotFound
from bidwitness.storage.backup.durable import sync
from bidwitness.storage.index.database import (
    Database,
    known_revisions,
    open_database,
    revision_of,
    unavailable_if_down,
    upgrade,
)
from bidwitness.storage.index.models import Base, LogShard

BATCH = 1000
Finish = Callable[[Orm], None]


def save_index(database: Database, target: Path) -> str:
    """Write the whole index, as it is at one instant, into the new file ``target``; give the version
    of its tables. Nobody has to stop meanwhile.

    Raises ``NotFound`` if there is no index, ``IndexUnavailable``, ``ConfigError`` if its tables are
    of another version than this program, ``DamageFound`` if what was written is not whole.
    """
    file = sqlite_file(database)
    if file is not None and not file.is_file():
        raise NotFound(f"There is no index: {file}.")
    revision = revision_of(database)
    if revision is None:
        raise NotFound("There is no index in this database.")
    if file is None and revision != known_revisions()[0]:
        raise ConfigError(
            f"The index has version {revision}: start this program's `keep` once, or take the "
            "backup with the program that uses it."
        )
    target.touch(mode=0o600, exist_ok=False)
    if file is not None:
        _online_copy(database, target)
    else:
        _copy_out(database, target)
    _make_one_file(target)
    check_index_file(target)
    return revision


def shards_in(path: Path) -> Sequence[LogShard]:
    """Give the shards of the log that a saved index knows, the oldest first."""
    copy = open_database(f"sqlite:///{path}")
    with closing(copy), copy.read() as orm:
        found = orm.scalars(select(LogShard).order_by(LogShard.opened_us)).all()
    _make_one_file(path)
    return found


def check_index_file(path: Path) -> None:
    """Raises ``DamageFound`` if the file of an index is not whole, row by row."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as held:
            (found,) = held.execute("PRAGMA quick_check(1)").fetchone()
            orphan = held.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        found, orphan = str(error), None
    if found != "ok" or orphan is not None:
        why = found if found != "ok" else f"a row of {orphan[0]} points to nothing"
        raise DamageFound(f"The copy of the index is not whole: {why}.")


def refuse_living_index(database: Database) -> None:
    """Raises ``Conflict`` if there is an index already: nothing is ever written over one."""
    file = sqlite_file(database)
    if file is not None:
        there = [path for path in _with_journals(file) if path.exists()]
        if there:
            raise Conflict(
                f"There is an index already: {there[0]}. Stop everything and move it away "
                "(with what lies beside it: -wal, -shm); nothing is written over it."
            )
        return
    if revision_of(database) is not None:
        with database.read() as orm:
            _refuse_rows(orm)


def load_index(source: Path, database: Database, work: Path, finish: Finish) -> None:
    """Make an index from such a file. ``finish`` is called within: it shows only when all is done.

    ``work``: a folder with room for a second copy. Raises ``Conflict`` if there is one, ``ConfigError`` if a newer program made the backup.
    """
    refuse_living_index(database)
    file = sqlite_file(database)
    # Of PostgreSQL's, too: the tables of an older version are brought to this one there.
    draft = (file or work / "index.db").with_name(".index.restoring")
    for path in _with_journals(draft):
        path.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    shutil.copyfile(source, draft)
    made = open_database(f"sqlite:///{draft}", database.signet)
    try:
        upgrade(made)
        if file is None:
            _copy_in(made, database, finish)
        else:
            with made.write() as orm:
                finish(orm)
    finally:
        made.close()
    if file is None:
        draft.unlink()
        return
    _make_one_file(draft)
    check_index_file(draft)
    sync(draft)
    draft.rename(file)
    sync(file.parent)


def sqlite_file(database: Database) -> Path | None:
    """Give the file of a SQLite index."""
    if not database.is_sqlite:
        return None
    return Path(str(database.engine.url.database))


def _with_journals(file: Path) -> list[Path]:
    return [file.with_name(file.name + end) for end in ("", "-wal", "-shm", "-journal")]


def _online_copy(database: Database, target: Path) -> None:
    with unavailable_if_down(), closing(database.engine.raw_connection()) as raw:
        assert isinstance(raw.driver_connection, sqlite3.Connection)
        with closing(sqlite3.connect(target)) as made:
            raw.driver_connection.backup(made)


def _copy_out(database: Database, target: Path) -> None:
    copy = open_database(f"sqlite:///{target}")
    try:
        upgrade(copy)
        with unavailable_if_down(), database.engine.connect() as connection:
            # One instant for all tables, whoever writes meanwhile.
            source = connection.execution_options(isolation_level="REPEATABLE READ")
            with source.begin(), copy.write() as orm:
                _copy_rows(source, orm)
    finally:
        copy.close()


def _copy_in(source: Database, database: Database, finish: Finish) -> None:
    upgrade(database)
    with source.engine.connect() as connection, database.write() as orm:
        _refuse_rows(orm)
        _copy_rows(connection, orm)
        for table in Base.metadata.sorted_tables:
            _count_on(orm, table)
        finish(orm)


def _copy_rows(source: Connection, orm: Orm) -> None:
    for table in map(_plain, Base.metadata.sorted_tables):
        rows = source.execution_options(yield_per=BATCH).execute(select(table))
        for part in rows.mappings().partitions():
            orm.execute(insert(table), [dict(row) for row in part])


def _plain(table: Table) -> Table:
    """Give a table by its stored values: words as texts, and no JSON ``null`` where nothing is."""
    columns: list[Column[Any]] = [Column(c.name, _plain_type(c)) for c in table.columns]
    return Table(table.name, MetaData(), *columns)


def _plain_type(column: Column[Any]) -> TypeEngine[Any]:
    if isinstance(column.type, JSON):
        return JSON(none_as_null=True)
    return String() if isinstance(column.type, SqlEnum) else column.type


def _refuse_rows(orm: Orm) -> None:
    for table in Base.metadata.sorted_tables:
        if orm.execute(select(table).limit(1)).first() is not None:
            raise Conflict(
                f"The database holds an index already ({table.name} is not empty). Stop everything "
                "and name an empty database; nothing is written over one."
            )


def _count_on(orm: Orm, table: Table) -> None:
    """Have PostgreSQL number new rows after those that came with their numbers."""
    column = table.autoincrement_column
    if column is None:
        return
    name = text("SELECT pg_get_serial_sequence(:table, :column)")
    sequence = orm.scalar(name, {"table": table.name, "column": column.name})
    highest = orm.scalar(select(func.max(column)))
    if sequence is not None and highest is not None:
        orm.execute(text("SELECT setval(:name, :at)"), {"name": sequence, "at": highest})


def _make_one_file(path: Path) -> None:
    """Leave one file, without a journal beside it."""
    try:
        with closing(sqlite3.connect(path)) as held:
            held.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise DamageFound(f"The copy of the index is not whole: {error}.") from None
