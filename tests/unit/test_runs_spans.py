from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from runs.spans import Span, plan_days, plan_spans, reach_days, rows_a_day, widened
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


DAY = date(2026, 1, 15)
SPAN = Span(("A",), DAY, DAY, reach=1, per_day=96)
EVERY_SIX_HOURS = [(day, hour) for day in range(10, 21) for hour in (0, 6, 12, 18)]


def judged(*rows, meter_id="A"):
    """(day of January, local hour, verdict) of readings with a register."""
    at = [datetime(2026, 1, day, tzinfo=UTC) + timedelta(hours=hour - 8) for day, hour, _ in rows]
    return pd.DataFrame(
        {
            "meter_id": meter_id,
            "at": pd.to_datetime(at).astype("datetime64[s, UTC]"),
            "register_m3": 1.0,
            "verdict": [verdict for *_, verdict in rows],
        }
    )


def between(first, last, verdict="good"):
    """Readings every six hours from one day of January to another, both included."""
    return [(day, hour, verdict) for day, hour in EVERY_SIX_HOURS if first <= day <= last]


@pytest.mark.parametrize(
    ("rows", "reach"),
    [
        pytest.param(between(12, 18), None, id="four readings that count on each day are enough"),
        pytest.param(between(15, 15), None, id="all that there is is enough"),
        pytest.param(
            [*between(10, 11), *between(15, 18)], 3, id="the reading before a gap lies further back"
        ),
        pytest.param(
            [*between(12, 15), *between(19, 20)], 3, id="the reading after a gap lies further on"
        ),
        pytest.param(
            [*between(10, 13), *between(14, 14, "stuck"), *between(15, 18)], 3,
            id="what is passed over doesn't count",
        ),
        pytest.param(
            [*between(12, 13), *between(14, 14, "backward"), *between(15, 18)], 3,
            id="a doubtful reading has a say for days",
        ),
        pytest.param(
            [*between(12, 13), *between(14, 14, "clock_off"), *between(15, 18)], None,
            id="a clock that is off says nothing of the register",
        ),
    ],
)  # fmt: skip
def test_a_meter_is_loaded_as_far_as_readings_have_a_say(rows, reach):
    wider = widened(judged(*rows), SPAN, CITY)
    assert (wider and wider.reach) == reach


def test_the_reach_doubles_until_it_is_enough_and_the_other_meters_stay():
    gap = judged(*between(10, 10), *between(15, 18))
    frame = pd.concat([gap, judged(*between(12, 18), meter_id="B")])
    wider = widened(frame, replace(SPAN, meter_ids=("A", "B")), CITY)
    assert wider == replace(SPAN, reach=3)
    wider = widened(gap, wider, CITY)
    assert wider == replace(SPAN, reach=6)
    assert widened(gap, wider, CITY) is None


def test_a_doubtful_reading_wants_eight_around_it():
    frame = judged((10, 0, "good"), *between(12, 14), (15, 0, "spike"), *between(15, 18)[1:])
    wider = widened(frame, replace(SPAN, reach=3), CITY)
    assert wider is None
    few = judged((5, 0, "good"), *between(13, 14), (15, 0, "spike"), *between(15, 18)[1:])
    assert widened(few, replace(SPAN, reach=3), CITY) == replace(SPAN, reach=6)
