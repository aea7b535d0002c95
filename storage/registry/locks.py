"""What one process at a time may do, over all the machines that share a registry database."""

from sqlalchemy import Connection, Engine, NullPool, func, select, text
from sqlalchemy.exc import DBAPIError

from storage.registry.postgresql import keep_session, open_postgresql

ANALYSIS_LOCK = 0x616E_616C_7973_6973
"""Key of the PostgreSQL advisory lock of whose turn it is to analyse ("analysis")."""


class AdvisoryLock:
    """A PostgreSQL session lock on a connection of its own; its end, however it comes, frees it.

    Needs a session: no pooler in transaction mode may stand between. For one thread.
    """

    def __init__(self, engine: Engine, key: int) -> None:
        self._key = key
        self._engine = open_postgresql(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
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
            keep_session(connection)
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
