"""Who may load: one loader at a time, over all processes that share the ledger."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from storage.errors import StoreUnavailableError
from storage.locks import PATIENCE_S, lock_in_turn
from storage.registry.ledger import translated
from storage.registry.postgresql import keep_session

_LOAD_LOCK = 0x6C65_6467_6572
"""Key of the PostgreSQL advisory lock of whoever loads ("ledger")."""

_TAKE = text("SELECT set_config('lock_timeout', :patience, true), pg_advisory_lock(:key)")

_HOLDS = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND pid = pg_backend_pid() AND classid::bigint << 32 | objid::bigint = :key)"
)


@contextmanager
def loading_alone(engine: Engine, patience_s: float = PATIENCE_S) -> Generator[Connection]:
    """A connection whose holder is the only loader; it has no transaction open.

    On PostgreSQL the lock belongs to the connection: who loses it can't commit either, and a
    process that dies frees it. On SQLite it is the lock of a file beside the database.

    Raises:
        StoreUnavailableError: the database is away, or another loader holds on for longer than
            `patience_s`.
    """
    hold = _hold_advisory if engine.dialect.name == "postgresql" else _hold_file
    with hold(engine, patience_s) as connection:
        yield connection


def require_alone(connection: Connection) -> None:
    """See that the connection of `loading_alone` has had its lock until now.

    Raises:
        StoreUnavailableError: it was lost: another may have loaded meanwhile.
        sqlalchemy.exc.OperationalError: the session has ended, and the lock with it.
    """
    if connection.dialect.name != "postgresql":
        # The kernel takes a file's lock from no process that lives.
        return
    with connection.begin():
        if not connection.execute(_HOLDS, {"key": _LOAD_LOCK}).scalar_one():
            raise StoreUnavailableError("the lock of loading was lost meanwhile")


@contextmanager
def _hold_advisory(engine: Engine, patience_s: float) -> Generator[Connection]:
    with translated(), engine.connect() as connection:
        with connection.begin():
            keep_session(connection)
            patience = f"{patience_s * 1000:.0f}ms"
            connection.execute(_TAKE, {"key": _LOAD_LOCK, "patience": patience})
        try:
            yield connection
        except BaseException:
            # Whatever state it is in: the end of the session frees the lock.
            connection.invalidate()
            raise
        try:
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOAD_LOCK})
        except DBAPIError:
            # What was loaded is committed: that the lock goes with the session is no failure.
            connection.invalidate()


@contextmanager
def _hold_file(engine: Engine, patience_s: float) -> Generator[Connection]:
    database = Path(engine.url.database or "registry")
    with (
        lock_in_turn(database.with_name(f"{database.name}.load-lock"), patience_s),
        translated(),
        engine.connect() as connection,
    ):
        yield connection
