"""The one way to the index: short transactions on SQLite or PostgreSQL.

Nothing else in the project knows a dialect, except the first migration's constraints and
``storage.index.claims``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.orm import Session as Orm
from sqlalchemy.pool import ConnectionPoolEntry

from bidwitness.config import Settings
from bidwitness.errors import ConfigError, IndexUnavailable
from bidwitness.log import redact
from bidwitness.storage.index.signet import IN_SESSION, Signet

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 15_000
# Any fixed number: processes that start together migrate one after another.
MIGRATION_LOCK = 7_421_903


class Database:
    """Opens transactions. ``read`` never blocks writers; ``write`` is BEGIN IMMEDIATE on SQLite.

    Both raise ``IndexUnavailable`` when the database does not answer or is not one.
    """

    def __init__(self, engine: Engine, signet: Signet | None = None) -> None:
        self._engine = engine
        # What rows that the log commits to are impressed with; none for a mere copy of an index.
        self.signet = signet

    @property
    def engine(self) -> Engine:
        return self._engine

    @property
    def is_sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Orm]:
        """Give a session for reading, rolled back at the end; what was read stays usable."""
        with unavailable_if_down(), Orm(self._engine, expire_on_commit=False) as orm:
            yield orm
            # Not rollback(): that would expire every object, and reading one later would fail.
            orm.expunge_all()

    @contextmanager
    def write(self) -> Iterator[Orm]:
        """Give a session that commits at the end, or rolls back when the block raises.

        Keep it short and do no other I/O inside: on SQLite it holds the only writer's place.
        """
        with (
            unavailable_if_down(),
            Orm(self._engine, expire_on_commit=False, info={IN_SESSION: self.signet}) as orm,
            orm.begin(),
        ):
            if self.is_sqlite:
                orm.connection(execution_options={"bidwitness_begin": "IMMEDIATE"})
            yield orm

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def unavailable_if_down() -> Iterator[None]:
    """Turn a driver's connection errors into ``IndexUnavailable``; leave constraint errors alone."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise IndexUnavailable(f"The index does not answer: {_first_line(error)}") from error
    except DatabaseError as error:
        if type(error) is DatabaseError:  # SQLite's "malformed", "not a database"
            raise IndexUnavailable(
                f"The index is damaged: {_first_line(error)}. Stop, keep the file, and run "
                "`bidwitness rebuild` from store, spool and records."
            ) from error
        raise


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return redact(
        str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    )


def open_index(settings: Settings) -> Database:
    """Open the index of this site, as its processes do. Connects at first use.

    Raises ``ConfigError`` as ``open_database`` does.
    """
    return open_database(settings.database_url, Signet(settings.signet_key_file))


def open_database(url: str, signet: Signet | None = None) -> Database:
    """Open the index at ``url``. Connects at first use.

    Raises ``ConfigError`` if the folder of a SQLite file cannot be made.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(_sqlite(parsed), signet)
    engine = create_engine(
        parsed,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=10,
        connect_args={"connect_timeout": 5},
    )
    return Database(engine, signet)


def _sqlite(url: URL) -> Engine:
    if url.database:
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"BIDWITNESS_DATABASE: cannot make its folder: {error}") from None
    engine = create_engine(url, connect_args={"timeout": BUSY_MS / 1000})

    @event.listens_for(engine, "connect")
    def _pragmas(raw: object, _: ConnectionPoolEntry) -> None:
        raw.isolation_level = None  # type: ignore[attr-defined]  # we send BEGIN ourselves
        cursor = raw.cursor()  # type: ignore[attr-defined]  # a sqlite3.Connection
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        cursor.close()

    # A plain BEGIN that writes after reading is refused at once when another wrote in between,
    # whatever the busy time-out; IMMEDIATE waits its turn.
    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("bidwitness_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def migrations_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def known_revisions() -> tuple[str, ...]:
    """Give the versions of the tables that this program knows, the newest first."""
    found = ScriptDirectory.from_config(migrations_config()).walk_revisions()
    return tuple(script.revision for script in found)


def revision_of(database: Database) -> str | None:
    """Give the version of the tables; nothing if there are none. Raises ``IndexUnavailable``."""
    with unavailable_if_down(), database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def upgrade(database: Database) -> None:
    """Bring the tables to this version. Safe when several processes start together.

    Raises ``ConfigError`` if the index was made by a newer version than this one.
    """
    config = migrations_config()
    with unavailable_if_down(), database.engine.connect() as connection:
        if database.is_sqlite:
            connection = connection.execution_options(bidwitness_begin="IMMEDIATE")
        with connection.begin():
            if not database.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            present = MigrationContext.configure(connection).get_current_revision()
            if present is not None and present not in known_revisions():
                raise ConfigError(
                    f"The index has version {present}, which this program does not know. "
                    "Use the program that wrote it, or a newer one."
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
