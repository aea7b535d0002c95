# pyright: standard
# pandas ships no stubs: strict rules about unknown types have nothing to hold on to.
"""Which (meter, local day)s changed since a mark: one packed row a load.

A row a reading would cost as much as the readings themselves; a load's pairs in one blob cost
eight bytes each. A reader goes by marks, so loads may be folded: pairs under a higher mark are
seen again at worst.
"""

import sqlite3
from collections.abc import Collection
from datetime import date

import pandas as pd

from storage.frames import touched_frame
from storage.readings import frames

TOUCHED = (
    "CREATE TABLE IF NOT EXISTS touched (mark INTEGER PRIMARY KEY AUTOINCREMENT, "
    "count INTEGER NOT NULL, pairs BLOB NOT NULL) STRICT"
)

_FOLD_TO = 10_000
"""Loads are folded until they hold so many pairs: a reader's limit stays meaningful."""


def add(connection: sqlite3.Connection, pairs: Collection[tuple[int, int]]) -> None:
    """Mark (meter key, day number)s as touched, in the caller's transaction."""
    connection.execute(
        "INSERT INTO touched (count, pairs) VALUES (?, ?)",
        (len(pairs), frames.pack_pairs(list(pairs))),
    )


def after(
    connection: sqlite3.Connection, mark: int, limit: int
) -> tuple[set[tuple[int, int]], int]:
    """Whole loads after a mark until `limit` different pairs are found, and the last mark seen.

    A mark that no load has had was given by a store that was lost: the first load comes next.
    """
    seen: set[tuple[int, int]] = set()
    (newest,) = connection.execute("SELECT coalesce(max(mark), 0) FROM touched").fetchone()
    mark = mark if mark <= newest else 0
    loads = connection.execute(
        "SELECT mark, pairs FROM touched WHERE mark > ? ORDER BY mark", (mark,)
    )
    for found, packed in loads:
        if len(seen) >= limit:
            break
        seen.update(frames.unpack_pairs(packed))
        mark = found
    return seen, mark


def fold(connection: sqlite3.Connection) -> int:
    """Fold small loads together under their highest mark; how many rows that saved."""
    loads = connection.execute(
        "SELECT mark, pairs FROM touched WHERE count < ? ORDER BY mark", (_FOLD_TO,)
    ).fetchall()
    marks: list[int] = []
    pairs: set[tuple[int, int]] = set()
    saved = 0
    for i, (mark, packed) in enumerate(loads):
        marks.append(mark)
        pairs.update(frames.unpack_pairs(packed))
        if len(pairs) >= _FOLD_TO or i == len(loads) - 1:
            saved += _replace(connection, marks, pairs)
            marks, pairs = [], set()
    return saved


def _replace(connection: sqlite3.Connection, marks: list[int], pairs: set[tuple[int, int]]) -> int:
    *earlier, last = marks
    if earlier:
        connection.executemany("DELETE FROM touched WHERE mark = ?", [(m,) for m in earlier])
        connection.execute(
            "UPDATE touched SET count = ?, pairs = ? WHERE mark = ?",
            (len(pairs), frames.pack_pairs(list(pairs)), last),
        )
    return len(earlier)


def as_frame(pairs: set[tuple[int, int]], names: dict[int, str]) -> pd.DataFrame:
    """Pairs as a frame: columns meter_id, day, sorted by day and meter."""
    rows: list[tuple[date, str]] = sorted(
        (frames.day_of_number(day), names[meter]) for meter, day in pairs
    )
    return touched_frame([m for _, m in rows], [d for d, _ in rows])
