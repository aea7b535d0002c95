# pyright: standard
# numpy and pyarrow type their values too loosely for the strict rules.
"""Registers around instants, pushed down to DuckDB: volumes straight from readings.

The volume of a period is the register at its end minus that at its start, each interpolated
between the reading at or before the instant and the one at or after it (docs/glossary.md). Meters
that freeze their register on the hour have a reading at the very instant: it is both neighbours.
For the others few readings lie near an instant: those are looked at first; only (meter, instant)s
without a reading near are looked for farther away.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from math import gcd

import numpy as np
import pyarrow as pa

from storage.edges import Edges, unknown_edges
from storage.readings import frames
from storage.readings.snapshot import Snapshot

_REACHES_S = (3_600, 86_400, 32 * 86_400)
"""How far from an instant readings are looked for, one after the other; then anywhere."""

_RUN_S = 2 * 86_400
"""Instants farther apart than this are looked at one by one: files between are not read."""

_EXACT = """
SELECT r.meter, i.place, r.register_m3 FROM rows r JOIN instants i ON i."at" = r."at"
WHERE r.register_m3 IS NOT NULL AND (r."at" - $base) % $step = 0
"""

_NEAR = """
SELECT r.meter, c.cell, min(r.at) AS first, arg_min(r.register_m3, r.at) AS first_m3,
    max(r.at) AS last, arg_max(r.register_m3, r.at) AS last_m3
FROM rows r JOIN cells c ON c.slot = (r.at - $base) // $step
WHERE r.register_m3 IS NOT NULL GROUP BY ALL
"""


def load_edges(
    snapshot: Snapshot,
    connection: sqlite3.Connection,
    meters: Mapping[str, int],
    instants: Sequence[int],
    *,
    every: bool,
) -> Edges:
    """Registers around `instants` (epoch seconds, rising, whole minutes apart).

    `meters` maps ids to keys and is sorted by id; `every` says that there are no others.

    Raises:
        StoreError: the instants don't rise or aren't whole minutes apart.
    """
    keys = np.array(list(meters.values()), np.int64)
    found = unknown_edges(list(meters), instants)
    if found.before_at.size == 0:
        return found
    for run in _runs(found, np.arange(len(instants)), _RUN_S):
        _take_exact(snapshot, found, keys, run, every=every)
    spans = _spans(connection, keys.tolist())
    everything = int(np.nan_to_num(np.nanmax(spans) - np.nanmin(spans))) // 60 * 60 + 60
    for reach in (*_REACHES_S, everything):
        missing = _missing(found, spans)
        if not np.any(missing):
            break
        places = np.flatnonzero(missing.any(axis=0))
        for run in _runs(found, places, 2 * reach + _RUN_S):
            _look(snapshot, found, keys, np.flatnonzero(missing.any(axis=1)), run, reach)
    return found


def _runs(found: Edges, places: np.ndarray, apart_s: int) -> list[np.ndarray]:
    """Cut places where their instants lie farther apart than this."""
    apart = np.diff(found.instants[places]) > apart_s
    return np.split(places, np.flatnonzero(apart) + 1)


def _take_exact(
    snapshot: Snapshot, found: Edges, keys: np.ndarray, places: np.ndarray, *, every: bool
) -> None:
    """Enter the readings at the very instants as both neighbours."""
    instants = found.instants[places]
    base = int(instants[0])
    table = snapshot.query(
        _EXACT,
        base,
        int(instants[-1]) + 1,
        meters=None if every else keys.tolist(),
        tables={"instants": pa.table({"at": instants, "place": places})},
        parameters={"base": base, "step": gcd(*np.diff(instants).tolist()) or 1},
    )
    row_of_key = np.zeros(int(keys.max()) + 1, np.int64)
    row_of_key[keys] = np.arange(len(keys))
    cell = (row_of_key[frames.column(table, "meter")], frames.column(table, "place"))
    found.before_at[cell] = found.after_at[cell] = found.instants[cell[1]]
    found.before_m3[cell] = found.after_m3[cell] = frames.column(table, "register_m3")


def _spans(connection: sqlite3.Connection, keys: Sequence[int]) -> np.ndarray:
    """First register and newest reading of each meter; NaN where there is no register."""
    spans = {
        meter: (first, last)
        for meter, first, last in connection.execute(
            "SELECT meter, f.at, l.at FROM first_register f JOIN latest l USING (meter)"
        )
    }
    return np.array([spans.get(key, (np.nan, np.nan)) for key in keys], np.float64)


def _missing(found: Edges, spans: np.ndarray) -> np.ndarray:
    """Where a neighbour is unknown and may exist."""
    first, last = spans[:, :1], spans[:, 1:]
    before = np.isnan(found.before_at) & (first <= found.instants)
    return before | (np.isnan(found.after_at) & (last >= found.instants) & (first <= last))


def _look(
    snapshot: Snapshot,
    found: Edges,
    keys: np.ndarray,
    wanted: np.ndarray,
    places: np.ndarray,
    reach: int,
) -> None:
    """Look for neighbours of the instants at `places` within `reach` seconds.

    `wanted` are the rows of the meters wanted in `found`; row i has keys[i].
    """
    begins, ends, left = _cells(found.instants[places], reach)
    step = gcd(*np.diff(np.unique(np.concatenate([begins, ends]))).tolist())
    slots = np.concatenate([np.arange(b, e, step) for b, e in zip(begins, ends, strict=True)])
    numbers = np.repeat(np.arange(len(begins)), (ends - begins) // step)
    base = int(begins[0])
    table = snapshot.query(
        _NEAR,
        base,
        int(ends[-1]),
        meters=keys[wanted].tolist(),
        tables={"cells": pa.table({"slot": (slots - base) // step, "cell": numbers})},
        parameters={"base": base, "step": step},
    )
    row_of_key = np.zeros(int(keys.max()) + 1, np.int64)
    row_of_key[keys[wanted]] = np.arange(len(wanted))
    run = _Run(table, row_of_key, (len(wanted), len(begins)), begins[1:] == ends[:-1])
    block = np.ix_(wanted, places)
    _put(found.before_at, found.before_m3, block, *run.last(left))
    _put(found.after_at, found.after_m3, block, *run.first(left + 1))
    exact = found.after_at == found.instants
    found.before_at[exact] = found.after_at[exact]
    found.before_m3[exact] = found.after_m3[exact]


def _cells(instants: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the surroundings of instants into cells that contain no instant but their beginning.

    Returns begins, ends, and for each instant the number of the cell that ends with it; the next
    cell begins with it. Neighbouring instants less than two reaches apart share a cell.
    """
    gaps = np.diff(instants)
    near = gaps <= 2 * reach
    begins, ends, left = [instants[0] - reach], [instants[0]], [0]
    for i, shared in enumerate(near):
        begins.append(instants[i])
        ends.append(instants[i + 1] if shared else instants[i] + reach)
        if not shared:
            begins.append(instants[i + 1] - reach)
            ends.append(instants[i + 1])
        left.append(len(begins) - 1)
    return (
        np.array([*begins, instants[-1]], np.int64),
        np.array([*ends, instants[-1] + reach], np.int64),
        np.array(left),
    )


class _Run:
    """What was found in a run of cells: a row a meter, a column a cell.

    An empty cell has the neighbours of the cells beside it as far as they touch (`touching`[i]
    says so of cells i and i + 1): nothing lies between.
    """

    def __init__(
        self, table: pa.Table, row_of_key: np.ndarray, shape: tuple[int, int], touching: np.ndarray
    ) -> None:
        self._table = table
        self._entry = np.full(shape, -1)
        rows = row_of_key[frames.column(table, "meter")]
        self._entry[rows, frames.column(table, "cell")] = np.arange(len(rows))
        self._touching = touching

    def last(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Time and register of the last reading in these cells or, if empty, before them."""
        return self._values(_carry(self._entry, self._touching)[:, cells], "last")

    def first(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Time and register of the first reading in these cells or, if empty, after them."""
        carried = _carry(self._entry[:, ::-1], self._touching[::-1])[:, ::-1]
        return self._values(carried[:, cells], "first")

    def _values(self, entries: np.ndarray, end: str) -> tuple[np.ndarray, np.ndarray]:
        # The entry -1 (nothing found) takes the NaN that is put last.
        at = np.append(frames.column(self._table, end), np.nan)
        m3 = np.append(frames.column(self._table, f"{end}_m3"), np.nan)
        return at[entries], m3[entries]


def _carry(entry: np.ndarray, touching: np.ndarray) -> np.ndarray:
    """Fill -1 from the nearest column to the left that is not, across touching columns."""
    places = np.arange(entry.shape[1])
    source = np.maximum.accumulate(np.where(entry >= 0, places, -1), axis=1)
    run_begins = np.maximum.accumulate(np.where(np.append(False, touching), 0, places))
    carried = np.take_along_axis(entry, np.maximum(source, 0), axis=1)
    return np.where(source >= run_begins, carried, -1)


def _put(
    at: np.ndarray,
    m3: np.ndarray,
    block: tuple[np.ndarray, ...],
    found_at: np.ndarray,
    found_m3: np.ndarray,
) -> None:
    """Enter one side's neighbours in a block where none is known yet."""
    known = at[block]
    unknown = np.isnan(known)
    at[block] = np.where(unknown, found_at, known)
    m3[block] = np.where(unknown, found_m3, m3[block])
