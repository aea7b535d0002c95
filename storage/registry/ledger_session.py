"""Who may load: one loader at a time, over all processes that share the ledger."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from storage.readings.locks import hold_lock
from storage.registry.ledger import translated

_LOAD_LOCK = 0x6C65_6467_6572
"""Key of the PostgreSQL advisory lock of whoever loads ("ledger")."""

_TAKE = text(
    "SELECT set_config('lock_timeout', '60s', true),"
    " set_config('tcp_keepalives_idle', '10', false),"
    " set_config('tcp_keepalives_interval', '5', false),"
    " set_config('tcp_keepalives_count', '3', false),"
    " pg_advisory_lock(:key)"
)
"""A loader waits a minute for another; the server notices after 25 s that the machine of the one
that holds the lock is gone."""


@contextmanager
def loading_alone(engine: Engine) -> Generator[Connection]:
    """A connection whose holder is the only loader; it has no transaction open.

    On PostgreSQL the lock belongs to the connection: who loses it can't commit either, and a
    process that dies frees it. On SQLite it is the lock of a file beside the database.

    Raises:
        StoreUnavailableError: the database is away, or another loader holds on.
    """
    hold = _hold_advisory if engine.dialect.name == "postgresql" else _hold_file
    with hold(engine) as connection:
        yield connection


@contextmanager
def _hold_advisory(engine: Engine) -> Generator[Connection]:
    with translated(), engine.connect() as connection:
        with connection.begin():
            connection.execute(_TAKE, {"key": _LOAD_LOCK})
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
def _hold_file(engine: Engine) -> Generator[Connection]:
    database = Path(engine.url.database or "registry")
    with (
        hold_lock(database.with_name(f"{database.name}.load-lock"), wait=True),
        translated(),
        engine.connect() as connection,
    ):
        yield connection
