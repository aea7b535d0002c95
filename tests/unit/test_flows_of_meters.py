from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from analytics.flows import detect_continuous_flow, detect_stopped
from water.calendar import WeekdayCalendar
from water.city_time import CityTime
from water.meters import Meter, MeterRole
from water.policy import Policy

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
TODAY = date(2026, 9, 15)  # a Tuesday
NOW = CITY.day_start(TODAY) + timedelta(hours=3)
METER = Meter("m1", "s", MeterRole.CUSTOMER, user_id="u1")


def daily(volumes, lowest, meter_id="m1", measured=1.0):
    """The days before TODAY, oldest first."""
    count = len(volumes)
    days = [TODAY - timedelta(days=count - i) for i in range(count)]
    return pd.DataFrame(
        {
            "meter_id": pd.array([meter_id] * count, dtype="str"),
            "day": np.array(days, dtype="datetime64[s]"),
            "volume_m3": np.array(volumes, dtype=float),
            "lowest_hour_m3": np.array(lowest, dtype=float),
            "measured_share": measured,
            "estimated_share": 0.0,
            "missing_share": 1.0 - np.array(measured),
        }
    )


def judge(frame, meters=(METER,), policy=None):
    return detect_continuous_flow(
        frame,
        list(meters),
        calendar=WeekdayCalendar(),
        city=CITY,
        policy=policy or Policy(),
        now=NOW,
    )


def leak(days, size, *, mean=5.0, before=None, total=200):
    """A user of `mean` m³/h with nights near zero, and a leak of `size` m³/h for `days` days."""
    rng = np.random.default_rng(3)
    low = np.abs(rng.normal(0, 0.03, total)) if before is None else np.array(before, dtype=float)
    extra = np.where(np.arange(total) >= total - days, size, 0.0)
    return daily(24 * (mean + extra), low + extra)


@pytest.mark.parametrize("days", [12, 20, 40])
def test_a_leak_that_runs_day_and_night_is_found(days):
    (finding,) = judge(leak(days, 0.75)).findings
    assert finding.subject_id == "u1"
    assert finding.since == CITY.day_start(TODAY - timedelta(days=days))
    assert finding.figures["days"] == days
    assert finding.figures["rise_m3_h"] == pytest.approx(0.75, abs=0.1)
    assert finding.figures["earlier_mean_m3_h"] == pytest.approx(5)
    assert finding.thresholds["rise_m3_h"] == pytest.approx(0.25)  # 5 % of 5 m³/h


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(leak(0, 0.75), id="nights near zero"),
        pytest.param(leak(6, 0.75), id="a leak of six days"),
        pytest.param(leak(20, 0.2), id="a leak of 4 % of the mean flow"),
        pytest.param(leak(20, 0.09, mean=0.5), id="a leak below 0.1 m3/h"),
        pytest.param(
            leak(0, 0, before=3 + np.random.default_rng(1).normal(0, 0.3, 200)),
            id="steady nights of a hospital",
        ),
        pytest.param(
            leak(0, 0, before=np.where(np.arange(200) % 7 < 5, 3.0, 0.1)),
            id="shifts on workdays",
        ),
        pytest.param(
            leak(0, 0, before=np.r_[np.full(120, 2.0), np.full(65, 0.1), np.full(15, 2.0)]),
            id="a season that returns",
        ),
        pytest.param(
            leak(0, 0, before=2 + np.arange(200) * 0.005), id="nights that grow with the summer"
        ),
    ],
)
def test_nothing_is_said_of(frame):
    evaluation = judge(frame)
    assert evaluation.findings == ()
    assert evaluation.judged == {("u1", "")}


def test_a_day_with_a_gap_at_night_proves_nothing():
    frame = leak(0, 0)
    frame.loc[frame.index[-10:], ["lowest_hour_m3", "measured_share"]] = [3.0, 0.7]
    assert judge(frame).findings == ()


def test_a_leak_that_was_mended_is_over():
    low = np.r_[np.full(150, 0.02), np.full(40, 1.0), np.full(10, 0.02)]
    assert judge(leak(0, 0, before=low)).findings == ()


def test_meters_that_read_daily_or_know_little_are_not_judged():
    slow = Meter("m1", "s", MeterRole.CUSTOMER, user_id="u1", interval_s=86_400)
    assert judge(leak(20, 0.75), [slow]).judged == frozenset()
    assert judge(leak(8, 0.75, total=30)).judged == frozenset()
    inlet = Meter("m1", "s", MeterRole.ZONE_INLET, zone_id="z")
    assert judge(leak(20, 0.75), [inlet]).judged == frozenset()


def newest(hours_ago=1.0, meter_id="m1"):
    at = NOW - timedelta(hours=hours_ago)
    return pd.DataFrame(
        {
            "meter_id": pd.array([meter_id], dtype="str"),
            "at": pd.DatetimeIndex([at], dtype="datetime64[s, UTC]"),
        }
    )


def stopped(volumes, *, hours_ago=1.0, measured=1.0):
    return detect_stopped(
        daily(volumes, np.zeros(len(volumes)), measured=measured),
        newest(hours_ago),
        [METER],
        calendar=WeekdayCalendar(),
        city=CITY,
        policy=Policy(),
        now=NOW,
    )


def test_a_register_that_stands_still_while_readings_go_on_is_found():
    (finding,) = stopped([10] * 80 + [4] + [0] * 5).findings
    assert finding.subject_id == "m1"
    assert finding.since == CITY.day_start(TODAY - timedelta(days=5))
    assert finding.figures["still_h"] == 5 * 24 + 3
    assert finding.figures["counted_h"] == 120
    assert finding.readings_to == NOW - timedelta(hours=1)


def works_on(workday, weekend, days=90):
    return [
        weekend if (TODAY - timedelta(days=days - i)).weekday() >= 5 else workday
        for i in range(days)
    ]


@pytest.mark.parametrize(
    "volumes",
    [
        pytest.param([10] * 90, id="a meter that moves"),
        pytest.param([*[10] * 89, 0], id="one day without water"),
        pytest.param([0] * 90, id="a meter that never moved"),
        pytest.param([10, 0, 0, 0, 0, 0, 0] * 12 + [0] * 6, id="a tank that is filled weekly"),
        pytest.param([*works_on(10, 0)[:-1], 0], id="a weekend and a Monday"),
    ],
)
def test_no_stop_is_said_of(volumes):
    evaluation = stopped(volumes)
    assert evaluation.findings == ()
    assert evaluation.judged == {("m1", "")} or not any(volumes)


def test_weekends_do_not_count_for_a_factory_that_rests_then():
    volumes = works_on(10, 0)
    volumes[-5:] = [0] * 5  # Thursday, Friday, the weekend, Monday
    (finding,) = stopped(volumes).findings
    assert finding.figures["counted_h"] == 72


def test_a_days_batch_that_is_not_there_yet_hides_no_stop():
    late = np.r_[np.ones(85), 0.0]
    (finding,) = stopped([10] * 80 + [0] * 6, measured=late, hours_ago=30).findings
    assert finding.figures["counted_h"] == 120


def test_a_silent_meter_or_a_gap_is_not_judged():
    assert stopped([10] * 80 + [0] * 6, hours_ago=80).judged == frozenset()
    gap = np.r_[np.ones(83), 0.5, 0.5, 0.5]
    assert stopped([10] * 80 + [0] * 6, measured=gap).judged == frozenset()
    assert stopped([10] * 20 + [0] * 6).judged == frozenset()


def test_a_user_is_clear_only_when_all_its_meters_in_service_could_be_judged():
    two = (METER, replace(METER, id="m2"))
    clean = leak(0, 0).assign(meter_id="m2")
    leaking = leak(20, 0.75)
    assert judge(pd.concat([leaking, clean]), two).judged == {("u1", "")}
    gappy = leaking.assign(measured_share=np.where(np.arange(200) >= 195, 0.5, 1.0))
    assert judge(pd.concat([gappy, clean]), two).judged == set()
    assert judge(pd.concat([leaking, clean[:-9]]), two).judged == {("u1", "")}
    retired = (replace(METER, in_service_to=NOW - timedelta(days=9)), two[1])
    assert judge(pd.concat([gappy, clean]), retired).judged == {("u1", "")}
    assert judge(gappy, retired[:1]).judged == set()
    # a user none of whose meters was ever heard is not clear
    assert judge(leaking[:0], two).judged == set()
