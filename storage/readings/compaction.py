# pyright: standard
# duckdb and pyarrow type their tables as unknown: strict rules have nothing to hold on to.
"""Closed partitions go from the hot side to the cold one, whole, by one process at a time."""

import sqlite3
from datetime import date
from pathlib import Path

import duckdb
import structlog

from storage.locks import lock_if_free
from storage.readings import cold, frames
from storage.readings.database import Database
from storage.readings.meters import MeterKeys
from storage.readings.snapshot import Engine, Snapshot, quote
from storage.readings.tier import Tier
from water.clock import Clock

_log = structlog.get_logger()

_ROW_GROUP = 122_880


class Compactor:
    """Compacts one tier of one database.

    Args:
        tier: what is compacted.
        database: where its hot rows and the manifest are.
        keys: the meters of that database.
        engine: what merges and writes.
        folder: where the Parquet files are.
        clock: says when a file was written, for people.
    """

    def __init__(
        self,
        tier: Tier,
        database: Database,
        keys: MeterKeys,
        engine: Engine,
        folder: Path,
        clock: Clock,
    ) -> None:
        self._tier = tier
        self._database = database
        self._keys = keys
        self._engine = engine
        self._folder = folder
        self._clock = clock
        folder.mkdir(parents=True, exist_ok=True)

    def compact(self, closed_before: int, grace_s: float = cold.GRACE_S) -> int:
        """Write every partition that ends at or before `closed_before` and has hot rows.

        Returns how many were written; 0 when another process is at it. A partition into which
        rows came while it was written stays hot until the next time.
        """
        with lock_if_free(self._folder.with_suffix(".compacting")) as alone:
            if not alone:
                return 0
            self._database.sync()  # no power cut may bring back a manifest that names what is swept
            with self._database.writing() as connection:
                swept = cold.sweep(connection, self._tier, self._folder, grace_s)
            written = sum(self._write(partition) for partition in self._waiting(closed_before))
        if written or swept:
            self._database.checkpoint()
            _log.info("compacted", tier=self._tier.name, partitions=written, deleted=len(swept))
        return written

    def _waiting(self, closed_before: int) -> list[date]:
        found: list[date] = []
        with self._database.reading() as connection:
            at = self._first_hot(connection, None)
            while at is not None:
                partition = self._tier.partitioning.of(at)
                ends = self._tier.partitioning.bounds(partition)[1]
                if ends > closed_before:
                    break
                found.append(partition)
                at = self._first_hot(connection, ends)
        return found

    def _first_hot(self, connection: sqlite3.Connection, after: int | None) -> int | None:
        where = "" if after is None else f"WHERE at >= {after}"
        sql = f"SELECT at FROM {self._tier.name} {where} ORDER BY at LIMIT 1"  # noqa: S608 - own names
        row = connection.execute(sql).fetchone()
        return row[0] if row else None

    def _write(self, partition: date) -> bool:
        begins, ends = self._tier.partitioning.bounds(partition)
        file = self._folder / cold.new_name(partition)
        with self._database.reading() as connection, self._engine.cursor() as cursor:
            changes = cold.count_changes(connection, self._tier, partition)
            cursor.register("names", frames.names_table(self._keys.known(connection)))
            rows = Snapshot(self._tier, connection, cursor, self._folder).relation(begins, ends)
            count = write_aside(cursor, self._tier, rows, file)
        cold.put_in_place(file)
        entry = cold.ColdFile(partition, begins, ends, file.name, count)
        with self._database.writing() as connection:
            if cold.count_changes(connection, self._tier, partition) != changes:
                file.unlink()
                return False
            cold.enter(connection, self._tier, entry, written_at=self._clock.now().isoformat())
        return True


def write_aside(cursor: duckdb.DuckDBPyConnection, tier: Tier, rows: str, file: Path) -> int:
    """Write the relation `rows` aside of `file`, sorted by (meter, at); how many rows.

    The relation `names` gives meter_id, so that a file can be read without the database. A row
    whose meter it lacks is an error: the hot rows go once they are in the file.
    """
    nameless = "error('meter ' || r.meter || ' has no name')"
    columns = ", ".join(f"r.{name}" for name in ("meter", "at", *tier.others))
    (count,) = cursor.execute(
        f"COPY (SELECT coalesce(n.meter_id, {nameless}) AS meter_id, {columns} "  # noqa: S608 - own SQL
        f"FROM ({rows}) r LEFT JOIN names n USING (meter) "
        f"ORDER BY r.meter, r.at) TO {quote(str(cold.aside(file)))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
    ).fetchall()[0]
    return count
