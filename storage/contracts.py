# pyright: standard
# pandas ships no stubs: strict rules about unknown types have nothing to hold on to.
"""What every kind of readings store answers: held by the contract tests, wired by jieshui."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

import pandas as pd

from storage.edges import Edges
from water.loading import Outcome, Position, Refused, Tally
from water.pages import Page
from water.readings import Reading

LedgerRow = tuple[str, Mapping[str, Any]]
"""A row of ingest's ledger as every kind of store can read it: its kind and its columns.

Kinds: position, tally, quarantine, conflict, unsettled with the columns of the tables ledger_*;
touched with `mark` and `days` (local day → meter → newest instant of the load, 0 = not known).
Rows of a kind follow each other.
"""


class LoadTransaction(Protocol):
    """One load: its counts become visible together with the journal position, or not at all."""

    def add_readings(self, readings: Sequence[Reading]) -> Sequence[Outcome] | None:
        """Store readings, first value wins; None if every one was stored, else an outcome each."""
        ...

    def refusals(self) -> Mapping[int, str]:
        """Of the readings with outcome REFUSED: index in what was added → the server's reason."""
        ...

    def add_refused(self, refused: Sequence[Refused]) -> None:
        """Keep refused readings in quarantine."""
        ...

    def release_refused(self, ids: Sequence[int]) -> Sequence[int]:
        """Take quarantine rows out for a re-run; the ids that were still there."""
        ...

    def add_tallies(self, tallies: Mapping[Tally, int]) -> None:
        """Add to the counts that outlive a restart."""
        ...

    def set_position(self, journal: str, position: Position) -> None:
        """Everything of `journal` before `position` is loaded."""
        ...


class Loading(Protocol):
    """Loads, one after the other."""

    def begin_readings(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Begin to store readings, at least one; the same ones, for `add_readings` to go on with.

        What is begun first must be added first.
        """
        ...

    def load(self) -> AbstractContextManager[LoadTransaction]:
        """Begin a load; leaving the block commits it, an exception undoes it."""
        ...


@dataclass(frozen=True, slots=True)
class Touched:
    """Meter-days that changed (columns meter_id, day) and the mark up to which this looked.

    The mark grows with every load.
    """

    days: pd.DataFrame
    mark: int


class ReadingsStore(Protocol):
    """Readings with ingest's ledger; any thread may call any method.

    Raises StoreUnavailableError (an OSError) where the store is away: nothing was done, try again.
    """

    def close(self) -> None:
        """Close every connection; nothing is lost without it."""
        ...

    def load(self) -> AbstractContextManager[LoadTransaction]:
        """Begin a load; leaving the block commits it, an exception undoes it."""
        ...

    def loading(self) -> AbstractContextManager[Loading]:
        """Begin several loads; what is begun and in none when the block ends never was."""
        ...

    def position(self, journal: str) -> Position:
        """Where loading of `journal` goes on."""
        ...

    def marker(self, journal: str) -> str:
        """The marker that a journal is known by; "" = none yet."""
        ...

    def swap_marker(
        self, journal: str, known: str, marker: str, tallies: Mapping[Tally, int] | None = None
    ) -> str:
        """Put another marker in the place of the known one; the one that stands there now.

        Atomic over all processes: of two that claim an unknown journal one reads the other's.
        `tallies` are added to the counts together with the marker, or not at all.
        """
        ...

    def tallies(self) -> dict[Tally, int]:
        """Every count kept so far."""
        ...

    def quarantine_depth(self) -> dict[str, int]:
        """Rows now held in quarantine, a supplier."""
        ...

    def oldest_refused_segment(self, journal: str) -> int | None:
        """The first segment of a journal in which a row of the quarantine stands, or None."""
        ...

    def load_refused(self, ids: Sequence[int]) -> Sequence[Mapping[str, Any]]:
        """The quarantine rows of these ids that are still there."""
        ...

    def page_refused(
        self,
        *,
        supplier: str = "",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """A page of the quarantine, newest first; "" = any."""
        ...

    def conflicts(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Columns meter_id, at, quantity, kept, offered, received_at; start <= at < end."""
        ...

    def find_readings(
        self, identities: Sequence[tuple[str, int]]
    ) -> Mapping[tuple[str, int], Reading]:
        """The stored readings with one of these identities (meter, instant in epoch seconds)."""
        ...

    def find_conflicts(
        self, identities: Collection[tuple[str, int]]
    ) -> set[tuple[str, int, str, float]]:
        """The conflicts known of these identities: meter, instant, quantity, offered value."""
        ...

    def touched_days(self, after: int, limit: int) -> Touched:
        """Up to about `limit` meter-days touched after a mark, oldest mark first.

        What it tells outlives a power cut. After a mark that no load has had, as of a store that
        was set back, it begins at the first load.
        """
        ...

    def load_readings(
        self, meter_ids: Sequence[str], start: datetime, end: datetime, *, neighbours: bool = False
    ) -> pd.DataFrame:
        """Readings with start <= at < end (columns READINGS), sorted by (meter_id, at)."""
        ...

    def newest(self, meter_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The newest reading by event time of each meter (columns READINGS); None = every one."""
        ...

    def compact(self, closed_before: date) -> int:
        """Tidy what is closed; how many days were written."""
        ...

    def first_instant(self) -> datetime | None:
        """An instant that no reading is earlier than; None = there is no reading."""
        ...

    def holding_loads(self) -> AbstractContextManager[None]:
        """In the block no process loads: readings and ledger stand still and fit each other."""
        ...

    def dump_ledger(self) -> Iterator[LedgerRow]:
        """Every row of the ledger."""
        ...

    def restore_ledger(self, rows: Iterable[LedgerRow]) -> None:
        """Replace the ledger by rows that a store of any kind gave."""
        ...

    def load_page(
        self, meter_id: str, start: datetime, end: datetime, *, after: datetime | None, limit: int
    ) -> pd.DataFrame:
        """The first `limit` readings of a meter with start <= at < end and at > after."""
        ...

    def load_series(
        self, meter_id: str, quantity: str, start: datetime, end: datetime, points: int
    ) -> pd.DataFrame:
        """A quantity thinned to about `points` rows (columns at, value), extremes kept."""
        ...

    def load_edges(self, meter_ids: Sequence[str] | None, instants: Sequence[datetime]) -> Edges:
        """For each meter and instant the register at or before it and at or after it.

        `instants` rise and lie whole minutes apart; None = every meter.
        """
        ...


class VolumesStore(Protocol):
    """Kept volumes, hourly and daily."""

    def close(self) -> None:
        """Close every connection; nothing is lost without it."""
        ...

    def save(self, hourly: pd.DataFrame, daily: pd.DataFrame) -> None:
        """Replace the volumes of exactly the (meter, hour)s and (meter, day)s given, durably."""
        ...

    def load_hourly(
        self, meter_ids: Sequence[str] | None, start: datetime, end: datetime
    ) -> pd.DataFrame:
        """Hourly volumes with start <= hour < end (columns HOURLY); None = every meter."""
        ...

    def load_daily(self, meter_ids: Sequence[str] | None, first: date, last: date) -> pd.DataFrame:
        """Daily volumes with first <= day <= last (columns DAILY); None = every meter."""
        ...

    def compact(self, closed_before: date) -> int:
        """Tidy what is closed; how many partitions were written."""
        ...
