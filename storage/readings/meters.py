"""Meter ids as small integer keys: given once, for ever."""

import sqlite3
from collections.abc import Iterable, Mapping

METERS = (
    "CREATE TABLE IF NOT EXISTS meters "
    "(meter INTEGER PRIMARY KEY, meter_id TEXT NOT NULL UNIQUE) STRICT"
)

_ALL = "SELECT meter_id, meter FROM meters"


class MeterKeys:
    """The meters table, remembered as far as it is committed: a key never changes."""

    def __init__(self) -> None:
        self._committed: Mapping[str, int] = {}

    def known(self, reader: sqlite3.Connection) -> Mapping[str, int]:
        """Every meter id with its key, as of a read transaction."""
        # (Another thread, whose transaction is older, may remember fewer at any moment.)
        known = self._committed
        (stored,) = reader.execute("SELECT count(*) FROM meters").fetchone()
        if stored != len(known):
            known = dict(reader.execute(_ALL))
            self.remember(known)
        return known

    def give(self, writer: sqlite3.Connection, meter_ids: Iterable[str]) -> Mapping[str, int]:
        """Keys of at least these ids; those that have none get one within the transaction.

        Hand the answer to `remember` once the transaction is committed, never before.
        """
        wanted, committed = set(meter_ids), self._committed
        if wanted <= committed.keys():
            return committed
        new = sorted(wanted - dict(writer.execute(_ALL)).keys())
        writer.executemany("INSERT INTO meters (meter_id) VALUES (?)", [(m,) for m in new])
        return dict(writer.execute(_ALL))

    def remember(self, committed: Mapping[str, int]) -> None:
        """What a committed transaction gave or found."""
        self._committed = committed
