"""Keys of meters, while other threads read the same table at other moments."""

import sqlite3
from contextlib import closing
from zoneinfo import ZoneInfo

import duckdb
import pytest

from storage.readings import frames
from storage.readings.compaction import write_aside
from storage.readings.meters import METERS, MeterKeys
from storage.readings.partitions import LocalDays
from storage.readings.tier import readings_tier
from water.city_time import CityTime

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
NOW, BEFORE = {"m1": 1, "m2": 2}, {"m1": 1}


class Overtaken(dict[str, int]):
    """What a thread has remembered when it is asked how many there are: less, the next moment."""

    def __init__(self, keys):
        super().__init__(NOW)
        self.keys_ = keys

    def __len__(self):
        self.keys_.remember(BEFORE)
        return super().__len__()


def test_a_reader_has_every_meter_of_its_moment_though_another_remembers_an_older_one():
    keys = MeterKeys()
    with closing(sqlite3.connect(":memory:")) as table:
        table.execute(METERS)
        table.executemany("INSERT INTO meters VALUES (?, ?)", [(1, "m1"), (2, "m2")])
        keys.remember(Overtaken(keys))
        assert dict(keys.known(table)) == NOW


def test_a_row_of_a_meter_without_a_name_is_not_left_out_of_a_file(tmp_path):
    tier = readings_tier(LocalDays(CITY))
    nulls = ", ".join(f"NULL AS {name}" for name in tier.others)
    rows = f'SELECT meter, 5 AS "at", {nulls} FROM (VALUES (1), (2)) _(meter)'
    with closing(duckdb.connect(":memory:")) as engine:
        engine.register("names", frames.names_table(BEFORE))
        with pytest.raises(duckdb.Error, match="meter 2 has no name"):
            write_aside(engine, tier, rows, tmp_path / "a.parquet")
        engine.register("names", frames.names_table(NOW))
        assert write_aside(engine, tier, rows, tmp_path / "a.parquet") == 2
