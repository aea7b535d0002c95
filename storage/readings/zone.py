"""The zone whose local days a database is cut into: for ever, for its files are cut by it."""

import sqlite3
from datetime import tzinfo
from pathlib import Path

from storage.errors import StoreError

ZONE = "CREATE TABLE IF NOT EXISTS cut_by (zone TEXT NOT NULL) STRICT"


def require_zone(connection: sqlite3.Connection, path: Path, zone: tzinfo) -> None:
    """See that the database in the folder `path` is cut by this zone; one without a zone gets it.

    By another one a file of a closed day would hide hot rows of its neighbours, or not its own.

    Raises:
        StoreError: it is cut by another.
    """
    found = connection.execute("SELECT zone FROM cut_by").fetchone()
    if found is None:
        connection.execute("INSERT INTO cut_by VALUES (?)", (str(zone),))
    elif found != (str(zone),):
        raise StoreError(
            f"{path} holds the days of {found[0]}, and city.timezone says {zone}: set it back to "
            f"{found[0]}, or begin with another store.folder"
        )
