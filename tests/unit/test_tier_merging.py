"""Pure parts of the embedded stores: merging, partitions, cells, touched days."""

import sqlite3
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from storage.edges import Edges
from storage.merging import merge
from storage.readings import touched
from storage.readings.edges import _cells
from storage.readings.partitions import (
    LocalDays,
    LocalMonths,
    MonthsOfDays,
    partitions_between,
    seconds_of_day,
)  # fmt: skip
from water.city_time import CityTime
from water.loading import Outcome

SHANGHAI, BERLIN = (CityTime(ZoneInfo(zone)) for zone in ("Asia/Shanghai", "Europe/Berlin"))


@pytest.mark.parametrize(
    ("kept", "offered", "merged", "outcome"),
    [
        pytest.param((7, None), (7, None), (7, None), Outcome.DUPLICATE, id="the same again"),
        pytest.param((7, None), (None, 2), (7, 2), Outcome.STORED, id="another quantity"),
        pytest.param((7, None), (8, None), (7, None), Outcome.CONFLICT, id="another value"),
        pytest.param((7, None), (8, 2), (7, 2), Outcome.CONFLICT, id="another value and quantity"),
        pytest.param((7, 2), (7, None), (7, 2), Outcome.DUPLICATE, id="less than is there"),
        pytest.param((0.0, None), (None, 0.0), (0.0, 0.0), Outcome.STORED, id="zero is a value"),
    ],
)
def test_the_first_value_of_each_quantity_stays(kept, offered, merged, outcome):
    found = merge((5, 1, 10, *kept, None, None, 0), (5, 1, 11, *offered, None, None, 0))
    assert found.row[3:5] == merged
    assert found.outcome == outcome


def test_quality_adds_up_and_the_earliest_arrival_stands():
    found = merge((5, 1, 10, 7, None, None, None, 1), (5, 1, 8, 7, None, None, None, 4))
    assert (found.row[2], found.row[7], found.outcome) == (8, 5, Outcome.DUPLICATE)


@pytest.mark.parametrize(
    ("live", "imported", "stands"),
    [
        pytest.param((10, 1), (900, 132), (10, 5), id="a file over what came live"),
        pytest.param((900, 1), (10, 132), (10, 133), id="live after the file"),
        pytest.param((10, 1), (10, 132), (10, 5), id="in the same second"),
    ],
)
def test_history_is_said_of_the_arrival_that_stands(live, imported, stands):
    rows = [(5, 1, at, 7.0, None, None, None, quality) for at, quality in (live, imported)]
    for kept, offered in (rows, rows[::-1]):
        found = merge(kept, offered)
        assert (found.row[2], found.row[7]) == stands


def test_a_local_day_begins_at_local_midnight():
    days = LocalDays(SHANGHAI)
    at = int(datetime(2026, 1, 1, 16, tzinfo=UTC).timestamp())
    assert (days.of(at - 1), days.of(at)) == (date(2026, 1, 1), date(2026, 1, 2))
    assert days.bounds(date(2026, 1, 2)) == (at, at + 86_400)


def test_a_day_of_the_clock_change_has_its_true_length():
    begins, ends = LocalDays(BERLIN).bounds(date(2026, 3, 29))
    assert ends - begins == 23 * 3600


def test_months_are_cut_by_the_local_calendar():
    begins, ends = LocalMonths(SHANGHAI).bounds(date(2026, 2, 1))
    assert (ends - begins) == 28 * 86_400
    assert LocalMonths(SHANGHAI).of(begins - 1) == date(2026, 1, 1)
    day = seconds_of_day(date(2026, 2, 28))
    assert MonthsOfDays().of(day) == date(2026, 2, 1)
    assert MonthsOfDays().bounds(date(2026, 2, 1))[1] == day + 86_400


def test_partitions_between_two_instants_are_all_named():
    first, last = (seconds_of_day(day) for day in (date(2025, 12, 31), date(2026, 2, 1)))
    found = list(partitions_between(MonthsOfDays(), first, last))
    assert found == [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]


def test_cells_hold_no_instant_but_their_beginning():
    begins, ends, left = _cells(np.array([1000, 1100, 5000]), 200)
    assert list(zip(begins.tolist(), ends.tolist(), strict=True)) == [
        (800, 1000), (1000, 1100), (1100, 1300), (4800, 5000), (5000, 5200),
    ]  # fmt: skip
    assert left.tolist() == [0, 1, 3]


def test_registers_are_interpolated_in_time():
    one = np.array([[0.0]])
    edges = Edges(["m"], np.array([250]), one + 100, one + 10, one + 300, one + 30)
    assert edges.interpolate().tolist() == [[25]]


@pytest.fixture
def marks():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(touched.TOUCHED)
    yield connection
    connection.close()


def test_folding_keeps_every_pair_for_every_reader(marks):
    for load in range(50):
        touched.add(marks, {(load % 7, 20_000), (1, 20_000 + load)})
    before = {after: touched.after(marks, after, 10**6) for after in range(51)}
    assert touched.fold(marks) == 49
    for after, (pairs, mark) in before.items():
        found, seen = touched.after(marks, after, 10**6)
        assert pairs <= found
        assert seen == mark


def test_marks_are_not_given_twice(marks):
    touched.add(marks, {(1, 1)})
    marks.execute("DELETE FROM touched")
    touched.add(marks, {(1, 2)})
    assert touched.after(marks, 1, 10) == ({(1, 2)}, 2)
