"""Computed figures: zone days and nights, plan status, loss rates, arrivals, verdicts."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs] (it annotates itself in part)
from sqlalchemy import Engine, Table, delete, insert, select

from storage.registry.engine import for_reading
from storage.registry.frames import frame_of, rows_of
from storage.registry.models import (
    ArrivalRow,
    CityRateRow,
    PlanStatusRow,
    TallyDayRow,
    VerdictRow,
    ZoneDayRow,
    ZoneNightRow,
    table_of,
)
from storage.registry.upserts import upsert
from water.loading import Tally

_ZONE_DAY, _ZONE_NIGHT = table_of(ZoneDayRow), table_of(ZoneNightRow)
_PLAN_STATUS, _CITY_RATE = table_of(PlanStatusRow), table_of(CityRateRow)
_ARRIVAL, _VERDICT = table_of(ArrivalRow), table_of(VerdictRow)
_TALLY_DAY = table_of(TallyDayRow)

_IDS_A_STATEMENT = 5_000
"""Ids bound to one statement; SQLite takes at most 32,766 and PostgreSQL 65,535 values."""


class FigureStore:
    """Where figures are kept (runs.ports.Figures); a save replaces the rows of the same key."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    def save_zone_days(self, frame: pd.DataFrame) -> None:
        """Keep net inflow and large use of zones (columns ZONE_DAYS)."""
        self._save(frame, _ZONE_DAY)

    def save_zone_nights(self, frame: pd.DataFrame) -> None:
        """Keep night flows of zones (columns ZONE_NIGHTS)."""
        self._save(frame, _ZONE_NIGHT)

    def load_zone_nights(self, first: date, last: date) -> pd.DataFrame:
        """Night flows with first <= day <= last (columns ZONE_NIGHTS), by zone and day."""
        days = _ZONE_NIGHT.c.day.between(first, last)
        query = select(_ZONE_NIGHT).where(days).order_by(_ZONE_NIGHT.c.zone_id, _ZONE_NIGHT.c.day)
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        return frame_of(rows, _ZONE_NIGHT)

    def save_plan_status(self, frame: pd.DataFrame) -> None:
        """Keep plan execution (columns PLAN_STATUS)."""
        self._save(frame, _PLAN_STATUS)

    def save_city_rates(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep loss rates of the city (the columns of CityRateRow)."""
        with self._engine.begin() as connection:
            upsert(connection, _CITY_RATE, rows)

    def save_arrivals(self, frame: pd.DataFrame) -> None:
        """Keep counts and delays of readings, by meter and day (the columns of ArrivalRow)."""
        self._save(frame, _ARRIVAL)

    def save_tallies(self, day: date, tallies: Mapping[Tally, int]) -> None:
        """Keep what these counts had come to on a local day."""
        rows = [{**tally._asdict(), "day": day, "count": n} for tally, n in tallies.items()]
        with self._engine.begin() as connection:
            upsert(connection, _TALLY_DAY, rows)

    def replace_verdicts(
        self, meter_ids: Sequence[str], start: datetime, end: datetime, frame: pd.DataFrame
    ) -> None:
        """Make these meters' verdicts in [start, end) exactly `frame`: meter_id, at, verdict."""
        rows = rows_of(frame, _VERDICT)
        within = (_VERDICT.c.at >= start) & (_VERDICT.c.at < end)
        with self._engine.begin() as connection:
            for i in range(0, len(meter_ids), _IDS_A_STATEMENT):
                some = list(meter_ids[i : i + _IDS_A_STATEMENT])
                old = delete(_VERDICT).where(_VERDICT.c.meter_id.in_(some), within)
                connection.execute(old)
            if rows:
                connection.execute(insert(_VERDICT), rows)

    def load_verdicts(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Every meter's verdicts with start <= at < end: meter_id, at, verdict."""
        within = (_VERDICT.c.at >= start) & (_VERDICT.c.at < end)
        query = select(_VERDICT).where(within).order_by(_VERDICT.c.meter_id, _VERDICT.c.at)
        with self._reading.connect() as connection:
            rows = connection.execute(query).all()
        return frame_of(rows, _VERDICT)

    def _save(self, frame: pd.DataFrame, table: Table) -> None:
        rows = rows_of(frame, table)
        with self._engine.begin() as connection:
            upsert(connection, table, rows)
