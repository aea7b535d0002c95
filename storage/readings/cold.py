"""The cold side: immutable Parquet files, and the manifest that says which of them count.

A file is written aside, fsynced, renamed and its folder fsynced before one transaction enters it
in the manifest, deletes the hot rows that it holds and retires the file that it replaces. Before
that transaction the file is an orphan that no reader sees; after it the hot rows are gone.
"""

import sqlite3
import time
import uuid
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from storage.readings.database import sync_path
from storage.readings.tier import Tier

MANIFEST = (
    """CREATE TABLE IF NOT EXISTS manifest (
        tier TEXT NOT NULL, partition TEXT NOT NULL, begins INTEGER NOT NULL,
        ends INTEGER NOT NULL, file TEXT NOT NULL, rows INTEGER NOT NULL, written_at TEXT NOT NULL,
        PRIMARY KEY (tier, partition)) STRICT""",
    """CREATE TABLE IF NOT EXISTS retired (
        tier TEXT NOT NULL, file TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (tier, file))
        STRICT""",
    """CREATE TABLE IF NOT EXISTS changes (
        tier TEXT NOT NULL, partition TEXT NOT NULL, changes INTEGER NOT NULL,
        PRIMARY KEY (tier, partition)) STRICT""",
)
"""`changes` moves with every load into a partition: a compactor sees that its copy is stale."""

GRACE_S = 900
"""Seconds for which readers in other processes may go on with a file that was replaced.

Real seconds, also where a demo's clock runs faster than the world: its readers don't.
"""


class ColdFile(NamedTuple):
    """A manifest row: the file holds every row with begins <= at < ends that is not overlaid."""

    partition: date
    begins: int
    ends: int
    file: str
    rows: int


def files_between(
    connection: sqlite3.Connection, tier: Tier, start: int, end: int
) -> list[ColdFile]:
    """The files whose partitions intersect [start, end), in time order."""
    rows = connection.execute(
        "SELECT partition, begins, ends, file, rows FROM manifest "
        "WHERE tier = ? AND begins < ? AND ends > ? ORDER BY begins",
        (tier.name, end, start),
    )
    return [ColdFile(date.fromisoformat(day), *rest) for day, *rest in rows]


def enter(connection: sqlite3.Connection, tier: Tier, cold: ColdFile, *, written_at: str) -> None:
    """Make a file count and its hot rows go, in the caller's transaction."""
    key = (tier.name, cold.partition.isoformat())
    connection.execute(
        "INSERT INTO retired SELECT tier, file, ? FROM manifest WHERE tier = ? AND partition = ?",
        (time.time(), *key),
    )
    connection.execute(
        "INSERT OR REPLACE INTO manifest VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*key, cold.begins, cold.ends, cold.file, cold.rows, written_at),
    )
    connection.execute(
        f"DELETE FROM {tier.name} WHERE at >= ? AND at < ?",  # noqa: S608 - the tier's own name
        (cold.begins, cold.ends),
    )


def note_changes(connection: sqlite3.Connection, tier: Tier, partitions: Sequence[date]) -> None:
    """Say that rows of these partitions changed, in the caller's transaction."""
    connection.executemany(
        "INSERT INTO changes VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET changes = changes + 1",
        [(tier.name, partition.isoformat()) for partition in partitions],
    )


def count_changes(connection: sqlite3.Connection, tier: Tier, partition: date) -> int:
    """How often rows of a partition changed."""
    row = connection.execute(
        "SELECT changes FROM changes WHERE tier = ? AND partition = ?",
        (tier.name, partition.isoformat()),
    ).fetchone()
    return row[0] if row else 0


def new_name(partition: date) -> str:
    """A file name that was never used: readers may remember the metadata of an old one."""
    return f"{partition.isoformat()}.{uuid.uuid4().hex[:12]}.parquet"


def aside(file: Path) -> Path:
    """Where a file is written before it is whole."""
    return file.with_suffix(".writing")


def put_in_place(file: Path) -> None:
    """Make a file that was written aside durable under its name."""
    sync_path(aside(file))
    aside(file).rename(file)
    sync_path(file.parent)


def sweep(connection: sqlite3.Connection, tier: Tier, folder: Path, grace_s: float) -> list[str]:
    """Delete orphans and files retired longer than the grace time; the names deleted.

    Only for who holds the compaction lock: an orphan is somebody's work otherwise.
    """
    connection.execute(
        "DELETE FROM retired WHERE tier = ? AND since <= ?", (tier.name, time.time() - grace_s)
    )
    kept = connection.execute(
        "SELECT file FROM manifest WHERE tier = :tier "
        "UNION ALL SELECT file FROM retired WHERE tier = :tier",
        {"tier": tier.name},
    )
    names = {file for (file,) in kept}
    swept = [path for path in folder.iterdir() if path.name not in names]
    for path in swept:
        path.unlink()
    return [path.name for path in swept]
