"""One SQLite file in WAL mode: short readers side by side, one writer at a time."""

import os
import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from storage.errors import StoreError, StoreUnavailableError
from storage.locks import lock_in_turn

STORED_FORMAT = 1
"""PRAGMA user_version of files that this code reads and writes."""

_BUSY_S = 60
"""How long a writer waits for another process's transaction."""

_WAL_PAGES = 4_000
"""Checkpoint about every 16 MB: fewer syncs in a backlog than SQLite's 4 MB."""

_OF_WHAT_WAS_ASKED = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError)
"""Failures that say nothing of the file; every other one of a database does, a damaged page too."""


class Database:
    """The file, its schema and its connections.

    Args:
        path: the file; made when it is not there.
        schema: statements that may be run again on every start.
        synchronous: "NORMAL" where something else is the durability point, else "FULL".

    Raises:
        StoreError: the file was written by a newer version, or is no database.
        StoreUnavailableError: another process has been making it for a minute.
    """

    def __init__(self, path: Path, schema: Sequence[str], synchronous: str) -> None:
        self._path = path
        self._synchronous = synchronous
        self._idle: list[sqlite3.Connection] = []
        self._idle_lock = threading.Lock()
        self._writer_lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # SQLite doesn't wait when two processes switch a new file to WAL at once.
            with lock_in_turn(path.with_suffix(".lock")):
                self._writer = self._connect()
                self._prepare(schema)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        # Connections move between threads, but only one thread at a time holds one.
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -65536")
        return connection

    def _prepare(self, schema: Sequence[str]) -> None:
        with self.writing() as connection:
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found > STORED_FORMAT:
                raise StoreError(
                    f"{self._path} has stored format {found}; this version knows {STORED_FORMAT}"
                )
            for statement in schema:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {STORED_FORMAT}")

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """One write transaction: committed at the end of the block, undone by an exception.

        Raises:
            StoreUnavailableError: locked for too long, disk full, or disk or file are damaged.
        """
        with self._writer_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                except BaseException:
                    self._undo()
                    raise
                self._commit()
            except _OF_WHAT_WAS_ASKED:
                raise
            except sqlite3.DatabaseError as error:
                raise StoreUnavailableError(f"{self._path}: {error}") from error

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.DatabaseError:
            self._undo()
            raise

    def _undo(self) -> None:
        # A full disk can make SQLite roll back by itself.
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """One read transaction: everything read in the block is of one moment."""
        with self._idle_lock:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or self._connect()
            connection.execute("BEGIN")
            yield connection
        except _OF_WHAT_WAS_ASKED:
            raise
        except sqlite3.DatabaseError as error:
            raise StoreUnavailableError(f"{self._path}: {error}") from error
        finally:
            if connection is not None:
                self._put_back(connection)

    def _put_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        with self._idle_lock:
            self._idle.append(connection)

    def sync(self) -> None:
        """Have on the disk all that is committed: for who relies on it outside of this file.

        Raises:
            StoreUnavailableError: the disk fails.
        """
        try:
            # It is there as long as a connection is open, and nobody locks it: closing it is safe.
            sync_path(self._path.with_name(f"{self._path.name}-wal"))
            sync_path(self._path.parent)
        except OSError as error:
            raise StoreUnavailableError(f"{self._path}: {error}") from error

    def checkpoint(self) -> None:
        """Move what readers don't hold from the WAL into the file."""
        with self._writer_lock:
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close every connection."""
        with self._idle_lock, self._writer_lock:
            for connection in [*self._idle, self._writer]:
                connection.close()
            self._idle.clear()


def sync_path(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
