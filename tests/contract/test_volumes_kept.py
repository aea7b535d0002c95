"""Kept volumes of any store: storage.contracts.VolumesStore."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from storage.errors import StoreError
from water import columns

HOURS = pd.date_range("2026-01-30T16:00Z", periods=72, freq="h", unit="s")
YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
DAYS_OF_2026 = (date(2026, 1, 1), date(2026, 12, 31))
DAYS = pd.date_range("2026-01-31", periods=3, freq="D", unit="s")


def hourly(meter_id, hours=HOURS, volume_m3=1.0):
    return pd.DataFrame(
        {
            columns.METER_ID: pd.Series([meter_id] * len(hours), dtype="str"),
            columns.START: hours,
            columns.VOLUME_M3: np.full(len(hours), volume_m3),
            columns.MEASURED_SHARE: 1.0,
            columns.ESTIMATED_SHARE: 0.0,
            columns.MISSING_SHARE: 0.0,
        }
    )


def daily(meter_id, days=DAYS, volume_m3=24.0):
    frame = hourly(meter_id, days, volume_m3).rename(columns={columns.START: columns.DAY})
    frame.insert(3, columns.LOWEST_HOUR_M3, np.nan)
    return frame


@pytest.fixture
def kept(tier, volumes):
    """Three days of m1 and m2 over the end of January, m2 twice as thirsty."""
    first = 7.0 if tier == "mixed" else 1.0
    volumes.save(
        pd.concat([hourly("m2", volume_m3=2), hourly("m1", volume_m3=first)]),
        pd.concat([daily("m2", volume_m3=48), daily("m1", volume_m3=24 * first)]),
    )
    if tier != "hot":
        assert volumes.compact(date(2026, 2, 1)) == 2, "January of both is closed"
    if tier == "mixed":
        volumes.save(hourly("m1"), daily("m1"))
    return volumes


def test_what_was_saved_comes_back_sorted_and_typed(kept, city):
    start, end = city.day_start(date(2026, 1, 31)), city.day_start(date(2026, 2, 3))
    expected = pd.concat([hourly("m1"), hourly("m2", volume_m3=2)], ignore_index=True)
    pd.testing.assert_frame_equal(kept.load_hourly(None, start, end), expected)
    expected = pd.concat([daily("m1"), daily("m2", volume_m3=48)], ignore_index=True)
    found = kept.load_daily(None, date(2026, 1, 31), date(2026, 2, 2))
    pd.testing.assert_frame_equal(found, expected)


def test_a_range_and_a_meter_are_kept_to(kept, city):
    start = city.day_start(date(2026, 1, 31))
    assert len(kept.load_hourly(["m1"], start, start + timedelta(hours=30))) == 30
    found = kept.load_daily(["m2", "nobody"], date(2026, 2, 1), date(2026, 2, 1))
    assert list(found["meter_id"]) == ["m2"]


def test_a_save_replaces_exactly_what_it_names(kept, city):
    kept.save(hourly("m1", HOURS[5:6], 9.0), daily("m1", DAYS[:1], 33.0))
    start, end = city.day_start(date(2026, 1, 31)), city.day_start(date(2026, 2, 3))
    found = kept.load_hourly(["m1"], start, end)[columns.VOLUME_M3]
    assert list(found) == [1.0] * 5 + [9.0] + [1.0] * 66
    found = kept.load_daily(["m1", "m2"], date(2026, 1, 31), date(2026, 2, 2))
    assert list(found[columns.VOLUME_M3]) == [33, 24, 24, 48, 48, 48]


def test_an_unknown_volume_replaces_a_known_one(kept, city):
    kept.save(hourly("m1", HOURS[:1], np.nan), daily("m1", DAYS[:0]))
    start = city.day_start(date(2026, 1, 31))
    found = kept.load_hourly(["m1"], start, start + timedelta(hours=2))[columns.VOLUME_M3]
    assert list(np.isnan(found)) == [True, False]
    kept.save(hourly("m1", HOURS[:1], 3.0), daily("m1", DAYS[:0]))
    found = kept.load_hourly(["m1"], start, start + timedelta(hours=2))[columns.VOLUME_M3]
    assert list(found) == [3, 1]


def test_a_period_that_becomes_wholly_measured_has_its_shares(kept, city):
    start = city.day_start(date(2026, 1, 31))
    partly = hourly("m1", HOURS[:1], 0.5).assign(measured_share=0.25, missing_share=0.75)
    kept.save(partly, daily("m1", DAYS[:0]))
    found = kept.load_hourly(["m1"], start, start + timedelta(hours=1))
    pd.testing.assert_frame_equal(found, partly)
    kept.save(hourly("m1", HOURS[:1]), daily("m1", DAYS[:0]))
    found = kept.load_hourly(["m1"], start, start + timedelta(hours=1))
    pd.testing.assert_frame_equal(found, hourly("m1", HOURS[:1]))


def test_the_lowest_hour_of_a_day_can_be_known_and_unknown_again(kept):
    day = date(2026, 1, 31)
    for lowest in (0.25, np.nan):
        kept.save(hourly("m1", HOURS[:0]), daily("m1", DAYS[:1]).assign(lowest_hour_m3=lowest))
        found = kept.load_daily(["m1"], day, day)
        assert found["lowest_hour_m3"].equals(pd.Series([lowest]))


def test_an_empty_frame_of_volumes_has_the_same_types(volumes):
    volumes.save(hourly("m1"), daily("m1"))
    full, empty = volumes.load_hourly(None, *YEAR), volumes.load_hourly(["nobody"], *YEAR)
    assert (len(full), len(empty)) == (72, 0)
    assert list(empty.dtypes) == list(full.dtypes)
    full, empty = volumes.load_daily(None, *DAYS_OF_2026), volumes.load_daily([], *DAYS_OF_2026)
    assert (len(full), len(empty)) == (3, 0)
    assert list(empty.dtypes) == list(full.dtypes)


def test_a_last_day_before_the_first_is_no_volumes(volumes):
    volumes.save(hourly("m1"), daily("m1"))
    assert volumes.load_daily(None, date(2026, 2, 2), date(2026, 1, 31)).empty
    assert volumes.load_hourly(None, YEAR[1], YEAR[0]).empty


@pytest.mark.embedded
def test_totals_add_up_over_months(kept):
    totals = kept.load_totals(None, date(2026, 1, 31), date(2026, 2, 2))
    assert totals.to_numpy().tolist() == [["m1", 72, 3], ["m2", 144, 3]]


@pytest.mark.embedded
def test_zone_nights_sum_inlets_less_outlets_in_the_night_hours(kept):
    members = pd.DataFrame({"zone_id": ["z", "z"], "meter_id": ["m2", "m1"], "sign": [1, -1]})
    nights = kept.load_zone_nights(members, date(2026, 1, 31), date(2026, 2, 2))
    local = nights["start"].dt.tz_convert("Asia/Shanghai")
    assert list(local.dt.hour) == [2, 3, 4] * 3
    assert (nights["inflow_m3"] == 1).all()
    assert (nights["meters"] == 2).all()


@pytest.mark.embedded
def test_a_month_that_is_not_over_stays_hot(kept, tmp_path):
    kept.compact(date(2026, 2, 28))
    names = [path.name[:7] for path in (tmp_path / "volumes" / "hourly").iterdir()]
    assert set(names) <= {"2026-01"}


def test_a_frame_without_its_columns_is_refused_and_nothing_is_saved(volumes):
    with pytest.raises(StoreError, match="lowest_hour_m3"):
        volumes.save(hourly("m1"), daily("m1").drop(columns=columns.LOWEST_HOUR_M3))
    assert volumes.load_hourly(None, *YEAR).empty


@pytest.mark.embedded
def test_a_save_is_on_the_disk_when_it_returns(volumes):
    with volumes._database.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
