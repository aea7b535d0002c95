"""The embedded store's cold side: same answers, whatever lies where and whatever dies when."""

import os
import signal
import sqlite3
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import hypothesis.strategies as st
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from storage.readings import StoreError, cold, open_readings, open_volumes
from water.city_time import CityTime
from water.clock import SystemClock
from water.readings import QUANTITIES, Reading

pytestmark = pytest.mark.embedded

FIRST = 1_767_196_800  # 2026-01-01T00:00+08:00

readings_given = st.builds(
    lambda meter, step, quantity, value: Reading(
        meter, FIRST + step * 21_600, 7, **{quantity: float(value)}
    ),
    st.sampled_from(["a", "b"]),
    st.integers(0, 11),
    st.sampled_from(QUANTITIES[:2]),
    st.integers(0, 1),
)
steps_given = st.lists(
    st.one_of(st.lists(readings_given, min_size=1, max_size=8), st.integers(1, 4)), max_size=8
)


def merge_into(model: dict, batch: list[Reading]) -> list[int]:
    """The contract in four lines: first value wins, other quantities merge."""
    outcomes = []
    for reading in batch:
        kept = model.setdefault((reading.meter_id, reading.at), {})
        new = {q: v for q in QUANTITIES if (v := getattr(reading, q)) is not None}
        clash = any(kept.get(q, v) != v for q, v in new.items())
        grown = any(q not in kept for q in new)
        model[reading.meter_id, reading.at] = new | kept
        outcomes.append(2 if clash else 0 if grown else 1)
    return outcomes


def as_rows(frame: pd.DataFrame) -> dict:
    rows = {}
    for row in frame.itertuples():
        values = {q: getattr(row, q) for q in QUANTITIES if not pd.isna(getattr(row, q))}
        rows[row.meter_id, int(row.at.timestamp())] = values
    assert len(rows) == len(frame), "a row came twice"
    return rows


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps_given)
def test_reads_are_the_same_wherever_the_rows_lie(steps, city, load):
    with tempfile.TemporaryDirectory() as folder:
        store, model = open_readings(Path(folder), city, SystemClock()), {}
        for step in steps:
            if isinstance(step, int):
                store.compact(date(2026, 1, step), grace_s=0)
            else:
                assert load(store, step) == merge_into(model, step)
        start, end = city.day_start(date(2026, 1, 1)), city.day_start(date(2026, 1, 9))
        assert as_rows(store.load_readings(["a", "b"], start, end)) == model
        assert dict(sorted(as_rows(store.newest()))) == dict(sorted(model))
        store.close()


@pytest.fixture
def two_days(store, load, reading):
    load(store, [reading("m1", d, h, register_m3=24 * d + h) for d in (1, 2) for h in range(24)])
    return store


def cold_files(tmp_path) -> set[str]:
    return {path.name for path in (tmp_path / "readings" / "readings").iterdir()}


def test_a_day_that_is_not_over_stays_hot(two_days, instant, tmp_path):
    assert two_days.compact(instant(1, 2).date()) == 1
    assert [name[:10] for name in cold_files(tmp_path)] == ["2026-01-01"]


def test_a_compacted_day_is_not_written_again_without_late_rows(two_days, instant):
    assert two_days.compact(instant(1, 3).date()) == 2
    assert two_days.compact(instant(1, 3).date()) == 0


def test_late_rows_are_written_into_their_day_and_the_old_file_goes_after_the_grace_time(
    two_days, load, reading, instant, tmp_path
):
    two_days.compact(instant(1, 3).date())
    before = cold_files(tmp_path)
    load(two_days, [reading("m1", 1, 0.5, register_m3=24.5)])
    assert two_days.compact(instant(1, 3).date()) == 1
    assert before < cold_files(tmp_path), "readers may still have the replaced file open"
    two_days.compact(instant(1, 3).date(), grace_s=0)
    assert len(cold_files(tmp_path)) == 2
    assert len(two_days.load_readings(["m1"], instant(1, 1), instant(1, 3))) == 49


def test_a_cold_file_can_be_read_without_the_database(two_days, instant, tmp_path):
    two_days.compact(instant(1, 2).date())
    (file,) = (tmp_path / "readings" / "readings").iterdir()
    rows = duckdb.sql(f"SELECT meter_id, \"at\", register_m3 FROM '{file}'").fetchall()
    assert rows == [("m1", FIRST + h * 3600, 24 + h) for h in range(24)]


def test_a_day_that_changes_while_it_is_written_stays_hot(
    two_days, load, reading, instant, monkeypatch, tmp_path
):
    put_in_place = cold.put_in_place

    def and_a_late_reading(file):
        put_in_place(file)
        load(two_days, [reading("m1", 1, 0.5, register_m3=24.5)])

    monkeypatch.setattr(cold, "put_in_place", and_a_late_reading)
    assert two_days.compact(instant(1, 2).date()) == 0
    monkeypatch.undo()
    assert cold_files(tmp_path) == set()
    assert two_days.compact(instant(1, 2).date()) == 1
    assert len(two_days.load_readings(["m1"], instant(1, 1), instant(1, 2))) == 25


def test_only_one_compacts_at_a_time(two_days, open_store, instant, monkeypatch):
    other, answers = open_store(), []
    put_in_place = cold.put_in_place

    def and_another(file):
        monkeypatch.undo()
        answers.append(other.compact(instant(1, 3).date()))
        put_in_place(file)

    monkeypatch.setattr(cold, "put_in_place", and_another)
    assert two_days.compact(instant(1, 2).date()) == 1
    assert answers == [0]


CRASH = """
import os, sys
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo
from storage.readings import cold, compaction, database, open_readings
from water.city_time import CityTime
from water.clock import SystemClock

point, put_in_place, enter = sys.argv[2], cold.put_in_place, cold.enter
def die(*_): os._exit(9)
def renamed(file): put_in_place(file); die()
def entered(*a, **k): enter(*a, **k); die()
if point == "written aside": cold.put_in_place = die
if point == "renamed": cold.put_in_place = renamed
if point == "entered": cold.enter = entered
if point == "committed": database.Database.checkpoint = die
store = open_readings(Path(sys.argv[1]), CityTime(ZoneInfo("Asia/Shanghai")), SystemClock())
store.compact(date(2026, 1, 2))
"""


@pytest.mark.parametrize("point", ["written aside", "renamed", "entered", "committed"])
def test_a_compaction_that_dies_loses_nothing_and_leaves_nothing(
    two_days, in_process, instant, tmp_path, point
):
    before = two_days.load_readings(["m1"], instant(1, 1), instant(1, 3))
    with in_process(CRASH, tmp_path / "readings", point) as process:
        assert process.wait(30) == 9
    assert two_days.load_readings(["m1"], instant(1, 1), instant(1, 3)).equals(before)
    assert two_days.compact(instant(1, 2).date()) == (0 if point == "committed" else 1)
    assert two_days.load_readings(["m1"], instant(1, 1), instant(1, 3)).equals(before)
    assert len(cold_files(tmp_path)) == 1


WRITER = """
import sys, itertools
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo
from storage.readings import open_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.readings import Reading

store = open_readings(Path(sys.argv[1]), CityTime(ZoneInfo("Asia/Shanghai")), SystemClock())
compacts = sys.argv[2] == "compacts"
for step in itertools.count():
    at = 1_767_196_800 + step * 3600
    with store.load() as load:
        load.add_readings([Reading(f"m{m}", at, at, float(step)) for m in range(20)])
        load.set_position("j", (0, 0, step + 1))
    print(step, flush=True)
    if compacts and step % 48 == 47:
        store.compact(date(2026, 1, 1) + timedelta(days=step // 24), grace_s=60)
"""


def test_a_killed_loader_leaves_position_and_rows_in_step(open_store, in_process, tmp_path, city):
    start, end = city.day_start(date(2026, 1, 1)), city.day_start(date(2029, 1, 1))
    with in_process(WRITER, tmp_path / "readings", "loads") as process:
        for _ in range(100):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    store = open_store()
    rows = store.load_readings(["m0", "m19"], start, end)
    assert len(rows) == 2 * store.position("j").entry >= 200


def test_a_reader_in_another_process_sees_whole_loads_only(open_store, in_process, tmp_path, city):
    start, end = city.day_start(date(2026, 1, 1)), city.day_start(date(2029, 1, 1))
    ids, lengths = [f"m{m}" for m in range(20)], []
    with in_process(WRITER, tmp_path / "readings", "compacts") as process:
        process.stdout.readline()
        store, until = open_store(), time.monotonic() + 2
        while time.monotonic() < until:
            steps = store.load_readings(ids, start, end).groupby("meter_id")["register_m3"]
            counts, highest = steps.count(), steps.max()
            assert len(counts) == 20
            assert (counts == counts.iloc[0]).all(), "part of a load was seen"
            assert (highest == counts - 1).all(), "a load was missing"
            lengths.append(int(counts.iloc[0]))
        os.kill(process.pid, signal.SIGKILL)
    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[0]
    assert len(cold_files(tmp_path)) > 0, "nothing was compacted meanwhile"


OPENER = """
import sys
from pathlib import Path
from zoneinfo import ZoneInfo
from storage.readings import open_readings
from water.city_time import CityTime
from water.clock import SystemClock

print("ready", flush=True)
sys.stdin.readline()
open_readings(Path(sys.argv[1]), CityTime(ZoneInfo("Asia/Shanghai")), SystemClock()).close()
"""


def test_processes_that_start_together_make_one_store(in_process, tmp_path):
    processes = [in_process(OPENER, tmp_path / "new") for _ in range(3)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.close()
    for process in processes:
        with process:
            assert process.wait(30) == 0


def test_a_database_of_a_newer_version_is_refused(store, open_store, tmp_path):
    store.close()
    connection = sqlite3.connect(tmp_path / "readings" / "readings.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="99"):
        open_store()


def test_a_file_that_is_no_database_is_refused(tmp_path, city):
    (tmp_path / "readings.sqlite").write_bytes(b"not a database at all, but long enough" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_readings(tmp_path, city, SystemClock())


@pytest.mark.parametrize("open_one", [open_readings, open_volumes])
def test_a_store_is_cut_by_one_zone_for_ever(tmp_path, city, open_one):
    open_one(tmp_path, city, SystemClock()).close()
    with pytest.raises(
        StoreError, match=r"days of Asia/Shanghai, .* says Asia/Urumqi: set it back"
    ):
        open_one(tmp_path, CityTime(ZoneInfo("Asia/Urumqi")), SystemClock())
    open_one(tmp_path, city, SystemClock()).close()


def test_a_store_of_a_version_that_kept_no_zone_takes_the_present_one(
    store, open_store, tmp_path, city
):
    store.close()
    connection = sqlite3.connect(tmp_path / "readings" / "readings.sqlite")
    connection.execute("DROP TABLE cut_by")
    connection.close()
    open_store()
    with pytest.raises(StoreError, match="Asia/Urumqi"):
        open_readings(
            tmp_path / "readings", CityTime(ZoneInfo("Asia/Urumqi"), city.night), SystemClock()
        )


def test_a_missing_cold_file_is_an_outage_that_says_its_name(two_days, instant, tmp_path):
    two_days.compact(instant(1, 2).date())
    (file,) = (tmp_path / "readings" / "readings").iterdir()
    file.unlink()
    with pytest.raises(OSError, match=file.name):
        two_days.load_readings(["m1"], instant(1, 1), instant(1, 2) + timedelta(days=1))
