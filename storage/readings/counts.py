"""Tallies, journal positions and the quarantine: what one load keeps beside its readings."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from storage.quarantine import storable_refused
from water.loading import Position, Refused, Tally

COUNTS = (
    """CREATE TABLE IF NOT EXISTS tallies (
        supplier TEXT NOT NULL, ledger TEXT NOT NULL, account TEXT NOT NULL, reason TEXT NOT NULL,
        count INTEGER NOT NULL, PRIMARY KEY (supplier, ledger, account, reason))
        WITHOUT ROWID, STRICT""",
    """CREATE TABLE IF NOT EXISTS positions (
        journal TEXT PRIMARY KEY, segment INTEGER NOT NULL, "offset" INTEGER NOT NULL,
        entry INTEGER NOT NULL, marker TEXT NOT NULL DEFAULT '') STRICT""",
    """CREATE TABLE IF NOT EXISTS quarantine (
        id INTEGER PRIMARY KEY AUTOINCREMENT, supplier TEXT NOT NULL, reason TEXT NOT NULL,
        detail TEXT NOT NULL, dialect TEXT NOT NULL, address TEXT NOT NULL, at INTEGER,
        received_at INTEGER NOT NULL, segment INTEGER NOT NULL, "offset" INTEGER NOT NULL,
        part INTEGER NOT NULL, journal TEXT NOT NULL DEFAULT 'ingest') STRICT""",
    "CREATE INDEX IF NOT EXISTS quarantine_of_supplier ON quarantine (supplier, reason, id)",
)

QUARANTINE = (
    "id", "supplier", "reason", "detail", "dialect", "address", "at", "received_at", "segment",
    "offset", "part", "journal",
)  # fmt: skip
"""Columns of a quarantine row; `at` and `received_at` are epoch seconds."""

_SELECT = f"SELECT {', '.join(f'{chr(34)}{name}{chr(34)}' for name in QUARANTINE)} FROM quarantine"  # noqa: S608 - own names


_LATER_COLUMNS = (("quarantine", "journal", "'ingest'"), ("positions", "marker", "''"))
"""Table, column and default (all of them text) of what earlier versions did not have."""


def add_later_columns(connection: sqlite3.Connection) -> None:
    """Bring tables up to date that an earlier version has made."""
    for table, column, default in _LATER_COLUMNS:
        present = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        if (column,) not in present:
            connection.execute(
                f"ALTER TABLE {table} ADD COLUMN {column} TEXT NOT NULL DEFAULT {default}"
            )


def add_tallies(connection: sqlite3.Connection, tallies: Mapping[Tally, int]) -> None:
    """Add to the counts."""
    connection.executemany(
        "INSERT INTO tallies VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count",
        [(*tally, count) for tally, count in tallies.items()],
    )


def load_tallies(connection: sqlite3.Connection) -> dict[Tally, int]:
    """Every count that is not 0."""
    rows = connection.execute("SELECT * FROM tallies WHERE count <> 0")
    return {Tally(*tally): count for *tally, count in rows}


def set_position(connection: sqlite3.Connection, journal: str, position: Position) -> None:
    """Keep where loading of a journal goes on."""
    connection.execute(
        'INSERT INTO positions (journal, segment, "offset", entry) VALUES (?, ?, ?, ?) '
        'ON CONFLICT DO UPDATE SET segment = excluded.segment, "offset" = excluded."offset", '
        "entry = excluded.entry",
        (journal, *position),
    )


def load_position(connection: sqlite3.Connection, journal: str) -> Position:
    """Where loading of a journal goes on; its beginning when nothing was loaded."""
    row = connection.execute(
        'SELECT segment, "offset", entry FROM positions WHERE journal = ?', (journal,)
    ).fetchone()
    return Position(*row) if row else Position()


def load_marker(connection: sqlite3.Connection, journal: str) -> str:
    """The marker that a journal is known by; "" = none yet."""
    row = connection.execute(
        "SELECT marker FROM positions WHERE journal = ?", (journal,)
    ).fetchone()
    return row[0] if row else ""


def swap_marker(connection: sqlite3.Connection, journal: str, known: str, marker: str) -> str:
    """Put another marker in the place of the known one; the one that stands there now."""
    connection.execute(
        "INSERT INTO positions VALUES (?, 0, 0, 0, '') ON CONFLICT DO NOTHING", (journal,)
    )
    connection.execute(
        "UPDATE positions SET marker = ? WHERE journal = ? AND marker = ?",
        (marker, journal, known),
    )
    return load_marker(connection, journal)


def add_refused(connection: sqlite3.Connection, refused: Sequence[Refused]) -> None:
    """Keep refused readings, as every database can hold them."""
    rows = [tuple(storable_refused(row._asdict()).values()) for row in refused]
    marks = ", ".join("?" * (len(QUARANTINE) - 1))
    connection.executemany(f"INSERT INTO quarantine VALUES (NULL, {marks})", rows)  # noqa: S608 - own marks


def release_refused(connection: sqlite3.Connection, ids: Sequence[int]) -> list[int]:
    """Take rows out of quarantine and off the tallies (readings, quarantined, their reason).

    Returns the ids that were still there: only those may be loaded again.
    """
    released: list[int] = []
    tallies: dict[Tally, int] = {}
    for wanted in ids:
        row = connection.execute(
            "DELETE FROM quarantine WHERE id = ? RETURNING supplier, reason", (wanted,)
        ).fetchone()
        if row:
            released.append(wanted)
            tally = Tally(row[0], "readings", "quarantined", row[1])
            tallies[tally] = tallies.get(tally, 0) - 1
    add_tallies(connection, tallies)
    return released


def quarantine_depth(connection: sqlite3.Connection) -> dict[str, int]:
    """Rows held in quarantine, a supplier."""
    return dict(connection.execute("SELECT supplier, count(*) FROM quarantine GROUP BY supplier"))


def oldest_refused_segment(connection: sqlite3.Connection, journal: str) -> int | None:
    """The first segment of a journal in which a row of the quarantine stands; None without rows."""
    (segment,) = connection.execute(
        "SELECT min(segment) FROM quarantine WHERE journal = ?", (journal,)
    ).fetchone()
    return segment


def load_refused(connection: sqlite3.Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """The quarantine rows of these ids that are there, in order of id."""
    listed = f"[{','.join(map(str, ids))}]"
    rows = connection.execute(
        f"{_SELECT} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",  # noqa: S608 - own names
        (listed,),
    )
    return [dict(zip(QUARANTINE, row, strict=True)) for row in rows]


def page_refused(
    connection: sqlite3.Connection,
    *,
    supplier: str = "",
    reason: str = "",
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Quarantine rows, newest first, with an id below `before`; "" = any."""
    terms = [("supplier = ?", supplier), ("reason = ?", reason), ("id < ?", before)]
    given = [(term, value) for term, value in terms if value not in ("", None)]
    where = f" WHERE {' AND '.join(term for term, _ in given)}" if given else ""
    rows = connection.execute(
        f"{_SELECT}{where} ORDER BY id DESC LIMIT ?", (*(value for _, value in given), limit)
    )
    return [dict(zip(QUARANTINE, row, strict=True)) for row in rows]
