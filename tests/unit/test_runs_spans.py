from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from runs.spans import Span, far_spans, plan_days, plan_spans, reach_days, rows_a_day
from water.city_time import CityTime
from water.meters import Meter, MeterRole

CITY = CityTime(ZoneInfo("Asia/Shanghai"))


def meter(meter_id, interval_s=900):
    return Meter(meter_id, "S1", MeterRole.CUSTOMER, interval_s=interval_s)


def touched(*pairs):
    days = pd.to_datetime([day for _, day in pairs]).astype("datetime64[s]")
    return pd.DataFrame({"meter_id": [m for m, _ in pairs], "day": days})


def known(*meters):
    return {m.id: m for m in meters}


@pytest.mark.parametrize(
    ("interval_s", "reach", "rows"),
    [(60, 1, 1440), (3600, 1, 24), (21_600, 2, 24), (86_400, 8, 24)],
)
def test_the_reach_is_the_time_of_eight_readings_in_whole_days(interval_s, reach, rows):
    assert reach_days(meter("A", interval_s)) == reach
    assert rows_a_day(meter("A", interval_s)) == rows


def test_meters_touched_on_the_same_days_share_a_span():
    days = touched(*((m, f"2026-01-{day}") for m in "AB" for day in (10, 12)))
    (span,) = plan_spans(days, known(meter("A"), meter("B")), rows=1_000_000)
    assert span.meter_ids == ("A", "B")
    assert (span.first, span.last) == (date(2026, 1, 10), date(2026, 1, 12))
    assert span.saved == (date(2026, 1, 9), date(2026, 1, 13))
    assert span.loaded == (date(2026, 1, 8), date(2026, 1, 14))


def test_a_late_day_of_another_season_does_not_pull_the_year_between_in():
    days = touched(("A", "2025-02-03"), ("A", "2026-01-05"))
    spans = plan_spans(days, known(meter("A")), rows=1_000_000)
    assert sorted((s.first, s.last) for s in spans) == [
        (date(2025, 2, 3), date(2025, 2, 3)),
        (date(2026, 1, 5), date(2026, 1, 5)),
    ]


def test_an_unknown_meter_is_left_out():
    assert plan_spans(touched(("X", "2026-01-05")), known(meter("A")), rows=1000) == []


def test_a_year_of_two_thousand_meters_is_planned_in_bounded_spans():
    meters = [meter(f"M{i:04}") for i in range(2000)]
    days = plan_days(meters, date(2025, 9, 1), date(2026, 8, 31))
    spans = plan_spans(days, known(*meters), rows=1_000_000)
    assert max(len(s.meter_ids) * s.rows_a_meter for s in spans) <= 1_000_000
    covered = sum(len(s.meter_ids) * ((s.last - s.first).days + 1) for s in spans)
    assert covered == 2000 * 365


def readings(*rows):
    return pd.DataFrame(
        {
            "meter_id": [m for m, _, _ in rows],
            "at": pd.to_datetime([at for _, at, _ in rows], utc=True).astype("datetime64[s, UTC]"),
            "register_m3": [register for _, _, register in rows],
        }
    )


def at(day, hour=12):
    return datetime(2026, 1, day, hour, tzinfo=UTC) - timedelta(hours=8)


def test_a_meter_whose_neighbours_lie_beyond_the_reach_is_widened_to_them():
    day = date(2026, 1, 15)
    span = Span(("A", "B", "C", "D"), day, day, reach=1, per_day=96)
    frame = readings(
        ("A", at(14), 1.0), ("A", at(15), 2.0), ("A", at(16), 3.0),
        ("B", at(3), 1.0), ("B", at(15), 2.0),
        ("C", at(15), 2.0), ("C", at(20), 3.0),
        ("D", at(3), 1.0), ("D", at(14), float("nan")), ("D", at(15), 2.0), ("D", at(20), 3.0),
    )  # fmt: skip
    wide = {s.meter_ids: (s.first.day, s.last.day) for s in far_spans(frame, span, CITY)}
    assert wide == {("B",): (3, 15), ("C",): (15, 20), ("D",): (3, 20)}
