# pyright: standard
# pandas, duckdb and pyarrow type their tables as unknown: strict rules have nothing to hold on to.
"""The embedded readings store."""

import sqlite3
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa

from storage.contracts import LedgerRow, Touched
from storage.errors import StoreError
from storage.frames import to_instants, whole_seconds
from storage.lookup import Identity, find_conflicts, find_readings
from storage.merging import Row
from storage.readings import cold, counts, edges, frames, ledger_rows, neighbours, series, touched
from storage.readings.compaction import Compactor
from storage.readings.database import Database
from storage.readings.loading import LOADING, Load
from storage.readings.meters import METERS, MeterKeys
from storage.readings.partitions import LocalDays
from storage.readings.snapshot import Engine, Snapshot
from storage.readings.tier import readings_tier
from storage.readings.touched import TOUCHED
from storage.readings.zone import ZONE, require_zone
from water import columns
from water.city_time import CityTime
from water.clock import Clock
from water.loading import Position, Tally
from water.pages import Page
from water.readings import QUANTITIES, Reading

_PAGE = 'SELECT * FROM rows WHERE "at" > $after ORDER BY "at" LIMIT $limit'


class ReadingsStore:
    """Readings in one SQLite file and a folder of Parquet files (a file a closed local day).

    Implements ingest.ports.ReadingsSink, runs.ports.Readings and what storage.queries
    needs. Any number of processes may have it open; any thread may call any method.

    Args:
        path: the folder; made when it is not there.
        city: cuts time into local days.
        clock: says when files were written.

    Raises:
        StoreError: the files are not ours, of a newer version or of another zone.
    """

    def __init__(self, path: Path, city: CityTime, clock: Clock) -> None:
        self._city = city
        self._tier = readings_tier(LocalDays(city))
        self._folder = path / "readings"
        schema = [
            METERS, self._tier.create, TOUCHED, *LOADING, *counts.COUNTS, *cold.MANIFEST, ZONE,
        ]  # fmt: skip
        self._database = Database(path / "readings.sqlite", schema, "NORMAL")
        with self._database.writing() as connection:
            counts.add_later_columns(connection)
            require_zone(connection, path, city.zone)
        self._keys = MeterKeys()
        self._engine = Engine(path / "spill")
        self._compactor = Compactor(
            self._tier, self._database, self._keys, self._engine, self._folder, clock
        )
        with self._database.reading() as connection:
            self._first_register: Mapping[int, int] = dict(
                connection.execute("SELECT meter, at FROM first_register")
            )

    def close(self) -> None:
        """Close every connection; nothing is lost without it."""
        self._database.close()
        self._engine.close()

    # -- ingest.ports.ReadingsSink

    @contextmanager
    def loading(self) -> Generator[Self]:
        """Begin several loads, each of which waits for its turn."""
        yield self

    def begin_readings(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """The same readings: SQLite works in this process, nothing goes on beside it."""
        return readings

    @contextmanager
    def load(self) -> Generator[Load]:
        """Begin a load; leaving the block commits it, an exception undoes it.

        Raises:
            StoreUnavailableError: (an OSError) nothing was loaded; try again.
        """
        with self._database.writing() as connection:
            load = Load(
                connection, self._tier, self._keys, self._look_up_cold, self._first_register
            )
            yield load
            load.finish()
        self._first_register = load.first_register
        if load.keys is not None:
            self._keys.remember(load.keys)

    def _look_up_cold(
        self, connection: sqlite3.Connection, rows: Sequence[Row]
    ) -> dict[tuple[int, int], Row]:
        if not rows:
            return {}
        first, last = min(row[0] for row in rows), max(row[0] for row in rows)
        if not cold.files_between(connection, self._tier, first, last + 1):
            return {}
        asked = pa.table({"at": [row[0] for row in rows], "meter": [row[1] for row in rows]})
        with self._engine.cursor() as cursor:
            snapshot = Snapshot(self._tier, connection, cursor, self._folder)
            found = snapshot.query(
                'SELECT * FROM rows SEMI JOIN asked USING ("at", meter)',
                first,
                last + 1,
                meters=sorted({row[1] for row in rows}),
                tables={"asked": asked},
            )
        values = zip(*(found.column(c).to_pylist() for c in self._tier.columns), strict=True)
        return {row[:2]: row for row in values}

    def position(self, journal: str) -> Position:
        """Where loading of `journal` goes on."""
        with self._database.reading() as connection:
            return counts.load_position(connection, journal)

    def marker(self, journal: str) -> str:
        """The marker that a journal is known by; "" = none yet."""
        with self._database.reading() as connection:
            return counts.load_marker(connection, journal)

    def swap_marker(
        self, journal: str, known: str, marker: str, tallies: Mapping[Tally, int] | None = None
    ) -> str:
        """Put another marker in the place of the known one, and count; the one there now."""
        with self._database.writing() as connection:
            stands = counts.swap_marker(connection, journal, known, marker)
            if stands == marker and tallies:
                counts.add_tallies(connection, tallies)
            return stands

    def tallies(self) -> dict[Tally, int]:
        """Every count kept so far."""
        with self._database.reading() as connection:
            return counts.load_tallies(connection)

    def quarantine_depth(self) -> dict[str, int]:
        """Rows now held in quarantine, a supplier."""
        with self._database.reading() as connection:
            return counts.quarantine_depth(connection)

    def oldest_refused_segment(self, journal: str) -> int | None:
        """The first segment of a journal in which a row of the quarantine stands, or None."""
        with self._database.reading() as connection:
            return counts.oldest_refused_segment(connection, journal)

    def load_refused(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The quarantine rows (columns counts.QUARANTINE) of these ids that are still there."""
        with self._database.reading() as connection:
            return counts.load_refused(connection, ids)

    def page_refused(
        self,
        *,
        supplier: str = "",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """A page of the quarantine, newest first; "" = any.

        Raises:
            ValueError: the cursor is not one that a page gave.
        """
        before = None if cursor is None else int(cursor)
        with self._database.reading() as connection:
            rows = counts.page_refused(
                connection, supplier=supplier, reason=reason, before=before, limit=limit + 1
            )
        page = rows[:limit]
        return Page(page, str(page[-1]["id"]) if len(rows) > limit else None)

    def conflicts(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Values that were offered for a quantity that had another one, start <= at < end.

        Columns meter_id, at, quantity, kept, offered, received_at; sorted by (meter_id, at).
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT meter_id, at, quantity, kept, offered, received_at FROM conflicts "
                "JOIN meters USING (meter) WHERE at >= ? AND at < ? ORDER BY 1, 2, 3",
                (whole_seconds(start), whole_seconds(end)),
            ).fetchall()
        names = (columns.METER_ID, columns.AT, "quantity", "kept", "offered", columns.RECEIVED_AT)
        found = pd.DataFrame(rows, columns=names)
        return found.assign(
            **{name: to_instants(found[name]) for name in (columns.AT, columns.RECEIVED_AT)}
        )

    def find_readings(self, identities: Sequence[Identity]) -> dict[Identity, Reading]:
        """The stored readings with one of these identities (meter, instant in epoch seconds)."""
        return find_readings(self.load_readings, identities)

    def find_conflicts(self, identities: Collection[Identity]) -> set[tuple[str, int, str, float]]:
        """The conflicts known of these identities: meter, instant, quantity, offered value."""
        return find_conflicts(self.conflicts, identities)

    # -- runs.ports.Readings

    def touched_days(self, after: int, limit: int) -> Touched:
        """Up to about `limit` meter-days touched after a mark, oldest mark first.

        A mark that this tells outlives a power cut: whoever keeps it may do so elsewhere.
        """
        with self._database.reading() as connection:
            pairs, mark = touched.after(connection, after, limit)
            names = {key: meter_id for meter_id, key in self._keys.known(connection).items()}
            if mark != after:
                self._database.sync()
        return Touched(touched.as_frame(pairs, names), mark)

    def load_readings(
        self, meter_ids: Sequence[str], start: datetime, end: datetime, *, neighbours: bool = False
    ) -> pd.DataFrame:
        """Readings with start <= at < end (columns READINGS), sorted by (meter_id, at).

        With `neighbours`, also each meter's last reading before `start` and first at or after
        `end` that carry a register.
        """
        with self._snapshot() as (snapshot, connection):
            keys = self._keys.known(connection)
            meters = [keys[m] for m in sorted(set(meter_ids)) if m in keys]
            first, last = whole_seconds(start), whole_seconds(end)
            tables = [snapshot.query("SELECT * FROM rows", first, last, meters=meters)]
            if neighbours and meters:
                tables += _neighbours(snapshot, connection, meters, first, last)
        return frames.build_frame(pa.concat_tables(tables), self._tier, keys, columns.AT)

    def newest(self, meter_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The newest reading by event time of each meter (columns READINGS); None = every meter."""
        sql = f"SELECT {', '.join(self._tier.columns)} FROM latest"  # noqa: S608 - the tier's own names
        with self._database.reading() as connection:
            keys = self._keys.known(connection)
            table = frames.fetch_rows(connection.execute(sql), self._tier)
        found = frames.build_frame(table, self._tier, keys, columns.AT)
        if meter_ids is None:
            return found
        return found.loc[found[columns.METER_ID].isin(list(meter_ids))].reset_index(drop=True)

    def compact(self, closed_before: date, grace_s: float = cold.GRACE_S) -> int:
        """Write local days before `closed_before` to Parquet, whole; how many were written."""
        written = self._compactor.compact(
            whole_seconds(self._city.day_start(closed_before)), grace_s
        )
        with self._database.writing() as connection:
            touched.fold(connection)
        return written

    # -- for backups

    def first_instant(self) -> datetime | None:
        """An instant that no reading is earlier than; None = there is no reading."""
        with self._database.reading() as connection:
            (hot,) = connection.execute("SELECT min(at) FROM readings").fetchone()
            (closed,) = connection.execute(
                "SELECT min(begins) FROM manifest WHERE tier = 'readings'"
            ).fetchone()
        found = [at for at in (hot, closed) if at is not None]
        return datetime.fromtimestamp(min(found), UTC) if found else None

    @contextmanager
    def holding_loads(self) -> Generator[None]:
        """In the block no process loads: readings and ledger stand still and fit each other."""
        with self._database.writing():
            yield

    def dump_ledger(self) -> Iterator[LedgerRow]:
        """Every row of the ledger."""
        with self._database.reading() as connection:
            names = {key: meter_id for meter_id, key in self._keys.known(connection).items()}
            yield from ledger_rows.dump(connection, names)

    def restore_ledger(self, rows: Iterable[LedgerRow]) -> None:
        """Replace the ledger by rows that a store of any kind gave.

        Raises:
            StoreError: a load had broken off where the rows come from.
        """
        with self._database.writing() as connection:
            ledger_rows.restore(connection, self._keys, rows)

    # -- for the API and for figures straight from readings

    def load_page(
        self, meter_id: str, start: datetime, end: datetime, *, after: datetime | None, limit: int
    ) -> pd.DataFrame:
        """The first `limit` readings of a meter with start <= at < end and at > after."""
        first = whole_seconds(start)
        parameters = {"after": first - 1 if after is None else whole_seconds(after), "limit": limit}
        with self._snapshot() as (snapshot, connection):
            keys = self._keys.known(connection)
            meters = [keys[meter_id]] if meter_id in keys else []
            table = snapshot.query(
                _PAGE, first, whole_seconds(end), meters=meters, parameters=parameters
            )
        return frames.build_frame(table, self._tier, keys, columns.AT)

    def load_series(
        self, meter_id: str, quantity: str, start: datetime, end: datetime, points: int
    ) -> pd.DataFrame:
        """A quantity thinned to about `points` rows (columns at, value), extremes kept.

        Raises:
            StoreError: there is no such quantity.
        """
        if quantity not in QUANTITIES:
            raise StoreError(f"{quantity!r} is not one of {', '.join(QUANTITIES)}")
        with self._snapshot() as (snapshot, connection):
            meter = self._keys.known(connection).get(meter_id, 0)
            return series.thin_series(
                snapshot, meter, quantity, whole_seconds(start), whole_seconds(end), points
            )

    def load_edges(
        self, meter_ids: Sequence[str] | None, instants: Sequence[datetime]
    ) -> edges.Edges:
        """For each meter and instant the register at or before it and at or after it.

        `instants` rise and lie whole minutes apart; None = every meter.

        Raises:
            StoreError: the instants don't rise or aren't whole minutes apart.
        """
        with self._snapshot() as (snapshot, connection):
            keys = self._keys.known(connection)
            names = sorted(keys if meter_ids is None else set(meter_ids) & keys.keys())
            wanted = {name: keys[name] for name in names}
            return edges.load_edges(
                snapshot,
                connection,
                wanted,
                [*map(whole_seconds, instants)],
                every=meter_ids is None,
            )

    @contextmanager
    def _snapshot(self) -> Generator[tuple[Snapshot, sqlite3.Connection]]:
        with self._database.reading() as connection, self._engine.cursor() as cursor:
            yield Snapshot(self._tier, connection, cursor, self._folder), connection


def _neighbours(
    snapshot: Snapshot, connection: sqlite3.Connection, meters: Sequence[int], start: int, end: int
) -> list[pa.Table]:
    before = neighbours.load_before(snapshot, connection, meters, start)
    return [*before, *neighbours.load_after(snapshot, connection, meters, end)]
