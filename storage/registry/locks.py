"""What one process at a time may do, over all the machines that share a registry database."""

import fcntl
import os
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError

ANALYSIS_LOCK = 0x616E_616C_7973_6973
"""Key of the PostgreSQL advisory lock of whose turn it is to analyse ("analysis")."""

_KEEPALIVE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
"""Seconds, seconds, probes: how the server notices that the holder's machine is gone (25 s)."""

_CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""The same for libpq, so that the holder notices that the server is gone."""


class AdvisoryLock:
    """A PostgreSQL session lock on a connection of its own; its end, however it comes, frees it.

    Needs a session: no pooler in transaction mode may stand between. For one thread.
    """

    def __init__(self, engine: Engine, key: int) -> None:
        self._key = key
        self._engine = create_engine(
            engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_CONNECTING
        )
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Take the lock if nobody has it; whether it is ours now.

        Raises:
            sqlalchemy.exc.OperationalError: the database is away.
        """
        if self.holds():
            return True
        self.release()
        connection = self._engine.connect()
        try:
            _watch_each_other(connection)
            taken = connection.execute(select(func.pg_try_advisory_lock(self._key))).scalar_one()
        except BaseException:
            connection.close()
            raise
        if taken:
            self._connection = connection
        else:
            connection.close()
        return taken

    def holds(self) -> bool:
        """Whether the session that took the lock still lives; one round trip."""
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except DBAPIError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """End the session, and so give the lock back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _watch_each_other(connection: Connection) -> None:
    for name, value in _KEEPALIVE.items():
        connection.execute(text(f"SET {name} = {value}"))
    connection.execute(text("SET idle_session_timeout = 0"))


class FileLock:
    """The lock of a file, for processes of one machine; the system frees it with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Take the lock if nobody has it; whether it is ours now."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._file = file
        return True

    def holds(self) -> bool:
        """Whether it was taken: nothing takes it from a process that lives."""
        return self._file is not None

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
