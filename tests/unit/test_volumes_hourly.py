from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.series import CONTEXT_READINGS, CONTEXT_S, check_series
from analytics.volumes import compute_daily_volumes, compute_hourly_volumes
from water.city_time import CityTime
from water.columns import DAILY, HOURLY
from water.meters import Meter, MeterChange, MeterRole

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
DAY = date(2026, 3, 2)
T0 = CITY.day_start(DAY)
METER = Meter("m1", "s1", MeterRole.CUSTOMER, modulus_m3=100_000, q3_m3_h=16)


def readings(points, meter_id="m1"):
    """(minutes after local midnight, register) pairs."""
    return pd.DataFrame(
        {
            "meter_id": pd.array([meter_id] * len(points), dtype="str"),
            "at": pd.to_datetime([T0 + timedelta(minutes=int(m)) for m, _ in points]).astype(
                "datetime64[s, UTC]"
            ),
            "register_m3": np.array([r for _, r in points], dtype=float),
        }
    )


def hourly(points, hours, changes=(), meter=METER):
    checked = check_series(readings(points), [meter], list(changes))
    edges = [T0 + timedelta(hours=h) for h in hours]
    return compute_hourly_volumes(checked, [meter], list(changes), edges, max_gap_factor=2.5)


def shares(frame):
    return frame[["measured_share", "estimated_share", "missing_share"]].to_numpy().tolist()


def test_the_register_at_an_edge_is_interpolated():
    # 01:00 lies halfway between 102 and 106, 02:00 halfway between 106 and 108
    frame = hourly([(-30, 100), (30, 102), (90, 106), (150, 108)], [1, 2])
    assert frame["volume_m3"].tolist() == [pytest.approx(3.0)]
    assert shares(frame) == [[1, 0, 0]]


def test_a_rollover_adds_the_modulus():
    frame = hourly([(0, 99_994), (60, 99_998), (120, 5), (180, 8)], [0, 1, 2, 3])
    assert frame["volume_m3"].tolist() == pytest.approx([4, 7, 3])


def test_a_meter_change_ends_one_dial_and_begins_another():
    # old dial 500 at 00:00, 502 at the change at 00:30; new dial 10 there, 11.5 at 01:00
    change = MeterChange("m1", T0 + timedelta(minutes=30), 502, 10)
    frame = hourly([(-60, 496), (0, 500), (60, 11.5), (120, 14.5)], [0, 1, 2], [change])
    assert frame["volume_m3"].tolist() == pytest.approx([2 + 1.5, 3.0])
    assert shares(frame) == [[1, 0, 0], [1, 0, 0]]


def test_a_long_gap_is_estimated_and_exact_in_sum():
    frame = hourly([(0, 100), (60, 103), (300, 111), (360, 112)], range(7))
    assert frame["volume_m3"].tolist() == pytest.approx([3, 2, 2, 2, 2, 1])
    assert shares(frame) == [[1, 0, 0], *[[0, 1, 0]] * 4, [1, 0, 0]]


def test_a_gap_of_two_and_a_half_intervals_is_measured():
    frame = hourly([(0, 100), (150, 110), (300, 115)], [0, 1])
    assert shares(frame) == [[1, 0, 0]]
    frame = hourly([(0, 100), (151, 110), (300, 115)], [0, 1])
    assert shares(frame) == [[0, 1, 0]]


def test_time_that_is_not_bracketed_is_missing():
    frame = hourly([(90, 100), (150, 102)], [0, 1, 2, 3, 4])
    assert np.isnan(frame["volume_m3"].iloc[0])
    assert frame["volume_m3"].tolist()[1:3] == pytest.approx([1, 1])
    assert np.isnan(frame["volume_m3"].iloc[3])
    assert shares(frame) == [[0, 0, 1], [0.5, 0, 0.5], [0.5, 0, 0.5], [0, 0, 1]]


def test_a_spike_carries_no_volume():
    frame = hourly([(0, 100), (60, 101), (120, 9_000), (180, 103), (240, 104)], range(5))
    assert frame["volume_m3"].tolist() == pytest.approx([1, 1, 1, 1])


@pytest.mark.parametrize("jump", [-90, 5_000])
def test_a_lasting_step_is_a_break_without_volume(jump):
    points = [(60 * h, 100 + h + (jump if h >= 3 else 0)) for h in range(7)]
    frame = hourly(points, range(7))
    assert np.nansum(frame["volume_m3"]) <= 5
    known = frame[frame["missing_share"] == 0]
    assert known["volume_m3"].tolist() == pytest.approx([1] * len(known))
    assert len(known) >= 4


def test_water_somewhat_beyond_q4_is_water():
    frame = hourly([(0, 100), (60, 130), (120, 131)], [0, 1, 2])
    assert frame["volume_m3"].tolist() == pytest.approx([30, 1])


def test_every_meter_has_every_hour_even_without_readings():
    silent = Meter("m0", "s1", MeterRole.CUSTOMER)
    checked = check_series(readings([(0, 1), (60, 2)]), [METER], [])
    edges = CITY.hour_edges(DAY, DAY)
    frame = compute_hourly_volumes(checked, [METER, silent], [], edges, max_gap_factor=2.5)
    assert list(frame.columns) == list(HOURLY)
    assert frame["meter_id"].tolist() == ["m0"] * 24 + ["m1"] * 24
    assert frame["volume_m3"].count() == 1
    assert (frame["missing_share"].iloc[:24] == 1).all()
    assert str(frame["start"].dtype) == "datetime64[s, UTC]"


def test_a_day_is_the_sum_of_its_hours_and_equals_the_register_difference():
    rng = np.random.default_rng(1)
    minutes = np.arange(-120, 1_700, 15)
    points = list(zip(minutes, 1_000 + np.cumsum(rng.gamma(1, 1, minutes.size)), strict=True))
    frame = hourly(points, range(25), meter=Meter("m1", "s1", MeterRole.CUSTOMER, interval_s=900))
    daily = compute_daily_volumes(frame, CITY)
    register = dict(points)
    assert list(daily.columns) == list(DAILY)
    assert daily["day"].tolist() == [pd.Timestamp(DAY)]
    assert daily["volume_m3"].iloc[0] == pytest.approx(register[1_440] - register[0], abs=1e-9)
    assert daily["lowest_hour_m3"].iloc[0] == pytest.approx(frame["volume_m3"].min())
    assert daily["measured_share"].iloc[0] == pytest.approx(1)


def test_the_lowest_hour_comes_from_wholly_measured_hours():
    # the gap from 01:00 to 06:00 holds 0.2 m³ an hour, the measured hours 1 m³ and more
    points = [(0, 100), (60, 101), (360, 102)] + [(60 * h, 102 + 2 * (h - 6)) for h in range(7, 25)]
    daily = compute_daily_volumes(hourly(points, range(25)), CITY)
    assert daily["lowest_hour_m3"].iloc[0] == pytest.approx(1)
    assert daily["estimated_share"].iloc[0] == pytest.approx(5 / 24)


def test_hours_that_are_not_there_are_missing_from_the_day():
    daily = compute_daily_volumes(hourly([(0, 100), (360, 106)], range(7)), CITY)
    assert daily["missing_share"].iloc[0] == pytest.approx(18 / 24)
    assert daily["volume_m3"].iloc[0] == pytest.approx(6)


def test_a_day_has_the_hours_that_the_citys_clock_gives_it():
    rome = CityTime(ZoneInfo("Europe/Rome"))
    first = date(2026, 3, 29)  # 23 hours
    edges = rome.hour_edges(first, first)
    at = [edges[0] + timedelta(hours=i) for i in range(24)]
    frame = pd.DataFrame(
        {
            "meter_id": pd.array(["m1"] * 24, dtype="str"),
            "at": pd.to_datetime(at).astype("datetime64[s, UTC]"),
            "register_m3": np.arange(24.0),
        }
    )
    checked = check_series(frame, [METER], [])
    hours = compute_hourly_volumes(checked, [METER], [], edges, max_gap_factor=2.5)
    daily = compute_daily_volumes(hours, rome)
    assert daily["volume_m3"].tolist() == [23]
    assert daily["measured_share"].tolist() == pytest.approx([1])


def days_of_trouble(seed):
    """Twelve days of hourly readings with spikes, runs, zeros, blocks sent again and a rollover."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(-600, 12 * 1_440 + 600, 60)
    flow = rng.gamma(1, 1, minutes.size) * (rng.random(minutes.size) > 0.3)
    register = (99_950 + np.round(np.cumsum(flow), 2)) % 100_000
    for _ in range(10):
        where, length = rng.integers(24, minutes.size), int(rng.choice([1, 1, 2, 5, 24, 30]))
        run = slice(where, where + length)
        lag = int(rng.integers(3, 25))
        kind = rng.integers(5)
        if kind == 0:
            register[run] = rng.choice([0, 90_000, register[where] + 7])
        elif kind == 1:
            register[run] = register[where - lag : where - lag + register[run].size]
        elif kind == 2:
            register[run] = register[where - 1]
        elif kind == 3:
            register[where:] += rng.choice([-40, 25])
        else:
            register[run] -= np.arange(register[run].size)
    keep = rng.random(minutes.size) > 0.1
    return list(zip(minutes[keep], np.maximum(register[keep], 0), strict=True))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 100_000), day=st.integers(4, 7))
def test_a_chunk_with_its_context_gives_the_verdicts_and_volumes_of_the_whole(seed, day):
    frame = readings(days_of_trouble(seed))
    if seed % 2:
        frame["register_m3"] = np.floor(frame["register_m3"])
    frame["flow_m3_h"] = np.random.default_rng(seed).choice([np.nan, 0, 2], len(frame))
    at = pd.DatetimeIndex(frame["at"])
    begin, end = T0 + timedelta(days=day), T0 + timedelta(days=day + 1)
    around = timedelta(seconds=CONTEXT_S) + timedelta(hours=2 * CONTEXT_READINGS)
    chunk = frame[(at >= begin - around) & (at < end + around)]
    edges = [begin + timedelta(hours=h) for h in range(25)]
    contested = frame[["meter_id", "at"]].sample(6, random_state=seed)
    contested = contested.assign(quantity=["register_m3", "flow_m3_h"] * 3)

    def checked(some):
        shuffled = some.sample(frac=1, random_state=seed)
        return check_series(shuffled, [METER], [], contested)

    def of_the_day(some):
        within = (some["at"] >= begin) & (some["at"] < end)
        return some.loc[within, ["at", "verdict"]].reset_index(drop=True)

    def volumes(some):
        return compute_hourly_volumes(some, [METER], [], edges, max_gap_factor=2.5)

    part, whole = checked(chunk), checked(frame)
    pd.testing.assert_frame_equal(of_the_day(part), of_the_day(whole))
    pd.testing.assert_frame_equal(volumes(part), volumes(whole), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 15), min_size=30, max_size=80), st.integers(0, 10**6))
def test_volumes_telescope(flows, seed):
    rng = np.random.default_rng(seed)
    register = 99_990 + np.concatenate([[0], np.cumsum(flows)])
    minutes = np.arange(register.size) * 60
    keep = rng.random(register.size) > 0.3
    keep[[0, -1]] = True
    points = list(zip(minutes[keep], register[keep] % 100_000, strict=True))
    frame = hourly(points, range(register.size))
    assert frame["volume_m3"].sum() == pytest.approx(sum(flows), abs=1e-6)


def test_a_summer_instant_is_placed_by_its_zone():
    edges = [datetime(2026, 3, 1, 16, tzinfo=UTC), datetime(2026, 3, 1, 17, tzinfo=UTC)]
    checked = check_series(readings([(0, 1), (60, 2)]), [METER], [])
    frame = compute_hourly_volumes(checked, [METER], [], edges, max_gap_factor=2.5)
    assert frame["volume_m3"].tolist() == [1]
