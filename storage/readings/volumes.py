# pyright: standard
# pandas, duckdb and pyarrow type their tables as unknown: strict rules have nothing to hold on to.
"""The embedded store of kept volumes, hourly and daily."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa

from storage.frames import require_columns, to_instants
from storage.readings import cold, frames
from storage.readings.compaction import Compactor
from storage.readings.database import Database
from storage.readings.meters import METERS, MeterKeys
from storage.readings.partitions import LocalMonths, MonthsOfDays, seconds_of_day
from storage.readings.snapshot import Engine, Snapshot
from storage.readings.tier import Tier, daily_tier, hourly_tier
from storage.readings.zone import ZONE, require_zone
from water import columns
from water.city_time import CityTime
from water.clock import Clock

_ONE_DAY = timedelta(days=1)

_NIGHTS = """
SELECT m.zone, r.at, sum(m.sign * r.volume_m3) AS inflow_m3, count(*) AS meters
FROM rows r JOIN members m USING (meter) JOIN hours USING ("at")
WHERE r.missing_share < 1 GROUP BY ALL ORDER BY ALL
"""

_TOTALS = """
SELECT meter, sum(volume_m3) AS volume_m3, count(volume_m3) AS days FROM rows GROUP BY meter
"""


class VolumesStore:
    """Volumes in one SQLite file and two folders of Parquet files (a file a closed local month).

    Implements runs.ports.Volumes. Whatever is saved is on the disk when `save` returns, because
    no journal could bring it back sooner than a computation over all readings.

    Args:
        path: the folder; made when it is not there. It may be that of the readings.
        city: cuts time into local months.
        clock: says when files were written.

    Raises:
        StoreError: the files are not ours, of a newer version or of another zone.
    """

    def __init__(self, path: Path, city: CityTime, clock: Clock) -> None:
        self._hourly = hourly_tier(LocalMonths(city))
        self._daily = daily_tier(MonthsOfDays())
        self._city = city
        self._path = path
        schema = [METERS, self._hourly.create, self._daily.create, *cold.MANIFEST, ZONE]
        self._database = Database(path / "volumes.sqlite", schema, "FULL")
        with self._database.writing() as connection:
            require_zone(connection, path, city.zone)
        self._keys = MeterKeys()
        self._engine = Engine(path / "spill")
        self._compactors = {
            tier.name: Compactor(
                tier, self._database, self._keys, self._engine, path / tier.name, clock
            )
            for tier in (self._hourly, self._daily)
        }

    def close(self) -> None:
        """Close every connection; nothing is lost without it."""
        self._database.close()
        self._engine.close()

    def save(self, hourly: pd.DataFrame, daily: pd.DataFrame) -> None:
        """Replace the volumes of exactly the (meter, hour)s and (meter, day)s given, durably.

        Raises:
            StoreError: a frame lacks a column of columns.HOURLY or DAILY.
            StoreUnavailableError: (an OSError) nothing was saved; try again.
        """
        require_columns(hourly, columns.HOURLY)
        require_columns(daily, columns.DAILY)
        ids = {*hourly[columns.METER_ID], *daily[columns.METER_ID]}
        with self._database.writing() as connection:
            keys = self._keys.give(connection, ids)
            for tier, frame, at in (
                (self._hourly, hourly, columns.START),
                (self._daily, daily, columns.DAY),
            ):
                rows = frames.frame_rows(frame, tier, keys, at)
                connection.executemany(tier.insert("REPLACE"), rows)
                changed = {tier.partitioning.of(int(row[0])) for row in _one_per_time(rows)}
                cold.note_changes(connection, tier, sorted(changed))
        self._keys.remember(keys)

    def load_hourly(
        self, meter_ids: Sequence[str] | None, start: datetime, end: datetime
    ) -> pd.DataFrame:
        """Hourly volumes with start <= hour < end (columns HOURLY); None = every meter."""
        first, last = _seconds(start), _seconds(end)
        return self._load(self._hourly, meter_ids, first, last, columns.START)

    def load_daily(self, meter_ids: Sequence[str] | None, first: date, last: date) -> pd.DataFrame:
        """Daily volumes with first <= day <= last (columns DAILY); None = every meter."""
        end = seconds_of_day(last + _ONE_DAY)
        return self._load(self._daily, meter_ids, seconds_of_day(first), end, columns.DAY)

    def _load(
        self, tier: Tier, meter_ids: Sequence[str] | None, start: int, end: int, at: str
    ) -> pd.DataFrame:
        table, keys = self._query(tier, "SELECT * FROM rows", meter_ids, start, end)
        return frames.build_frame(table, tier, keys, at)

    def load_zone_nights(self, members: pd.DataFrame, first: date, last: date) -> pd.DataFrame:
        """Hourly net inflow of zones within the night windows of local days.

        Args:
            members: columns zone_id, meter_id, sign (+1 for an inlet, −1 for an outlet).
            first: the first local day.
            last: the last one.

        Returns columns zone_id, start, inflow_m3, meters (how many of them had a known volume).
        """
        nights = [self._city.night_bounds(d.date()) for d in pd.date_range(first, last)]
        hours = [h for begin, end in nights for h in range(_seconds(begin), _seconds(end), 3600)]
        zones = sorted(set(members[columns.ZONE_ID]))
        with self._database.reading() as connection:
            keys = self._keys.known(connection)
        known = members[members[columns.METER_ID].isin(list(keys))]
        tables = {
            "hours": pa.table({"at": pa.array(hours, pa.int64())}),
            "members": pa.table(
                {
                    "zone": [zones.index(zone) for zone in known[columns.ZONE_ID]],
                    "meter": [keys[meter] for meter in known[columns.METER_ID]],
                    "sign": known["sign"].tolist(),
                }
            ),
        }
        ids = sorted(set(known[columns.METER_ID]))
        found, _ = self._query(self._hourly, _NIGHTS, ids, hours[0], hours[-1] + 1, tables)
        return pd.DataFrame(
            {
                columns.ZONE_ID: pd.array(zones, dtype="str").take(frames.column(found, "zone")),
                columns.START: to_instants(frames.column(found, "at")),
                columns.INFLOW_M3: frames.column(found, "inflow_m3"),
                "meters": frames.column(found, "meters"),
            }
        )

    def load_totals(self, meter_ids: Sequence[str] | None, first: date, last: date) -> pd.DataFrame:
        """Each meter's volume over local days, m³: columns meter_id, volume_m3, days (known)."""
        start, end = seconds_of_day(first), seconds_of_day(last + _ONE_DAY)
        found, keys = self._query(self._daily, _TOTALS, meter_ids, start, end)
        names = {key: meter_id for meter_id, key in keys.items()}
        totals = pd.DataFrame(
            {
                columns.METER_ID: [names[key] for key in frames.column(found, "meter").tolist()],
                columns.VOLUME_M3: frames.column(found, "volume_m3"),
                "days": frames.column(found, "days"),
            }
        )
        return totals.sort_values(columns.METER_ID, ignore_index=True)

    def _query(
        self,
        tier: Tier,
        sql: str,
        meter_ids: Sequence[str] | None,
        start: int,
        end: int,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> tuple[pa.Table, Mapping[str, int]]:
        with self._database.reading() as connection, self._engine.cursor() as cursor:
            keys = self._keys.known(connection)
            meters = None if meter_ids is None else [keys[m] for m in meter_ids if m in keys]
            snapshot = Snapshot(tier, connection, cursor, self._path / tier.name)
            return snapshot.query(sql, start, end, meters=meters, tables=tables), keys

    def compact(self, closed_before: date, grace_s: float = cold.GRACE_S) -> int:
        """Write local months that end by `closed_before` to Parquet; how many were written."""
        instant = _seconds(self._city.day_start(closed_before))
        hourly = self._compactors[self._hourly.name].compact(instant, grace_s)
        daily = self._compactors[self._daily.name].compact(seconds_of_day(closed_before), grace_s)
        return hourly + daily


def _one_per_time(rows: Sequence[tuple[int | float, ...]]) -> list[tuple[int | float, ...]]:
    """One row of each `at`: partitions depend on nothing else."""
    return list({row[0]: row for row in rows}.values())


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
