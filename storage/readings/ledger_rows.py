"""The embedded store's ledger as rows that any kind of store reads (`contracts.LedgerRow`)."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any

from storage.batches import in_batches
from storage.contracts import LedgerRow
from storage.errors import StoreError
from storage.readings import frames
from storage.readings.counts import QUARANTINE
from storage.readings.meters import MeterKeys
from storage.readings.partitions import day_number

_COLUMNS = {
    "position": ("journal", "segment", "offset", "entry", "marker"),
    "tally": ("supplier", "ledger", "account", "reason", "count"),
    "quarantine": QUARANTINE,
    "conflict": ("at", "meter_id", "quantity", "offered", "kept", "received_at"),
}
_LATER = {"position": {"marker": ""}}
"""Columns that a backup of an earlier version lacks, with what stands there then."""
_TABLES = {"position": "positions", "tally": "tallies", "quarantine": "quarantine"}
_CONFLICTS = "(SELECT * FROM conflicts JOIN meters USING (meter))"


def dump(connection: sqlite3.Connection, names: Mapping[int, str]) -> Iterator[LedgerRow]:
    """Every row of the ledger; `names` are the ids of the meters' keys."""
    for kind, columns in _COLUMNS.items():
        table = _TABLES.get(kind, _CONFLICTS)
        sql = f"SELECT {_listed(columns)} FROM {table}"  # noqa: S608 - own names
        for values in connection.execute(sql):
            yield kind, dict(zip(columns, values, strict=True))
    for mark, packed in connection.execute("SELECT mark, pairs FROM touched ORDER BY mark"):
        days: dict[str, dict[str, int]] = {}
        for meter, day in frames.unpack_pairs(packed):
            # The newest instant of a meter is only asked of loads that are newer than a process.
            days.setdefault(frames.day_of_number(day).isoformat(), {})[names[meter]] = 0
        yield "touched", {"mark": mark, "days": days}


def restore(connection: sqlite3.Connection, keys: MeterKeys, rows: Iterable[LedgerRow]) -> None:
    """Replace the ledger, in the caller's transaction.

    Raises:
        StoreError: a load had broken off where the rows come from.
    """
    for table in (*_TABLES.values(), "conflicts", "touched"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - own names
    for kind, of_kind in groupby(rows, itemgetter(0)):
        _restore_kind(connection, keys, kind, (row for _, row in of_kind))


def _restore_kind(
    connection: sqlite3.Connection, keys: MeterKeys, kind: str, rows: Iterable[Mapping[str, Any]]
) -> None:
    if kind == "unsettled":
        raise StoreError("the embedded store can't finish a load that had broken off elsewhere")
    if kind == "touched":
        _restore_touched(connection, keys, rows)
    elif kind == "conflict":
        _restore_conflicts(connection, keys, rows)
    else:
        columns = _COLUMNS[kind]
        marks = ", ".join(f":{name}" for name in columns)
        connection.executemany(
            f"INSERT INTO {_TABLES[kind]} ({_listed(columns)}) VALUES ({marks})",  # noqa: S608 - own names
            ({**_LATER.get(kind, {}), **row} for row in rows),
        )


def _restore_conflicts(
    connection: sqlite3.Connection, keys: MeterKeys, rows: Iterable[Mapping[str, Any]]
) -> None:
    for batch in in_batches(rows):
        known = keys.give(connection, {row["meter_id"] for row in batch})
        connection.executemany(
            "INSERT INTO conflicts (meter, at, quantity, kept, offered, received_at) "
            "VALUES (:meter, :at, :quantity, :kept, :offered, :received_at)",
            [{**row, "meter": known[row["meter_id"]]} for row in batch],
        )


def _restore_touched(
    connection: sqlite3.Connection, keys: MeterKeys, rows: Iterable[Mapping[str, Any]]
) -> None:
    for row in rows:
        days: Mapping[str, Mapping[str, int]] = row["days"]
        known = keys.give(connection, {meter for meters in days.values() for meter in meters})
        pairs = [
            (known[meter], day_number(date.fromisoformat(day)))
            for day, meters in days.items()
            for meter in meters
        ]
        connection.execute(
            "INSERT INTO touched (mark, count, pairs) VALUES (?, ?, ?)",
            (row["mark"], len(pairs), frames.pack_pairs(pairs)),
        )


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)
