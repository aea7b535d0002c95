# pyright: standard
# pyarrow types its tables as unknown: strict rules have nothing to hold on to.
"""The register before a period and the one after it, however far away."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from storage.readings import frames
from storage.readings.snapshot import Snapshot

_DAY_S = 86_400

_NEAREST = """SELECT * FROM rows WHERE register_m3 IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY meter ORDER BY "at" {order}) = 1"""


def load_before(
    snapshot: Snapshot, connection: sqlite3.Connection, meters: Sequence[int], edge: int
) -> Iterator[pa.Table]:
    """Each meter's last reading with at < edge that carries a register.

    Looks back a day, then eight, and so on, each time only for the meters that are still without
    one and have any register that early.
    """
    first = _instants(connection, "first_register")
    missing, end, reach = list(meters), edge, _DAY_S
    while missing := [m for m in missing if first.get(m, edge) < end]:
        start = max(end - reach, min(first[m] for m in missing))
        yield (found := snapshot.query(_NEAREST.format(order="DESC"), start, end, meters=missing))
        missing, end, reach = _without(missing, found), start, reach * 8


def load_after(
    snapshot: Snapshot, connection: sqlite3.Connection, meters: Sequence[int], edge: int
) -> Iterator[pa.Table]:
    """Each meter's first reading with at >= edge that carries a register; as `load_before`."""
    first, last = _instants(connection, "first_register"), _instants(connection, "latest")
    missing, start, reach = [m for m in meters if m in first], edge, _DAY_S
    while missing := [m for m in missing if last[m] >= start]:
        end = min(start + reach, max(last[m] for m in missing) + 1)
        yield (found := snapshot.query(_NEAREST.format(order="ASC"), start, end, meters=missing))
        missing, start, reach = _without(missing, found), end, reach * 8


def _without(missing: Sequence[int], found: pa.Table) -> list[int]:
    have = set(frames.column(found, "meter").tolist())
    return [m for m in missing if m not in have]


def _instants(connection: sqlite3.Connection, table: str) -> Mapping[int, int]:
    return dict(connection.execute(f"SELECT meter, at FROM {table}"))  # noqa: S608 - our own names
