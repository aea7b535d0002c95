# pyright: standard
# pandas ships no stubs: strict rules about unknown types have nothing to hold on to.
"""Readings, volumes and ingest's counts as the API asks for them: within a viewer's sight."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import pandas as pd

from storage.contracts import ReadingsStore, VolumesStore
from water import columns
from water.accounting import MessageSum, ReadingSum, sum_messages, sum_readings
from water.loading import Tally
from water.pages import Page
from water.viewer import Role, Viewer

Row = dict[str, Any]


class ReadingQueries:
    """Implements api.ports.ReadingQueries.

    Args:
        readings: where readings are.
        volumes: where kept volumes are.
        visible_meters: the meters that a viewer may see; None = all.
    """

    def __init__(
        self,
        readings: ReadingsStore,
        volumes: VolumesStore,
        visible_meters: Callable[[Viewer], frozenset[str] | None],
    ) -> None:
        self._readings = readings
        self._volumes = volumes
        self._visible_meters = visible_meters

    def newest(self, viewer: Viewer, meter_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The newest reading of each meter (columns READINGS); None = every meter in sight."""
        visible = self._visible_meters(viewer)
        if meter_ids is None and visible is not None:
            return self._readings.newest(sorted(visible))
        return self._readings.newest(_within(visible, meter_ids))

    def readings(
        self,
        viewer: Viewer,
        meter_id: str,
        start: datetime,
        end: datetime,
        *,
        after: datetime | None = None,
        limit: int = 1000,
    ) -> pd.DataFrame:
        """Readings of one meter with start <= at < end, at > after, in time order."""
        _within(self._visible_meters(viewer), [meter_id])
        return self._readings.load_page(meter_id, start, end, after=after, limit=limit)

    def series(
        self,
        viewer: Viewer,
        meter_id: str,
        quantity: str,
        start: datetime,
        end: datetime,
        points: int,
    ) -> pd.DataFrame:
        """A quantity thinned to about `points` rows (columns at, value), extremes kept."""
        _within(self._visible_meters(viewer), [meter_id])
        return self._readings.load_series(meter_id, quantity, start, end, points)

    def hourly(
        self, viewer: Viewer, meter_ids: Sequence[str], start: datetime, end: datetime
    ) -> pd.DataFrame:
        """Hourly volumes with start <= hour < end (columns HOURLY)."""
        meters = _within(self._visible_meters(viewer), meter_ids)
        return self._volumes.load_hourly(meters, start, end)

    def daily(
        self, viewer: Viewer, meter_ids: Sequence[str], first: date, last: date
    ) -> pd.DataFrame:
        """Daily volumes with first <= day <= last (columns DAILY)."""
        meters = _within(self._visible_meters(viewer), meter_ids)
        return self._volumes.load_daily(meters, first, last)

    def conflicts(self, viewer: Viewer, start: datetime, end: datetime) -> pd.DataFrame:
        """Values refused because another one stood there, of meters in sight, start <= at < end.

        Columns meter_id, at, quantity, kept, offered, received_at.
        """
        found = self._readings.conflicts(start, end)
        visible = self._visible_meters(viewer)
        if visible is None:
            return found
        return found.loc[found[columns.METER_ID].isin(list(visible))].reset_index(drop=True)


def _within(
    visible: frozenset[str] | None, meter_ids: Sequence[str] | None
) -> Sequence[str] | None:
    """The meters asked for, all of them in sight.

    Raises:
        KeyError: one is out of sight; whether it exists is not told.
    """
    for meter_id in meter_ids or ():
        if visible is not None and meter_id not in visible:
            raise KeyError(meter_id)
    return meter_ids


class IngestQueries:
    """Implements api.ports.IngestQueries: suppliers see their own rows, users none."""

    def __init__(self, readings: ReadingsStore) -> None:
        self._readings = readings

    def sums(self, viewer: Viewer) -> list[Row]:
        """One row a supplier: its `messages`, `readings` and `reasons`, and whether all balances.

        `messages` and `readings` hold the terms of the sums of water.accounting and `balanced`;
        `reasons` lists ledger, account, reason, count, the most frequent first.
        """
        tallies = self._readings.tallies()
        messages, readings = sum_messages(tallies), sum_readings(tallies)
        suppliers = sorted(name for name in {*messages, *readings} if _sees(viewer, name))
        return [
            _show_sums(
                supplier,
                messages.get(supplier, MessageSum()),
                readings.get(supplier, ReadingSum()),
                _list_reasons(tallies, supplier),
            )
            for supplier in suppliers
        ]

    def quarantine(
        self,
        viewer: Viewer,
        *,
        supplier: str = "",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Refused readings, newest first; "" = any. Instants that no calendar has are None."""
        wanted = supplier if viewer.sees_all else supplier or viewer.scope or ""
        if not _sees(viewer, wanted):
            return Page([])
        page = self._readings.page_refused(
            supplier=wanted, reason=reason, cursor=cursor, limit=limit
        )
        return Page([_with_instants(row) for row in page.rows], page.next)


def _sees(viewer: Viewer, supplier: str) -> bool:
    return viewer.sees_all or (viewer.role is Role.SUPPLIER and viewer.scope == supplier)


def _show_sums(
    supplier: str, messages: MessageSum, readings: ReadingSum, reasons: list[Row]
) -> Row:
    return {
        "supplier": supplier,
        "messages": {**asdict(messages), "balanced": messages.balanced},
        "readings": {**asdict(readings), "balanced": readings.balanced},
        "reasons": reasons,
        "balanced": messages.balanced and readings.balanced,
    }


_BY_JOURNAL = frozenset({"received", "waiting"})
"""Accounts whose "reason" is the journal that counts."""


def _list_reasons(tallies: dict[Tally, int], supplier: str) -> list[Row]:
    rows = [
        {"ledger": of.ledger, "account": of.account, "reason": of.reason, "count": count}
        for of, count in tallies.items()
        if of.supplier == supplier and of.reason and of.account not in _BY_JOURNAL
    ]
    return sorted(rows, key=lambda row: (-row["count"], row["reason"]))


def _with_instants(row: Row) -> Row:
    return {**row, **{name: _instant(row[name]) for name in (columns.AT, columns.RECEIVED_AT)}}


def _instant(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        # Refused as bad_time: the number is in `detail`.
        return None
