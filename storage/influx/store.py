# pyright: standard
# pandas ships no stubs: strict rules about unknown types have nothing to hold on to.
"""The readings store in InfluxDB: what it answers, and how it is loaded."""

import secrets
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine

from storage.contracts import LedgerRow, Touched
from storage.errors import StoreError, StoreUnavailableError
from storage.frames import to_instants, touched_frame, whole_seconds
from storage.influx import flux
from storage.influx.answers import InfluxAnswers
from storage.influx.client import InfluxClient
from storage.influx.loading import Load, Loading
from storage.influx.points import instants_of, meters_of, read_points
from storage.influx.writing import Writer
from storage.lookup import find_conflicts, find_readings, look_up
from storage.registry import ledger_rows, ledger_touched
from storage.registry.ledger import Conflict, Ledger, add_tallies, swap_marker, translated
from storage.registry.ledger_session import loading_alone, require_alone
from storage.registry.ledger_unsettled import Identity, Unsettled
from water import columns
from water.city_time import CityTime
from water.loading import Position, Tally
from water.pages import Page
from water.readings import Reading


class InfluxReadings(InfluxAnswers):
    """Readings in InfluxDB, ingest's ledger in the registry database (storage.contracts).

    Any number of processes may have it open and load; any thread may call any method.

    Args:
        client: the bucket.
        engine: the registry database, migrated.
        city: cuts time into local days.
    """

    def __init__(self, client: InfluxClient, engine: Engine, city: CityTime) -> None:
        super().__init__(client)
        self._engine = engine
        self._city = city
        self._ledger = Ledger(engine)
        self._name = secrets.token_hex(8)
        self._known: dict[str, int] | None = None
        self._mark = 0

    def close(self) -> None:
        """Close every connection to InfluxDB; the engine is its opener's."""
        self._client.close()

    @contextmanager
    def load(self) -> Generator[Load]:
        """Begin a load; leaving the block commits it, an exception undoes what it counted.

        Raises:
            StoreUnavailableError: as `loading` says.
        """
        with self.loading() as loading, loading.load() as load:
            yield load

    @contextmanager
    def loading(self) -> Generator[Loading]:
        """Be the only loader, for one load after the other.

        Those of all processes queue behind each other. After an exception readings may be in
        InfluxDB; they are unsettled, and are counted when they are loaded again.

        Raises:
            StoreUnavailableError: (an OSError) nothing was counted; try again. That is also said of
                a token or a bucket that is wrong by now: no reading is to blame for it.
        """
        with (
            _outage_of_settings(),
            loading_alone(self._engine) as connection,
            _one_by_one() as requests,
        ):
            newest, unsettled = self._catch_up(connection)
            writer = Writer(self._client, connection, newest, unsettled, requests)
            yield Loading(writer, self._name, self._city, self._look_up)

    def _catch_up(self, connection: Connection) -> tuple[dict[str, int], Unsettled]:
        """The newest stored instant of each meter, whoever stored it, and what nobody counted."""
        # Outside of the transaction: the first time it takes as long as a query of every meter.
        newest = _load_newest(self._client) if self._known is None else self._known
        with connection.begin():
            if self._known is None:
                self._known, self._mark = newest, ledger_touched.newest_mark(connection)
            for days in ledger_touched.of_others(connection, self._name, self._mark):
                for meters in days.values():
                    ledger_touched.keep_newest(newest, meters)
            self._mark = ledger_touched.newest_mark(connection)
            return newest, Unsettled(connection)

    def _look_up(self, identities: Sequence[Identity]) -> dict[Identity, Any]:
        return look_up(self.load_readings, identities)

    # -- the ledger

    def position(self, journal: str) -> Position:
        """Where loading of `journal` goes on."""
        return self._ledger.position(journal)

    def marker(self, journal: str) -> str:
        """The marker that a journal is known by; "" = none yet."""
        return self._ledger.marker(journal)

    def swap_marker(
        self, journal: str, known: str, marker: str, tallies: Mapping[Tally, int] | None = None
    ) -> str:
        """Put another marker in the place of the known one, and count; the one there now."""
        with translated(), self._engine.begin() as connection:
            stands = swap_marker(connection, journal, known, marker)
            if stands == marker and tallies:
                add_tallies(connection, tallies)
            return stands

    def tallies(self) -> dict[Tally, int]:
        """Every count kept so far."""
        return self._ledger.tallies()

    def quarantine_depth(self) -> dict[str, int]:
        """Rows now held in quarantine, a supplier."""
        return self._ledger.quarantine_depth()

    def oldest_refused_segment(self, journal: str) -> int | None:
        """The first segment of a journal in which a row of the quarantine stands, or None."""
        return self._ledger.oldest_refused_segment(journal)

    def load_refused(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The quarantine rows of these ids that are still there."""
        return self._ledger.load_refused(ids)

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
        return self._ledger.page_refused(
            supplier=supplier, reason=reason, cursor=cursor, limit=limit
        )

    def conflicts(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Values that were offered for a quantity that had another one, start <= at < end.

        Columns meter_id, at, quantity, kept, offered, received_at; sorted by (meter_id, at).
        """
        rows = self._ledger.conflicts(whole_seconds(start), whole_seconds(end))
        found = pd.DataFrame(rows, columns=list(Conflict._fields))
        return found.assign(
            **{name: to_instants(found[name]) for name in (columns.AT, columns.RECEIVED_AT)}
        )

    def find_readings(self, identities: Sequence[Identity]) -> dict[Identity, Reading]:
        """The stored readings with one of these identities (meter, instant in epoch seconds)."""
        return find_readings(self.load_readings, identities)

    def find_conflicts(self, identities: Collection[Identity]) -> set[tuple[str, int, str, float]]:
        """The conflicts known of these identities: meter, instant, quantity, offered value."""
        return find_conflicts(self.conflicts, identities)

    def touched_days(self, after: int, limit: int) -> Touched:
        """Up to about `limit` meter-days touched after a mark, oldest mark first."""
        with self._ledger.reading() as connection:
            pairs, mark = ledger_touched.after(connection, after, limit)
        ordered = sorted(pairs)
        days = [date.fromisoformat(day) for day, _ in ordered]
        return Touched(touched_frame([meter for _, meter in ordered], days), mark)

    # -- for backups

    def first_instant(self) -> datetime | None:
        """An instant that no reading is earlier than; None = there is no reading."""
        _, instants = _ask_edge(self._client, "first")
        return datetime.fromtimestamp(min(instants), UTC) if instants else None

    @contextmanager
    def holding_loads(self) -> Generator[None]:
        """In the block no process loads: readings and ledger stand still and fit each other.

        Raises:
            StoreUnavailableError: another loader holds on, or the lock was lost in the block.
        """
        with loading_alone(self._engine) as connection:
            yield
            require_alone(connection)

    def dump_ledger(self) -> Iterator[LedgerRow]:
        """Every row of the ledger."""
        with self._ledger.reading() as connection:
            yield from ledger_rows.dump(connection)

    def restore_ledger(self, rows: Iterable[LedgerRow]) -> None:
        """Replace the ledger by rows that a store of any kind gave."""
        with loading_alone(self._engine) as connection, connection.begin():
            ledger_rows.restore(connection, rows)

    def compact(self, closed_before: date) -> int:  # noqa: ARG002 - InfluxDB compacts by itself
        """Fold what many small loads touched; no day is written anew."""
        with loading_alone(self._engine) as connection, connection.begin():
            ledger_touched.fold(connection)
        return 0


@contextmanager
def _one_by_one() -> Generator[Executor]:
    """Makes one request after the other; none is under way any more when the block is left."""
    requests = ThreadPoolExecutor(2, "influx-requests")
    try:
        yield requests
    finally:
        requests.shutdown(cancel_futures=True)


@contextmanager
def _outage_of_settings() -> Generator[None]:
    try:
        yield
    except StoreError as error:
        raise StoreUnavailableError(str(error)) from error


def _load_newest(client: InfluxClient) -> dict[str, int]:
    """Meter → the instant of its newest reading."""
    meters, instants = _ask_edge(client, "last")
    return dict(zip(meters, instants, strict=True))


def _ask_edge(client: InfluxClient, edge: str) -> tuple[list[str], list[int]]:
    """Every meter with the instant of its first or last reading; all have the field received_at."""
    every = flux.select(
        client.settings.bucket, flux.EARLIEST, flux.LATEST, field=columns.RECEIVED_AT
    )
    points = read_points(client.csv(flux.answer(f"{every} |> {edge}()")))
    found = points.identities(columns.RECEIVED_AT)
    return [str(points.meter_ids[m]) for m in meters_of(found)], instants_of(found).tolist()
