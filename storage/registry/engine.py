"""Opening the registry database and bringing it to the newest revision.

SQLite is one file: a write-ahead log, foreign keys held, a full sync at each commit. On SQLite a
transaction takes the write lock when it begins, so that "read, decide, write" can't fail half way
with "database is locked" while other processes write too; they wait for each other. Who only
reads asks for an engine that doesn't: `for_reading(engine)`.
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from storage.registry.postgresql import open_postgresql

BUSY_TIMEOUT_MS = 30_000
"""How long a SQLite transaction waits for another process's, in milliseconds."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x6A69_6573_6875_69
"""Key of the PostgreSQL advisory lock that lets one process migrate at a time ("jieshui")."""

_WRITING_LOCK = 0x6A69_6573_6875_6A
"""Key of the PostgreSQL advisory lock of who reads, decides and writes (imports, edits)."""


def open_registry(url: str | URL) -> Engine:
    """Open the registry database at an SQLAlchemy URL; no connection is made yet.

    `sqlite:///path` (the folder is made if missing) or `postgresql+psycopg://…`. Call `migrate`
    before the first use of a new database.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return open_postgresql(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def for_reading(engine: Engine) -> Engine:
    """The same database and pool, for transactions that only read: they never wait for a writer."""
    return engine.execution_options(jieshui_reads=True)


@contextmanager
def writing_alone(engine: Engine) -> Generator[Connection]:
    """A transaction in which nobody else decides and writes what people say of the registry."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            lock = text("SELECT pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": _WRITING_LOCK})
        yield connection


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the database up to a revision, the newest unless said otherwise.

    One transaction, one process at a time; nothing happens where it stands there already.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            lock = text("SELECT pg_advisory_xact_lock(:key)")
            connection.execute(lock, {"key": _MIGRATION_LOCK})
        command.upgrade(_configure(connection), revision)


def migrate_down(engine: Engine, revision: str) -> None:
    """Go back to an older revision ("base" = no table at all); what it can't hold is lost."""
    with engine.begin() as connection:
        command.downgrade(_configure(connection), revision)


def _configure(connection: Connection) -> Config:
    config = _scripts()
    config.attributes["connection"] = connection
    return config


def _scripts() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


@retry(
    retry=retry_if_exception_type(sqlite3.OperationalError),
    stop=stop_after_delay(BUSY_TIMEOUT_MS / 1000),
    wait=wait_fixed(0.05),
    reraise=True,
)
def _prepare_sqlite(dbapi_connection: Any, _record: object) -> None:
    # SQLite doesn't wait when two processes switch a new file to WAL at once.
    # The driver must not begin transactions by itself: it leaves schema changes outside of them.
    dbapi_connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("jieshui_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def current_revision(engine: Engine) -> str:
    """The revision at which the database stands; "" before the first one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def knows_revision(revision: str) -> bool:
    """Whether this version has a revision of that name."""
    known = ScriptDirectory.from_config(_scripts()).walk_revisions()
    return any(script.revision == revision for script in known)
