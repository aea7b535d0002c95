# pyright: standard
# duckdb and pyarrow type their tables as unknown: strict rules have nothing to hold on to.
"""One moment of a tier, hot and cold merged, as a relation for DuckDB SQL."""

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from storage.errors import StoreUnavailableError
from storage.readings import frames
from storage.readings.cold import ColdFile, files_between
from storage.readings.tier import Tier

_OF_WHAT_WAS_ASKED = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.InvalidInputException,  # what the SQL itself calls an error
)
"""Failures that say nothing of the files; a damaged one is told of by any other."""


class Engine:
    """DuckDB in memory, with nothing installed or loaded behind our back."""

    def __init__(self, spill: Path) -> None:
        settings = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": str(spill),
        }
        self._duck = duckdb.connect(":memory:", config=settings)
        # Safe: a file never changes under its name.
        self._duck.execute("SET parquet_metadata_cache = true")

    @contextmanager
    def cursor(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A cursor of its own, for one thread.

        Raises:
            StoreUnavailableError: a file can't be read or written, or is damaged.
        """
        cursor = self._duck.cursor()
        try:
            yield cursor
        except _OF_WHAT_WAS_ASKED:
            raise
        except duckdb.Error as error:
            raise StoreUnavailableError(f"the closed files: {error}") from error
        finally:
            cursor.close()

    def close(self) -> None:
        """Forget everything."""
        self._duck.close()


class Snapshot:
    """Queries over a tier as it was when the read transaction of `connection` began."""

    def __init__(
        self,
        tier: Tier,
        connection: sqlite3.Connection,
        cursor: duckdb.DuckDBPyConnection,
        folder: Path,
    ) -> None:
        self._tier = tier
        self._connection = connection
        self._cursor = cursor
        self._folder = folder

    def query(
        self,
        sql: str,
        start: int,
        end: int,
        *,
        meters: Sequence[int] | None = None,
        tables: Mapping[str, pa.Table] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """Run a SELECT over `rows`: the tier's rows with start <= at < end.

        Args:
            sql: the SELECT.
            start: epoch seconds (or a day, for daily volumes).
            end: the first one not wanted.
            meters: keys of the meters wanted; None = all.
            tables: further tables that the SELECT names.
            parameters: its $name parameters.
        """
        for name, table in (tables or {}).items():
            self._cursor.register(name, table)
        rows = self.relation(start, end, meters)
        statement = f"WITH rows AS ({rows}) {sql}"
        return self._cursor.sql(statement, params=dict(parameters or {})).to_arrow_table()

    def relation(self, start: int, end: int, meters: Sequence[int] | None = None) -> str:
        """SQL of the rows with start <= at < end; its hot part is registered on the cursor."""
        if meters is not None:
            self._cursor.register("wanted", frames.keys_table(meters))
        hot = self._hot(start, end, meters)
        self._cursor.register("hot", hot)
        times = frames.column(hot, "at")
        plain: list[ColdFile] = []
        overlaid: list[ColdFile] = []
        for cold in files_between(self._connection, self._tier, start, end):
            first, last = np.searchsorted(times, (cold.begins, cold.ends))
            (overlaid if last > first else plain).append(cold)
        where = f'WHERE "at" >= {start} AND "at" < {end}'
        if meters is not None:
            where += " AND meter IN (SELECT meter FROM wanted)"
        # AT is a word of DuckDB's grammar: it has to be quoted.
        names = ", ".join(f'"{name}"' for name in self._tier.columns)
        parts = [f"SELECT {names} FROM hot"]  # noqa: S608 - own names
        if plain:
            parts.append(f"SELECT {names} FROM {self._scan(plain)} {where}")  # noqa: S608 - own names
        if overlaid:
            scan = f'{self._scan(overlaid)} ANTI JOIN hot USING ("at", meter)'
            parts.append(f"SELECT {names} FROM {scan} {where}")  # noqa: S608 - own names
        return " UNION ALL ".join(parts)

    def _hot(self, start: int, end: int, meters: Sequence[int] | None) -> pa.Table:
        sql = f"SELECT {', '.join(self._tier.columns)} FROM {self._tier.name} WHERE at >= ? AND at < ?"  # noqa: S608, E501 - the tier's own names
        arguments: tuple[Any, ...] = (start, end)
        if meters is not None:
            sql += " AND meter IN (SELECT value FROM json_each(?))"
            arguments = (*arguments, f"[{','.join(map(str, meters))}]")
        return frames.fetch_rows(
            self._connection.execute(sql + " ORDER BY at", arguments), self._tier
        )

    def _scan(self, files: Sequence[ColdFile]) -> str:
        return scan_parquet([self._folder / cold.file for cold in files])


def scan_parquet(files: Sequence[Path]) -> str:
    """SQL of a table function over these files."""
    return f"read_parquet([{', '.join(quote(str(file)) for file in files)}])"


def quote(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
