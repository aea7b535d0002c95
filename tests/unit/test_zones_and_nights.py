from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from analytics.nights import add_baseline, compute_zone_nights, detect_night_flow_rise
from analytics.zones import compute_zone_days, compute_zone_hours
from water.city_time import CityTime
from water.columns import ZONE_DAYS, ZONE_HOURS, ZONE_NIGHTS
from water.meters import Meter, MeterRole
from water.policy import Policy
from water.zones import Works, WorksKind, Zone

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
DAY = date(2026, 3, 2)
IN_1 = Meter("in1", "s", MeterRole.ZONE_INLET, zone_id="z")
IN_2 = Meter("in2", "s", MeterRole.ZONE_INLET, zone_id="z")
OUT = Meter("out", "s", MeterRole.ZONE_OUTLET, zone_id="z")
USER = Meter("user", "s", MeterRole.CUSTOMER, user_id="u", zone_id="z")
ELSEWHERE = Meter("far", "s", MeterRole.CUSTOMER, user_id="v", zone_id="y")


def hourly(volumes):
    """Meter → volumes of the hours 01:00 to … of DAY; None = missing, (v,) = estimated."""
    start = CITY.day_start(DAY) + timedelta(hours=1)
    rows = []
    for meter_id, hours in sorted(volumes.items()):
        for i, v in enumerate(hours):
            measured = 0.0 if v is None or isinstance(v, tuple) else 1.0
            estimated = 1.0 if isinstance(v, tuple) else 0.0
            value = np.nan if v is None else v[0] if isinstance(v, tuple) else v
            at = start + timedelta(hours=i)
            rows.append((meter_id, at, value, measured, estimated, 1 - measured - estimated))
    frame = pd.DataFrame(
        rows,
        columns=[
            "meter_id",
            "start",
            "volume_m3",
            "measured_share",
            "estimated_share",
            "missing_share",
        ],
    )
    return frame.astype({"meter_id": "str", "start": "datetime64[s, UTC]"})


def test_net_inflow_is_inlets_less_outlets():
    volumes = hourly({"in1": [10], "in2": [4], "out": [3], "user": [2], "far": [100]})
    zones = compute_zone_hours(volumes, [IN_1, IN_2, OUT, USER, ELSEWHERE])
    assert list(zones.columns) == list(ZONE_HOURS)
    assert zones["zone_id"].tolist() == ["z"]
    assert zones["inflow_m3"].tolist() == [11]
    assert zones["large_use_m3"].tolist() == [2]
    assert zones["measured_share"].tolist() == [1]


def test_an_unknown_inlet_leaves_the_inflow_unknown():
    zones = compute_zone_hours(hourly({"in1": [10, 10], "in2": [None, 4]}), [IN_1, IN_2])
    assert zones["inflow_m3"].isna().tolist() == [True, False]
    zones = compute_zone_hours(hourly({"in1": [10]}), [IN_1, IN_2])
    assert zones["inflow_m3"].isna().tolist() == [True]


def test_zone_days_average_the_shares_of_inlets_and_of_users_in_service():
    daily = pd.DataFrame(
        {
            "meter_id": pd.array(["in1", "in2", "user"], dtype="str"),
            "day": np.array([DAY] * 3, dtype="datetime64[s]"),
            "volume_m3": [240.0, 100.0, 50.0],
            "lowest_hour_m3": [1.0, 1.0, 1.0],
            "measured_share": [1.0, 0.5, 0.0],
            "estimated_share": [0.0, 0.25, 0.0],
            "missing_share": [0.0, 0.25, 1.0],
        }
    )
    days = compute_zone_days(daily, [IN_1, IN_2, USER], CITY)
    assert list(days.columns) == list(ZONE_DAYS)
    assert days.iloc[0, 2:].tolist() == pytest.approx([340, 50, 1.5 / 3, 0.25 / 3, 1.25 / 3])
    assert days["day"].tolist() == [pd.Timestamp(DAY)]
    gone = replace(USER, in_service_to=datetime(2026, 1, 1, tzinfo=UTC))
    days = compute_zone_days(daily[:2], [IN_1, IN_2, gone], CITY)
    assert days.iloc[0, 4:].tolist() == pytest.approx([0.75, 0.125, 0.125])


def test_a_silent_user_leaves_the_day_of_its_zone_incomplete():
    daily = pd.DataFrame(
        {
            "meter_id": pd.array(["in1"], dtype="str"),
            "day": np.array([DAY], dtype="datetime64[s]"),
            "volume_m3": 240.0,
            "lowest_hour_m3": 1.0,
            "measured_share": 1.0,
            "estimated_share": 0.0,
            "missing_share": 0.0,
        }
    )
    assert compute_zone_days(daily, [IN_1], CITY)["missing_share"].tolist() == [0]
    assert compute_zone_days(daily, [IN_1, USER], CITY)["missing_share"].tolist() == [0.5]


ZONES = [Zone("city", "C"), Zone("z", "Z", "city"), Zone("inner", "I", "z")]
IN_CITY = Meter("in0", "s", MeterRole.ZONE_INLET, zone_id="city")
INNER = Meter("inner", "s", MeterRole.CUSTOMER, user_id="v", zone_id="inner")


def test_users_of_inner_zones_are_users_of_every_zone_around_them():
    meters = [IN_CITY, IN_1, USER, INNER]
    frame = hourly(
        {"in0": [1, 20, 19, 18], "in1": [1, 10, 9, 8], "user": [2] * 4, "inner": [3] * 4}
    )
    hours = compute_zone_hours(frame, meters, ZONES)
    assert hours.groupby("zone_id")["large_use_m3"].first().to_dict() == {"city": 5, "z": 5}
    nights = compute_zone_nights(hours, frame, meters, CITY, ZONES)
    assert nights["net_night_flow_m3_h"].tolist() == [13, 3]
    silent = frame[frame["meter_id"] != "inner"]
    nights = compute_zone_nights(
        compute_zone_hours(silent, meters, ZONES), silent, meters, CITY, ZONES
    )
    assert nights["net_night_flow_m3_h"].isna().all()


def test_users_of_inner_zones_count_in_the_days_of_those_around():
    meters = [IN_CITY, IN_1, USER, INNER]
    ids = ["in0", "in1", "inner", "user"]
    daily = pd.DataFrame(
        {
            "meter_id": pd.array(ids, dtype="str"),
            "day": np.array([DAY] * 4, dtype="datetime64[s]"),
            "volume_m3": [400.0, 240.0, 30.0, 50.0],
            "lowest_hour_m3": 1.0,
            "measured_share": [1.0, 1.0, 0.6, 1.0],
            "estimated_share": 0.0,
            "missing_share": [0.0, 0.0, 0.4, 0.0],
        }
    )
    days = compute_zone_days(daily, meters, CITY, ZONES)
    assert days["zone_id"].tolist() == ["city", "z"]
    assert days["large_use_m3"].tolist() == [80, 80]
    assert days["missing_share"].tolist() == pytest.approx([0.4 / 3, 0.4 / 3])


def nights_of(volumes, meters):
    frame = hourly(volumes)
    return compute_zone_nights(compute_zone_hours(frame, meters), frame, meters, CITY)


def test_the_night_minimum_is_that_of_the_sum_and_users_are_taken_out():
    # 01:00 is no night; sums at 02, 03, 04 are 15, 12, 13; the user takes 5 at 03:00
    volumes = {"in1": [1, 10, 9, 4], "in2": [1, 5, 3, 9], "user": [0, 1, 5, 2]}
    nights = nights_of(volumes, [IN_1, IN_2, USER])
    assert list(nights.columns) == list(ZONE_NIGHTS)
    assert len(nights) == 1
    night = nights.iloc[0]
    assert night["minimum_night_flow_m3_h"] == 12
    assert night["night_use_m3_h"] == 5
    assert night["net_night_flow_m3_h"] == 7
    assert night["measured_share"] == 1
    assert night["start"] == CITY.day_start(DAY) + timedelta(hours=3)
    assert night["day"] == pd.Timestamp(DAY)


def test_estimated_hours_are_no_night_flow():
    nights = nights_of({"in1": [1, 10, (2,), 11]}, [IN_1])
    assert nights["minimum_night_flow_m3_h"].tolist() == [10]
    assert nights["measured_share"].tolist() == pytest.approx([2 / 3])
    nights = nights_of({"in1": [1, None, (2,), None]}, [IN_1])
    assert nights["minimum_night_flow_m3_h"].isna().all()
    assert nights["start"].isna().all()


def test_a_user_without_readings_leaves_the_net_flow_unknown():
    nights = nights_of({"in1": [1, 10, 9, 8], "user": [1, 1, 1, None]}, [IN_1, USER])
    assert nights["minimum_night_flow_m3_h"].tolist() == [8]
    assert nights["net_night_flow_m3_h"].isna().all()
    nights = nights_of({"in1": [1, 10, 9, 8]}, [IN_1, USER])
    assert nights["net_night_flow_m3_h"].isna().all()


def test_a_user_known_for_a_part_of_the_hour_leaves_the_net_flow_unknown():
    meters = [IN_1, USER]
    frame = hourly({"in1": [1, 10, 9, 8], "user": [7, 7, 7, 0.7]})
    partly = (frame["meter_id"] == "user") & (frame["volume_m3"] < 1)
    frame.loc[partly, ["measured_share", "missing_share"]] = [0.1, 0.9]
    nights = compute_zone_nights(compute_zone_hours(frame, meters), frame, meters, CITY)
    assert nights["net_night_flow_m3_h"].isna().all()
    frame.loc[partly, ["estimated_share", "missing_share"]] = [0.9, 0.0]
    nights = compute_zone_nights(compute_zone_hours(frame, meters), frame, meters, CITY)
    assert nights["net_night_flow_m3_h"].tolist() == pytest.approx([7.3])


def test_a_user_whose_meter_is_out_of_service_is_not_waited_for():
    gone = Meter(
        "user", "s", MeterRole.CUSTOMER, zone_id="z", in_service_to=datetime(2026, 1, 1, tzinfo=UTC)
    )
    nights = nights_of({"in1": [1, 10, 9, 8], "user": [None] * 4}, [IN_1, gone])
    assert nights["net_night_flow_m3_h"].tolist() == [8]


def course(flows, zone="z"):
    """ZONE_NIGHTS of consecutive nights that end yesterday, for NOW."""
    days = [DAY - timedelta(days=len(flows) - i) for i in range(len(flows))]
    flows = np.array(flows, dtype=float)
    return pd.DataFrame(
        {
            "zone_id": pd.array([zone] * len(days), dtype="str"),
            "day": np.array(days, dtype="datetime64[s]"),
            "start": pd.DatetimeIndex(
                [CITY.night_bounds(d)[0] for d in days], dtype="datetime64[s, UTC]"
            ),
            "minimum_night_flow_m3_h": flows + 2,
            "night_use_m3_h": 2.0,
            "net_night_flow_m3_h": flows,
            "baseline_m3_h": np.nan,
            "measured_share": 1.0,
        }
    )


def days_with(inflow_m3_h, zone="z"):
    days = [DAY - timedelta(days=i) for i in range(60, 0, -1)]
    return pd.DataFrame(
        {
            "zone_id": pd.array([zone] * 60, dtype="str"),
            "day": np.array(days, dtype="datetime64[s]"),
            "inflow_m3": 24.0 * inflow_m3_h,
            "large_use_m3": 0.0,
            "measured_share": 1.0,
            "estimated_share": 0.0,
            "missing_share": 0.0,
        }
    )


NOW = CITY.day_start(DAY) + timedelta(hours=6)


def judge(flows, *, works=(), inflow=100.0, policy=None):
    return detect_night_flow_rise(
        course(flows), days_with(inflow), works, policy=policy or Policy(), city=CITY, now=NOW
    )


def steady(nights, level=50.0):
    return [level + (0.5 if i % 2 else -0.5) for i in range(nights)]


def test_a_lasting_rise_is_found_with_its_figures():
    # baseline 49.5 (or 50.5) ± 0.5, threshold 5 % of 100 m³/h
    (finding,) = judge(steady(60) + steady(10, 60.0)).findings
    assert finding.subject_id == "z"
    assert finding.since == CITY.night_bounds(DAY - timedelta(days=10))[0]
    assert finding.figures["baseline_m3_h"] == pytest.approx(50, abs=0.5)
    assert finding.figures["rise_m3_h"] == pytest.approx(10, abs=1)
    assert finding.figures["rise_share"] == pytest.approx(0.1, abs=0.01)
    assert finding.thresholds["rise_m3_h"] == pytest.approx(5)


@pytest.mark.parametrize(
    "flows",
    [
        pytest.param(steady(70), id="steady nights"),
        pytest.param(steady(60) + steady(10, 54.0), id="a rise of 4 % of the inflow"),
        pytest.param(steady(60) + steady(3, 70.0), id="a rise of three nights"),
        pytest.param(steady(60) + steady(12, 70.0) + steady(8), id="a rise that was repaired"),
        pytest.param([*steady(60), *steady(10, 40.0)], id="a fall"),
        pytest.param(
            [50 + 8 * np.sin(i) for i in range(60)] + [57 + 8 * np.sin(i) for i in range(10)],
            id="a rise within the spread of the nights",
        ),
    ],
)
def test_nothing_is_said_of(flows):
    evaluation = judge(flows)
    assert evaluation.findings == ()
    assert evaluation.judged == {("z", "")}


def test_a_rise_is_found_until_it_is_over_even_after_many_nights():
    assert judge(steady(40) + steady(80, 60.0)).findings != ()


def test_a_rise_of_four_months_is_the_new_level():
    assert judge(steady(40) + steady(160, 60.0)).findings == ()


def test_nights_of_works_are_left_out():
    flushed = [*steady(60), *steady(6, 70.0)]
    begin = CITY.day_start(DAY - timedelta(days=6))
    works = [Works("z", WorksKind.FLUSHING, begin, CITY.day_start(DAY))]
    assert judge(flushed).findings != ()
    assert judge(flushed, works=works).findings == ()
    elsewhere = [Works("y", WorksKind.FLUSHING, begin, CITY.day_start(DAY))]
    assert judge(flushed, works=elsewhere).findings != ()


def test_few_nights_or_old_nights_are_not_judged():
    assert judge(steady(16)).judged == frozenset()
    old = detect_night_flow_rise(
        course(steady(60)),
        days_with(100),
        [],
        policy=Policy(),
        city=CITY,
        now=NOW + timedelta(days=5),
    )
    assert old.judged == frozenset()


def test_the_baseline_stands_still_during_a_rise():
    nights = add_baseline(
        course(steady(60) + steady(30, 60.0)), days_with(100), [], policy=Policy(), city=CITY
    )
    baseline = nights["baseline_m3_h"].to_numpy()
    assert np.isnan(baseline[:18]).all()
    assert baseline[30:] == pytest.approx(50, abs=0.5)
