"""The store's own answers beside the bare DuckDB query on the same Parquet files.

Makes a year of readings (every 15 minutes, on the quarter) and their kept volumes as cold
partitions, then asks three questions three ways: bare SQL, through the readings store (registers
interpolated at the edges), and through the kept volumes. All three must agree.

    python bench/store.py --meters 2000 --days 365
"""

# ruff: noqa: SLF001 - fills the stores from inside: through the door it would take a load a batch

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from storage.readings import ReadingsStore, VolumesStore, cold, compaction, frames
from storage.readings.database import Database
from storage.readings.meters import MeterKeys
from storage.readings.partitions import seconds_of_day
from storage.readings.snapshot import Engine, scan_parquet
from storage.readings.tier import Tier
from water.city_time import CityTime, days_between, next_month
from water.clock import SystemClock

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
OFFSET_S = 8 * 3600
FIRST = date(2025, 9, 1)
SLOTS = 96
METERS_A_ZONE = 50
COLD_BAR, KEPT_BAR = 2.0, 0.3
NIGHT = (2, 3, 4, 5)


@dataclass(frozen=True)
class Year:
    """Both stores, filled; `files` are the readings' Parquet files in order of days."""

    readings: ReadingsStore
    volumes: VolumesStore
    files: list[Path]
    meters: int
    days: list[date]
    members: pd.DataFrame

    @property
    def month(self) -> list[date]:
        """The days of the last whole month (or all that there are, if fewer)."""
        return self.days[-31:-1]


def names_of(meters: int) -> list[str]:
    return [f"m{i:06d}" for i in range(1, meters + 1)]


class Writer:
    """Writes generated rows as cold partitions, with the store's own file writer."""

    def __init__(self, tier: Tier, database: Database, engine: Engine, folder: Path) -> None:
        self._tier, self._database, self._engine, self._folder = tier, database, engine, folder

    def write(self, partition: date, columns: dict[str, np.ndarray], names: pa.Table) -> Path:
        """Write one partition and enter it in the manifest."""
        begins, ends = self._tier.partitioning.bounds(partition)
        file = self._folder / cold.new_name(partition)
        with self._engine.cursor() as cursor:
            cursor.register("generated", pa.table(columns))
            cursor.register("names", names)
            rows = compaction.write_aside(cursor, self._tier, "SELECT * FROM generated", file)
        cold.put_in_place(file)
        with self._database.writing() as connection:
            entry = cold.ColdFile(partition, begins, ends, file.name, rows)
            cold.enter(connection, self._tier, entry, written_at="")
        return file


def fill(folder: Path, meters: int, days: int, seed: int = 1) -> Year:
    """Make the stores. Readings of the first instant after the last day are there too."""
    clock = SystemClock()
    readings = ReadingsStore(folder, CITY, clock)
    volumes = VolumesStore(folder, CITY, clock)
    ids = names_of(meters)
    give_keys(readings, volumes, ids)
    known = frames.names_table({name: key for key, name in enumerate(ids, 1)})
    writer = Writer(readings._tier, readings._database, readings._engine, readings._folder)
    rng = np.random.default_rng(seed)
    mean_litres = rng.uniform(5, 400, meters)
    register = rng.uniform(0, 5_000, meters).round(3)
    local_days = days_between(FIRST, FIRST + timedelta(days=days - 1))
    files: list[Path] = []
    hours: list[np.ndarray] = []
    for day in [*local_days, local_days[-1] + timedelta(days=1)]:
        litres = rng.poisson(mean_litres[:, None], (meters, SLOTS)) * (
            rng.random((meters, SLOTS)) > 0.35
        )
        grown = np.concatenate([np.zeros((meters, 1)), np.cumsum(litres, axis=1)], axis=1) / 1000
        dial = np.round(register[:, None] + grown, 3)
        files.append(writer.write(day, day_columns(day, dial[:, :SLOTS]), known))
        hours.append(np.diff(dial[:, ::4], axis=1))
        register = dial[:, SLOTS]
    keep_volumes(volumes, folder, local_days, hours, known)
    mark_newest(readings, meters, local_days[-1] + timedelta(days=1))
    zones = [f"z{i // METERS_A_ZONE:04d}" for i in range(meters)]
    members = pd.DataFrame({"zone_id": zones, "meter_id": ids, "sign": 1})
    return Year(readings, volumes, files, meters, local_days, members)


def give_keys(readings: ReadingsStore, volumes: VolumesStore, ids: Sequence[str]) -> None:
    for store in (readings, volumes):
        with store._database.writing() as connection:
            MeterKeys().give(connection, ids)


def mark_newest(readings: ReadingsStore, meters: int, last: date) -> None:
    """What a load keeps beside the readings, for rows that no load brought."""
    first_at, last_at = (int(CITY.day_start(day).timestamp()) for day in (FIRST, last))
    newest = last_at + (SLOTS - 1) * 900
    with readings._database.writing() as connection:
        connection.executemany(
            "INSERT INTO latest VALUES (?, ?, ?, NULL, NULL, NULL, NULL, 0)",
            [(key, newest, newest) for key in range(1, meters + 1)],
        )
        connection.executemany(
            "INSERT INTO first_register VALUES (?, ?)",
            [(key, first_at) for key in range(1, meters + 1)],
        )


def day_columns(day: date, dial: np.ndarray) -> dict[str, np.ndarray]:
    meters = len(dial)
    at = int(CITY.day_start(day).timestamp()) + np.arange(SLOTS) * 900
    empty = np.full(dial.size, np.nan)
    return {
        "meter": np.repeat(np.arange(1, meters + 1), SLOTS),
        "at": np.tile(at, meters),
        "received_at": np.tile(at + 5, meters),
        "register_m3": dial.ravel(),
        "flow_m3_h": empty,
        "pressure_mpa": empty,
        "level_m": empty,
        "quality": np.zeros(dial.size, np.int64),
    }


def keep_volumes(
    volumes: VolumesStore,
    folder: Path,
    local_days: list[date],
    hours: list[np.ndarray],
    known: pa.Table,
) -> None:
    """Hourly and daily volumes of the days, month by month."""
    tiers = {t.name: t for t in (volumes._hourly, volumes._daily)}
    writers = {
        name: Writer(tier, volumes._database, volumes._engine, folder / name)
        for name, tier in tiers.items()
    }
    volume_of = dict(zip(local_days, hours, strict=False))
    month = FIRST
    while month <= local_days[-1]:
        days = [day for day in local_days if month <= day < next_month(month)]
        block = np.concatenate([volume_of[day] for day in days], axis=1)
        start = int(CITY.day_start(month).timestamp())
        starts = start + np.arange(block.shape[1]) * 3600
        writers["hourly"].write(month, volume_columns(starts, block), known)
        by_day = block.reshape(len(block), -1, 24)
        numbers = seconds_of_day(month) + np.arange(by_day.shape[1]) * 86_400
        columns = volume_columns(numbers, by_day.sum(axis=2))
        columns["lowest_hour_m3"] = by_day.min(axis=2).ravel()
        writers["daily"].write(month, columns, known)
        month = next_month(month)


def volume_columns(times: np.ndarray, volume_m3: np.ndarray) -> dict[str, np.ndarray]:
    meters = len(volume_m3)
    return {
        "meter": np.repeat(np.arange(1, meters + 1), len(times)),
        "at": np.tile(times, meters),
        "volume_m3": volume_m3.ravel(),
        "measured_share": np.ones(volume_m3.size),
        "estimated_share": np.zeros(volume_m3.size),
        "missing_share": np.zeros(volume_m3.size),
    }


# Each question: an array of meters × days, zones × nights or meters, whichever way it is asked.


def month_bare(year: Year, duck: duckdb.DuckDBPyConnection) -> np.ndarray:
    first, last = year.days.index(year.month[0]), year.days.index(year.month[-1])
    table = duck.sql(f"""
        WITH edge AS (
            SELECT meter, ("at" + {OFFSET_S}) // 86400 AS day, arg_min(register_m3, "at") AS m3
            FROM {scan_parquet(year.files[first : last + 2])} GROUP BY ALL)
        SELECT meter, day, lead(m3) OVER (PARTITION BY meter ORDER BY day) - m3 AS volume_m3
        FROM edge QUALIFY volume_m3 IS NOT NULL ORDER BY meter, day
    """).to_arrow_table()
    return frames.column(table, "volume_m3").reshape(year.meters, -1)


def month_cold(year: Year) -> np.ndarray:
    edges = [CITY.day_start(day) for day in (*year.month, year.month[-1] + timedelta(days=1))]
    return np.diff(year.readings.load_edges(None, edges).interpolate(), axis=1)


def month_kept(year: Year) -> np.ndarray:
    daily = year.volumes.load_daily(None, year.month[0], year.month[-1])
    return daily["volume_m3"].to_numpy().reshape(year.meters, -1)


def nights_bare(year: Year, duck: duckdb.DuckDBPyConnection) -> np.ndarray:
    zones = (np.arange(year.meters) // METERS_A_ZONE).tolist()
    duck.register("members", pa.table({"meter": list(range(1, year.meters + 1)), "zone": zones}))
    begin, end = NIGHT[0] * 3600, NIGHT[-1] * 3600 + 900
    table = duck.sql(f"""
        WITH edge AS (
            SELECT meter, ("at" + {OFFSET_S}) // 3600 AS hour, arg_min(register_m3, "at") AS m3
            FROM {scan_parquet(year.files[:-1])}
            WHERE ("at" + {OFFSET_S}) % 86400 >= {begin} AND ("at" + {OFFSET_S}) % 86400 < {end}
            GROUP BY ALL),
        flow AS (
            SELECT meter, hour, lead(m3) OVER (PARTITION BY meter ORDER BY hour) - m3 AS m3
            FROM edge),
        inflow AS (
            SELECT zone, hour, sum(m3) AS m3 FROM flow JOIN members USING (meter)
            WHERE hour % 24 < {NIGHT[-1]} GROUP BY ALL)
        SELECT zone, hour // 24 AS day, min(m3) AS m3 FROM inflow GROUP BY ALL ORDER BY ALL
    """).to_arrow_table()
    return frames.column(table, "m3").reshape(-1, len(year.days))


def nights_cold(year: Year) -> np.ndarray:
    midnights = [CITY.day_start(day) for day in year.days]
    edges = [midnight + timedelta(hours=h) for midnight in midnights for h in NIGHT]
    registers = year.readings.load_edges(None, edges).interpolate()
    hourly = np.diff(registers.reshape(year.meters, len(year.days), len(NIGHT)), axis=2)
    zones = np.add.reduceat(hourly, np.arange(0, year.meters, METERS_A_ZONE), axis=0)
    return zones.min(axis=2)


def nights_kept(year: Year) -> np.ndarray:
    nights = year.volumes.load_zone_nights(year.members, year.days[0], year.days[-1])
    hourly = nights["inflow_m3"].to_numpy().reshape(-1, len(year.days), len(NIGHT) - 1)
    return hourly.min(axis=2)


def year_bare(year: Year, duck: duckdb.DuckDBPyConnection) -> np.ndarray:
    end = int(CITY.day_start(year.days[-1] + timedelta(days=1)).timestamp())
    table = duck.sql(f"""
        SELECT meter, max(register_m3) - min(register_m3) AS volume_m3
        FROM {scan_parquet(year.files)} WHERE "at" <= {end} GROUP BY meter ORDER BY meter
    """).to_arrow_table()
    return frames.column(table, "volume_m3")


def year_cold(year: Year) -> np.ndarray:
    edges = [CITY.day_start(year.days[0]), CITY.day_start(year.days[-1] + timedelta(days=1))]
    return np.diff(year.readings.load_edges(None, edges).interpolate(), axis=1)[:, 0]


def year_kept(year: Year) -> np.ndarray:
    return year.volumes.load_totals(None, year.days[0], year.days[-1])["volume_m3"].to_numpy()


QUESTIONS = {
    "a month of daily volumes": (month_bare, month_cold, month_kept),
    "a year of night flow": (nights_bare, nights_cold, nights_kept),
    "year totals": (year_bare, year_cold, year_kept),
}


def timed(ask: Callable[[], np.ndarray], repeat: int) -> tuple[float, np.ndarray]:
    """Median seconds after one warm run, and the answer."""
    answer = ask()
    seconds: list[float] = []
    for _ in range(repeat):
        begun = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), answer


def run(year: Year, repeat: int) -> bool:
    """Print times and ratios; whether every ratio stays within its bar."""
    duck = duckdb.connect(":memory:")
    print(f"{'':28}{'bare':>9}{'cold':>9}{'kept':>9}{'cold/bare':>11}{'kept/bare':>11}")
    within = True
    for question, (bare, from_cold, from_kept) in QUESTIONS.items():
        bare_s, expected = timed(lambda b=bare: b(year, duck), repeat)
        cold_s, computed = timed(lambda c=from_cold: c(year), repeat)
        kept_s, remembered = timed(lambda k=from_kept: k(year), repeat)
        np.testing.assert_allclose(computed, expected, atol=1e-6)
        np.testing.assert_allclose(remembered, expected, atol=1e-6)
        ratios = (cold_s / bare_s, kept_s / bare_s)
        within &= ratios[0] <= COLD_BAR and ratios[1] <= KEPT_BAR
        times = "".join(f"{s * 1000:7.0f}ms" for s in (bare_s, cold_s, kept_s))
        print(f"{question:28}{times}{ratios[0]:11.2f}{ratios[1]:11.2f}")
    duck.close()
    return within


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Time the store beside bare DuckDB.")
    parser.add_argument("--meters", type=int, default=200)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        year = fill(Path(folder), chosen.meters, chosen.days)
        rows = chosen.meters * SLOTS * (chosen.days + 1)
        size = sum(file.stat().st_size for file in year.files)
        print(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {rows:,} readings written in "
            f"{time.perf_counter() - begun:.0f} s, {size / rows:.2f} bytes each"
        )
        within = run(year, chosen.repeat)
        year.readings.close()
        year.volumes.close()
    verdict = "held" if within else "NOT HELD"
    print(f"bars: cold <= {COLD_BAR} x bare, kept <= {KEPT_BAR} x bare: {verdict}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
