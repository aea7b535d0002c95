"""The options of the charts, worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from api.pages import charts
from api.pages.texts import Texts

SHANGHAI = ZoneInfo("Asia/Shanghai")
TEXTS = Texts("en")


def ms(*instant):
    return datetime(*instant, tzinfo=UTC).timestamp() * 1000


def series(options):
    return {line["name"]: line["data"] for line in options["series"]}


def hour(start, volume, measured=1.0, meter="M1"):
    return {"meter_id": meter, "start": start, "volume_m3": volume, "measured_share": measured}


def test_an_instant_stands_on_the_axis_at_its_wall_time():
    at = datetime(2026, 9, 14, 16, 0, tzinfo=UTC)
    assert charts.wall_ms(at, SHANGHAI) == ms(2026, 9, 15)


def test_use_is_cumulated_over_all_meters_to_the_end_of_each_day():
    days = [
        {"meter_id": "M1", "day": date(2026, 1, 1), "volume_m3": 10.0},
        {"meter_id": "M2", "day": date(2026, 1, 1), "volume_m3": 5.0},
        {"meter_id": "M1", "day": date(2026, 1, 2), "volume_m3": None},
        {"meter_id": "M2", "day": date(2026, 1, 2), "volume_m3": 1.0},
    ]
    options = charts.plan_chart([31.0] + [0.0] * 11, days, 2026, 40.0, TEXTS)
    assert series(options)["Used"] == [
        [ms(2026, 1, 1), 0.0],
        [ms(2026, 1, 2), 15.0],
        [ms(2026, 1, 3), 16.0],
    ]
    assert series(options)["Plan"][1] == [ms(2026, 2, 1), 31.0]
    assert series(options)["Projection"] == [[ms(2026, 1, 3), 16.0], [ms(2027, 1, 1), 40.0]]


def test_the_plan_of_the_year_is_drawn_as_a_line_at_its_sum():
    options = charts.plan_chart([100.0] * 12, [], 2026, None, TEXTS)
    plan = next(line for line in options["series"] if line["name"] == "Plan")
    assert plan["markLine"]["data"] == [{"yAxis": 1200.0}]
    assert "Projection" not in series(options)


@pytest.mark.parametrize(("hours", "shown"), [(24, True), (24 * 30, False)])
def test_the_axis_of_a_register_shows_hours_where_it_is_short(hours, shown):
    begin = datetime(2026, 9, 1, tzinfo=UTC)
    points = [{"at": begin, "value": 1.0}, {"at": begin + timedelta(hours=hours), "value": 2.0}]
    options = charts.series_chart(points, SHANGHAI, "Register", "m³")
    assert ("{HH}:{mm}" in options["xAxis"]["axisLabel"]["formatter"]) is shown


def test_an_estimated_hour_stands_apart_from_the_measured_ones():
    first, second = (datetime(2026, 9, 14, h, tzinfo=UTC) for h in (16, 17))
    options = charts.hourly_chart([hour(second, 3.0, 0.0), hour(first, 2.0)], SHANGHAI, TEXTS)
    midnight, one = ms(2026, 9, 15), ms(2026, 9, 15, 1)
    assert series(options)["measured"] == [[midnight, 2.0], [one, None]]
    assert series(options)["estimated"] == [[midnight, None], [one, 3.0]]


def test_an_hour_with_an_unknown_meter_is_a_gap():
    start = datetime(2026, 9, 14, 16, tzinfo=UTC)
    options = charts.hourly_chart(
        [hour(start, 2.0), hour(start, None, meter="M2")], SHANGHAI, TEXTS
    )
    assert series(options) == {"measured": [[ms(2026, 9, 15), None]]}


def test_a_night_without_baseline_leaves_a_gap_in_the_baseline():
    night = {
        "day": date(2026, 9, 15), "minimum_night_flow_m3_h": 31.5,
        "net_night_flow_m3_h": 22.0, "baseline_m3_h": float("nan"),
    }  # fmt: skip
    lines = series(charts.night_chart([night], TEXTS))
    assert lines["Baseline"] == [[ms(2026, 9, 15), None]]
    assert lines["Net night flow"] == [[ms(2026, 9, 15), 22.0]]


def test_the_loss_chart_has_the_target_as_a_line_below_its_top():
    months = [
        {"period": "2026-07", "gross_rate": 0.0712},
        {"period": "2026-08", "gross_rate": 0.08},
    ]
    options = charts.loss_chart(months, 0.085, TEXTS)
    (bars,) = options["series"]
    assert bars["data"] == [7.12, 8.0]
    assert bars["markLine"]["data"] == [{"yAxis": 8.5}]
    assert options["yAxis"]["max"] == 10
    assert options["xAxis"]["data"] == ["2026-07", "2026-08"]
