"""One load: readings, refusals, counts and the journal's position, together or not at all."""

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter

from storage.merging import Disagreement, Row, merge
from storage.readings import cold, counts, touched
from storage.readings.meters import MeterKeys
from storage.readings.partitions import day_number, numbered_day, partitions_between
from storage.readings.tier import Tier
from water.loading import Outcome, Position, Refused, Tally
from water.readings import Reading

LOADING = (
    """CREATE TABLE IF NOT EXISTS conflicts (
        meter INTEGER NOT NULL, at INTEGER NOT NULL, quantity TEXT NOT NULL, kept REAL NOT NULL,
        offered REAL NOT NULL, received_at INTEGER NOT NULL,
        PRIMARY KEY (meter, at, quantity, offered)) WITHOUT ROWID, STRICT""",
    """CREATE TABLE IF NOT EXISTS latest (
        meter INTEGER PRIMARY KEY, at INTEGER NOT NULL, received_at INTEGER NOT NULL,
        register_m3 REAL, flow_m3_h REAL, pressure_mpa REAL, level_m REAL,
        quality INTEGER NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS first_register (
        meter INTEGER PRIMARY KEY, at INTEGER NOT NULL) STRICT""",
)
"""`latest`: each meter's newest reading by event time. `first_register`: the instant of its
earliest register, so that nobody looks for neighbours before it."""

_LATEST = """INSERT INTO latest (at, meter, received_at, register_m3, flow_m3_h, pressure_mpa,
    level_m, quality) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET at = excluded.at, received_at = excluded.received_at,
    register_m3 = excluded.register_m3, flow_m3_h = excluded.flow_m3_h,
    pressure_mpa = excluded.pressure_mpa, level_m = excluded.level_m, quality = excluded.quality
    WHERE excluded.at >= latest.at"""

_FIRST = """INSERT INTO first_register VALUES (?, ?)
    ON CONFLICT DO UPDATE SET at = excluded.at WHERE excluded.at < first_register.at"""

_AT_ONCE = 100
"""Rows in one INSERT: SQLite binds 999 values at least (3.32 and later 32,766)."""

Identity = tuple[int, int]
ColdLookup = Callable[[sqlite3.Connection, Sequence[Row]], dict[Identity, Row]]
"""The rows of the cold side that have the identity of one of these."""


class Load:
    """The transaction that ingest loads through (ingest.ports.LoadTransaction).

    Args:
        connection: with its write transaction begun; who began it commits.
        tier: the readings tier.
        keys: the meters of this database.
        look_up_cold: finds readings of closed days.
        first_register: (meter key → earliest known register); brought up to date.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        tier: Tier,
        keys: MeterKeys,
        look_up_cold: ColdLookup,
        first_register: Mapping[int, int],
    ) -> None:
        self._connection = connection
        self._tier = tier
        self._keys = keys
        self._look_up_cold = look_up_cold
        self._touched: set[Identity] = set()
        self.keys: Mapping[str, int] | None = None
        self.first_register = first_register

    def add_readings(self, readings: Sequence[Reading]) -> list[Outcome] | None:
        """Store readings, first value wins; None if every one was stored, else an outcome each."""
        if not readings:
            return None
        keys = self._keys.give(self._connection, {r[0] for r in readings})
        self.keys = keys
        rows: list[Row] = [
            (at, keys[meter], received, register, flow, pressure, level, quality)
            for meter, at, received, register, flow, pressure, level, quality in readings
        ]
        ordered = sorted(rows, key=itemgetter(0))
        if self._insert_new(ordered):
            self._note(ordered)
            return None
        return self._merge(rows)

    def _insert_new(self, rows: list[Row]) -> bool:
        """Insert rows none of which is there yet; False (and nothing done) when one is."""
        connection = self._connection
        if cold.files_between(connection, self._tier, rows[0][0], rows[-1][0] + 1):
            return False
        connection.execute("SAVEPOINT batch")
        before = connection.total_changes
        self._insert_in_hundreds(rows)
        whole = connection.total_changes - before == len(rows)
        if not whole:
            connection.execute("ROLLBACK TO batch")
        connection.execute("RELEASE batch")
        return whole

    def _insert_in_hundreds(self, rows: list[Row]) -> None:
        """A statement of a hundred rows costs 0.6 of a hundred statements."""
        whole, width = len(rows) - len(rows) % _AT_ONCE, _AT_ONCE * len(self._tier.columns)
        values = list(chain.from_iterable(rows[:whole]))
        hundreds = (values[first : first + width] for first in range(0, len(values), width))
        self._connection.executemany(self._tier.insert("IGNORE", _AT_ONCE), hundreds)
        self._connection.executemany(self._tier.insert("IGNORE"), rows[whole:])

    def _merge(self, rows: Sequence[Row]) -> list[Outcome]:
        there = self._find(rows)
        changed: dict[Identity, Row] = {}
        outcomes: list[Outcome] = []
        conflicts: list[tuple[Row, Disagreement]] = []
        for row in rows:
            identity = row[:2]
            kept = there.get(identity)
            if kept is None:
                there[identity] = changed[identity] = row
                outcomes.append(Outcome.STORED)
                continue
            merged = merge(kept, row)
            outcomes.append(merged.outcome)
            conflicts.extend((row, disagreement) for disagreement in merged.disagreements)
            if merged.row != kept:
                there[identity] = changed[identity] = merged.row
        self._keep(changed.values(), conflicts)
        return outcomes

    def _find(self, rows: Sequence[Row]) -> dict[Identity, Row]:
        """The stored rows with the identity of one of these; an overlay wins over the cold row."""
        sql = f"SELECT {', '.join(self._tier.columns)} FROM {self._tier.name} WHERE at = ? AND meter = ?"  # noqa: S608, E501 - the tier's own names
        there: dict[Identity, Row] = {}
        elsewhere: list[Row] = []
        for row in rows:
            hot = self._connection.execute(sql, row[:2]).fetchone()
            if hot:
                there[row[:2]] = hot
            else:
                elsewhere.append(row)
        return {**self._look_up_cold(self._connection, elsewhere), **there}

    def _keep(self, changed: Iterable[Row], conflicts: Sequence[tuple[Row, Disagreement]]) -> None:
        rows = sorted(changed, key=itemgetter(0))
        self._connection.executemany(self._tier.insert("REPLACE"), rows)
        if rows:
            self._note(rows)
        self._connection.executemany(
            "INSERT OR IGNORE INTO conflicts VALUES (?, ?, ?, ?, ?, ?)",
            [(row[1], row[0], *disagreement, row[2]) for row, disagreement in conflicts],
        )
        if conflicts:
            contested = sorted((row for row, _ in conflicts), key=itemgetter(0))
            self._touched |= self._days_of(contested)

    def _note(self, rows: Sequence[Row]) -> None:
        """Bring everything kept beside the readings up to date; `rows` is in time order."""
        newest = {row[1]: row for row in rows}
        self._connection.executemany(_LATEST, newest.values())
        earliest = {row[1]: row[0] for row in reversed(rows) if row[3] is not None}
        known = self.first_register
        earlier = {meter: at for meter, at in earliest.items() if at < known.get(meter, at + 1)}
        if earlier:
            self._connection.executemany(_FIRST, earlier.items())
            self.first_register = {**known, **earlier}
        self._note_days(rows)

    def _note_days(self, rows: Sequence[Row]) -> None:
        pairs = self._days_of(rows)
        self._touched |= pairs
        changed = [numbered_day(number) for number in sorted({number for _, number in pairs})]
        cold.note_changes(self._connection, self._tier, changed)

    def _days_of(self, rows: Sequence[Row]) -> set[tuple[int, int]]:
        """The meter and the number of the local day of rows in time order."""
        partitioning = self._tier.partitioning
        days = list(partitions_between(partitioning, rows[0][0], rows[-1][0]))
        starts = [partitioning.bounds(day)[0] for day in days]
        numbers = [day_number(day) for day in days]
        return {(row[1], numbers[bisect_right(starts, row[0]) - 1]) for row in rows}

    def add_refused(self, refused: Sequence[Refused]) -> None:
        """Keep refused readings in quarantine."""
        counts.add_refused(self._connection, refused)

    def release_refused(self, ids: Sequence[int]) -> list[int]:
        """Take quarantine rows out for a re-run, in the same transaction as what becomes of them.

        Each row's reading leaves the account "quarantined" (its supplier and reason) of the ledger
        "readings"; the caller adds what it became (stored, duplicate, conflict, or quarantined
        again through `add_refused`) and nothing to "decoded", so that the sum stays balanced.

        Returns the ids that were still there; the others were released before: don't load them.
        """
        return counts.release_refused(self._connection, ids)

    def refusals(self) -> Mapping[int, str]:
        """None: SQLite takes every reading."""
        return {}

    def add_tallies(self, tallies: Mapping[Tally, int]) -> None:
        """Add to the counts."""
        counts.add_tallies(self._connection, tallies)

    def set_position(self, journal: str, position: Position) -> None:
        """Everything of `journal` before `position` is loaded."""
        counts.set_position(self._connection, journal, position)

    def finish(self) -> None:
        """Write the touched days, once a load; called before the commit."""
        if self._touched:
            touched.add(self._connection, self._touched)
