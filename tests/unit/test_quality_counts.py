from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from analytics.quality import DELAYS, compute_arrivals, detect_backward, detect_refused
from water.city_time import CityTime
from water.meters import Meter, MeterRole
from water.readings import Quality

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
DAY = date(2026, 3, 2)
T0 = CITY.day_start(DAY)
NOW = datetime(2026, 3, 20, tzinfo=UTC)


def checked(rows, delays_s=(), quality=()):
    """(meter, hours after T0, verdict) rows; they arrive at once unless delays are given."""
    at = [T0 + timedelta(hours=h) for _, h, _ in rows]
    delays = [timedelta(seconds=s) for s in delays_s] or [timedelta()] * len(at)
    received = [instant + delay for instant, delay in zip(at, delays, strict=True)]
    return pd.DataFrame(
        {
            "meter_id": pd.array([m for m, _, _ in rows], dtype="str"),
            "at": pd.DatetimeIndex(at, dtype="datetime64[s, UTC]"),
            "received_at": pd.DatetimeIndex(received, dtype="datetime64[s, UTC]"),
            "quality": pd.array(quality or [0] * len(at), dtype="int64"),
            "verdict": pd.array([v for _, _, v in rows], dtype="str"),
        }
    )


def test_arrivals_count_what_was_expected_received_and_valid():
    meter = Meter("m1", "s1", MeterRole.CUSTOMER, interval_s=3600)
    rows = [("m1", h, "good") for h in range(20)] + [("m1", 20, "spike"), ("m1", 24, "backward")]
    frame = compute_arrivals(checked(rows), [meter], DAY, DAY + timedelta(days=1), CITY)
    counts = ["meter_id", "day", "expected", "received", "valid", *DELAYS]
    assert list(frame.columns) == counts
    assert frame[["expected", "received", "valid"]].to_numpy().tolist() == [
        [24, 21, 20],
        [24, 1, 0],
    ]


def test_the_delays_of_a_day_are_those_of_readings_that_bear_their_own_time():
    meters = [Meter(m, "s1", MeterRole.CUSTOMER) for m in ("m1", "m2", "m3")]
    rows = [("m1", hour, "good") for hour in range(20)] + [("m1", 25, "good")]
    rows += [("m2", 1, "good"), ("m2", 2, "good"), ("m3", 1, "good")]
    delays = [*range(19, -1, -1), 900, 0, 60, 0]
    assumed = [0] * 21 + [Quality.CLOCK_ASSUMED, 0, Quality.CLOCK_ASSUMED]
    frame = compute_arrivals(checked(rows, delays, assumed), meters, DAY, DAY, CITY)
    found = frame.set_index("meter_id")[list(DELAYS)]
    assert found.loc["m1"].tolist() == [0, 9, 18, 19], "10th and 19th of 20"
    assert found.loc["m2"].tolist() == [60] * 4
    assert found.loc["m3"].isna().all()


def test_a_reading_of_a_file_is_received_and_has_no_delay():
    meters = [Meter(m, "s1", MeterRole.CUSTOMER) for m in ("m1", "m2")]
    rows = [("m1", 1, "good"), ("m1", 2, "good"), ("m2", 1, "good")]
    said = [Quality.HISTORY, 0, Quality.HISTORY | Quality.LOW_BATTERY]
    frame = compute_arrivals(checked(rows, [400_000, 5, 400_000], said), meters, DAY, DAY, CITY)
    found = frame.set_index("meter_id")
    assert found["received"].tolist() == [2, 1]
    assert found.loc["m1", list(DELAYS)].tolist() == [5] * 4
    assert found.loc["m2", list(DELAYS)].isna().all()


def test_1398_of_1440_is_97_percent():
    meter = Meter("m1", "s1", MeterRole.CUSTOMER, interval_s=60)
    rows = [("m1", i / 60, "good") for i in range(1_398)]
    frame = compute_arrivals(checked(rows), [meter], DAY, DAY, CITY)
    rate = frame["received"].sum() / frame["expected"].sum()
    assert 100 * rate == pytest.approx(97.0833, abs=1e-4)


def test_nothing_is_expected_of_a_meter_out_of_service():
    late = Meter("m1", "s1", MeterRole.CUSTOMER, in_service_from=T0 + timedelta(hours=36))
    frame = compute_arrivals(checked([]), [late], DAY, DAY + timedelta(days=1), CITY)
    assert frame["day"].tolist() == [pd.Timestamp(DAY + timedelta(days=1))]
    assert frame["expected"].tolist() == [12]


def test_a_meter_that_runs_backwards_is_found_and_the_others_are_clear():
    meters = [Meter(m, "s1", MeterRole.CUSTOMER) for m in ("m1", "m2")]
    rows = [("m1", 1, "backward"), ("m1", 3, "backward"), ("m2", 2, "spike")]
    evaluation = detect_backward(checked(rows), meters, now=NOW)
    assert evaluation.judged == {("m1", ""), ("m2", "")}
    (finding,) = evaluation.findings
    assert finding.subject_id == "m1"
    assert finding.since == T0 + timedelta(hours=1)
    assert finding.figures["backward_readings"] == 2


def test_a_backward_reading_is_forgotten_after_30_days():
    meters = [Meter("m1", "s1", MeterRole.CUSTOMER)]
    now = T0 + timedelta(days=30, hours=2)
    assert detect_backward(checked([("m1", 1, "backward")]), meters, now=now).findings == ()
    assert detect_backward(checked([("m1", 3, "backward")]), meters, now=now).findings != ()


@pytest.mark.parametrize(
    ("decoded", "undecodable", "quarantined", "found"),
    [
        pytest.param(1_000, 30, 30, True, id="60 of 1030 is too much"),
        pytest.param(1_000, 0, 50, False, id="5 % is not above 5 %"),
        pytest.param(1_000, 0, 51, True, id="5.1 % is"),
        pytest.param(100, 19, 0, False, id="fewer than 20 are no finding"),
        pytest.param(0, 20, 0, True, id="all garbage is a finding"),
    ],
)
def test_a_supplier_is_told_when_too_much_is_refused(decoded, undecodable, quarantined, found):
    counts = {"s1": {"decoded": decoded, "undecodable": undecodable, "quarantined": quarantined}}
    evaluation = detect_refused(counts, now=NOW)
    assert bool(evaluation.findings) == found
    assert evaluation.judged == {("s1", "")}


def test_a_supplier_that_sent_little_is_not_judged():
    assert detect_refused({"s1": {"decoded": 3, "undecodable": 2}}, now=NOW).judged == frozenset()


def test_what_is_refused_is_told_of_the_last_day():
    before = {"s1": {"decoded": 1_000, "undecodable": 500, "quarantined": 0}}
    better = {"s1": {"decoded": 2_000, "undecodable": 500, "quarantined": 0}}
    evaluation = detect_refused(better, before, now=NOW)
    assert (evaluation.judged, evaluation.findings) == ({("s1", "")}, ())
    worse = {"s1": {"decoded": 1_100, "undecodable": 500, "quarantined": 25}}
    (finding,) = detect_refused(worse, before, now=NOW).findings
    assert finding.figures["refused_share"] == 0.25
    assert detect_refused(before, before, now=NOW).judged == frozenset()
    begun_anew = {"s1": {"decoded": 50, "undecodable": 25}}
    assert detect_refused(begun_anew, before, now=NOW).findings[0].figures["decoded"] == 50


def test_nobody_is_no_supplier():
    evaluation = detect_refused({"?": {"undecodable": 20}}, now=NOW)
    assert (evaluation.judged, evaluation.findings) == (frozenset(), ())
