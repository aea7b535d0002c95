"""Options of the ECharts charts, from rows to plain dictionaries. Pure: unit tests read them.

Time axes show the city's clock whatever the browser's zone is: an instant is given as the
milliseconds of its wall time read as UTC, and the charts are told to write UTC.
"""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from api.pages.figures import is_known
from api.pages.texts import Texts
from water.columns import (
    BASELINE_M3_H,
    DAY,
    INFLOW_M3,
    LARGE_USE_M3,
    MEASURED_SHARE,
    MINIMUM_NIGHT_FLOW_M3_H,
    NET_NIGHT_FLOW_M3_H,
    START,
    VOLUME_M3,
)
from water.pages import Row

Options = dict[str, Any]
Point = list[float | None]

BLUE = "#0b6e99"
SKY = "#56a3c9"
INK = "#5b6876"
ORANGE = "#d55e00"
AMBER = "#e0a100"
GRID = "#e3e8ed"
FONT = 'Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'

_SHORT_MS = 3 * 86_400_000
"""Of no longer time than this the axis shows hours."""

HOURS_OF_RANGE = {"3d": 72, "14d": 336, "60d": 1440}
"""The ranges of the hourly chart and how many hours each shows."""


def wall_ms(at: datetime, zone: ZoneInfo) -> float:
    """The milliseconds of an instant's wall time in `zone`, read as if it were UTC."""
    return at.astimezone(zone).replace(tzinfo=UTC).timestamp() * 1000


def day_ms(day: date) -> float:
    """The milliseconds of a local midnight, read as if it were UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000


def plan_chart(
    months_m3: Sequence[float],
    days: Sequence[Row],
    year: int,
    projected_m3: float | None,
    texts: Texts,
) -> Options:
    """Cumulative use of a user against its cumulative plan, with the projection to the year's end.

    Args:
        months_m3: the plan in force, twelve volumes, m³; empty when there is no plan.
        days: daily volumes of the user's meters (fields DAILY), any number of meters.
        year: the plan year.
        projected_m3: use projected to the year's end, m³; None when there is no projection.
        texts: the language of the series' names.
    """
    used = _cumulate(days, year)
    series = [_line(texts["used_cumulative"], used, BLUE, width=2.5, area=True)]
    if months_m3:
        plan = _cumulate_plan(months_m3, year)
        line = _line(texts["plan_cumulative"], plan, INK, width=1.5)
        line["markLine"] = _threshold(sum(months_m3), texts["plan_of_year"])
        series.append(line)
    if used and is_known(projected_m3):
        dashed = [used[-1], [day_ms(date(year + 1, 1, 1)), projected_m3]]
        series.append(_line(texts["projection"], dashed, ORANGE, width=2, dashed=True))
    options = _time_chart(series, "m³")
    options["xAxis"] |= {"min": day_ms(date(year, 1, 1)), "max": day_ms(date(year + 1, 1, 1))}
    options["xAxis"]["axisLabel"]["formatter"] = "{yyyy}-{MM}"
    options["xAxis"]["minInterval"] = 28 * 86_400_000
    return options


def hourly_chart(hours: Sequence[Row], zone: ZoneInfo, texts: Texts) -> Options:
    """Hourly use summed over a user's meters; hours that were mostly not measured stand apart.

    An hour of which one meter's volume is unknown has none.

    Args:
        hours: hourly volumes (fields HOURLY), any number of meters.
        zone: the city's zone.
        texts: the language of the series' names.
    """
    by_start: dict[datetime, list[Row]] = {}
    for row in hours:
        by_start.setdefault(row[START], []).append(row)
    measured: list[Point] = []
    estimated: list[Point] = []
    for start, rows in sorted(by_start.items()):
        at = wall_ms(start, zone)
        whole = all(is_known(row[VOLUME_M3]) for row in rows)
        volume = round(sum(row[VOLUME_M3] for row in rows), 3) if whole else None
        solid = all(row[MEASURED_SHARE] >= 0.5 for row in rows)
        measured.append([at, volume if solid else None])
        estimated.append([at, None if solid else volume])
    series = [_line(texts["measured"], measured, BLUE, width=1.5, area=True)]
    if any(value is not None for _, value in estimated):
        series.append(_line(texts["estimated"], estimated, AMBER, width=1.5))
    options = _time_chart(series, "m³/h")
    options["dataZoom"] = [{"type": "inside"}]
    return options


def series_chart(points: Sequence[Row], zone: ZoneInfo, name: str, unit: str) -> Options:
    """A quantity of one meter as it was sent (rows at, value), on an axis that shows its rise."""
    sent = [[wall_ms(row["at"], zone), row["value"]] for row in points if is_known(row["value"])]
    options = _time_chart([_line(name, sent, BLUE, width=1.5)], unit)
    options["yAxis"]["scale"] = True
    options["dataZoom"] = [{"type": "inside"}]
    if sent and sent[-1][0] - sent[0][0] <= _SHORT_MS:
        options["xAxis"]["axisLabel"]["formatter"] = "{MM}-{dd} {HH}:{mm}"
    return options


def inflow_chart(days: Sequence[Row], texts: Texts) -> Options:
    """Net inflow of a zone and its large users' use by day, m³/d."""
    inflow = [_day_point(row, INFLOW_M3) for row in days]
    use = [_day_point(row, LARGE_USE_M3) for row in days]
    return _time_chart(
        [
            _line(texts["inflow"], inflow, BLUE, width=2, area=True),
            _line(texts["large_use"], use, AMBER, width=1.5),
        ],
        "m³/d",
    )


def night_chart(nights: Sequence[Row], texts: Texts) -> Options:
    """Minimum and net night flow of a zone by night with the baseline, m³/h."""
    net = _line(
        texts["net_night_flow"], [_day_point(n, NET_NIGHT_FLOW_M3_H) for n in nights], BLUE, width=2
    )
    minimum = [_day_point(night, MINIMUM_NIGHT_FLOW_M3_H) for night in nights]
    baseline = [_day_point(night, BASELINE_M3_H) for night in nights]
    return _time_chart(
        [
            net,
            _line(texts["minimum_night_flow"], minimum, SKY, width=1.2),
            _line(texts["baseline"], baseline, ORANGE, width=1.5, dashed=True),
        ],
        "m³/h",
    )


def loss_chart(months: Sequence[Row], target: float, texts: Texts) -> Options:
    """Gross loss rate of the city by month in percent, with the target as a line.

    Args:
        months: rows of city rates whose period is a month ("2026-08").
        target: the rate to stay within, a fraction.
        texts: the language of the series' names.
    """
    values = [round(row["gross_rate"] * 100, 2) for row in months]
    bars: dict[str, Any] = {
        "name": texts["gross_rate"],
        "type": "bar",
        "barMaxWidth": 26,
        "itemStyle": {"color": SKY},
        "data": values,
        "markLine": _threshold(round(target * 100, 2), texts["target"], " %"),
    }
    options = _time_chart([bars], "%")
    options["xAxis"] = {
        "type": "category",
        "data": [row["period"] for row in months],
        "axisLabel": {"color": INK, "hideOverlap": True},
        "axisTick": {"show": False},
        "axisLine": {"lineStyle": {"color": GRID}},
    }
    options["yAxis"]["max"] = math.ceil(max([*values, target * 100]) * 1.15)
    options["legend"]["show"] = False
    return options


def _cumulate(days: Sequence[Row], year: int) -> list[Point]:
    """Use from the year's first midnight to the end of each day: [wall ms, m³]."""
    by_day: dict[date, float] = {}
    for row in days:
        by_day[row[DAY]] = by_day.get(row[DAY], 0.0) + (row[VOLUME_M3] or 0.0)
    points: list[Point] = [[day_ms(date(year, 1, 1)), 0.0]] if by_day else []
    total = 0.0
    for day, volume in sorted(by_day.items()):
        total += volume
        points.append([day_ms(day + timedelta(days=1)), round(total, 1)])
    return points


def _cumulate_plan(months_m3: Sequence[float], year: int) -> list[Point]:
    points: list[Point] = [[day_ms(date(year, 1, 1)), 0.0]]
    total = 0.0
    for month, volume in enumerate(months_m3, start=1):
        total += volume
        ends = date(year, month + 1, 1) if month < 12 else date(year + 1, 1, 1)
        points.append([day_ms(ends), round(total, 1)])
    return points


def _day_point(row: Row, name: str) -> Point:
    value = row.get(name)
    return [day_ms(row[DAY]), round(float(value), 2) if is_known(value) else None]  # pyright: ignore[reportArgumentType] (known, so a number)


def _line(
    name: str,
    points: Sequence[Sequence[Any]],
    colour: str,
    *,
    width: float,
    dashed: bool = False,
    area: bool = False,
) -> Options:
    line: Options = {
        "name": name,
        "type": "line",
        "data": list(points),
        "symbol": "none",
        "lineStyle": {"width": width, "type": "dashed" if dashed else "solid"},
        "itemStyle": {"color": colour},
        "connectNulls": False,
    }
    if area:
        line["areaStyle"] = {"opacity": 0.08}
    return line


def _threshold(value: float, label: str, unit: str = "") -> Options:
    return {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": ORANGE, "type": "dashed", "width": 1.2},
        "label": {
            "formatter": f"{label} {value:,.4g}{unit}" if unit else f"{label} {value:,.0f}",
            "position": "insideEndTop",
            "color": ORANGE,
            "backgroundColor": "rgba(255, 255, 255, 0.85)",
            "padding": [2, 4],
        },
        "data": [{"yAxis": value}],
    }


def _time_chart(series: list[Options], unit: str) -> Options:
    return {
        "useUTC": True,
        "animation": False,
        "textStyle": {"fontFamily": FONT},
        "grid": {"left": 8, "right": 34, "top": 44, "bottom": 8, "containLabel": True},
        "legend": {"top": 4, "right": 8, "itemWidth": 18, "textStyle": {"color": INK}},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            ":valueFormatter": "v => v == null ? '–' : "
            f"Number(v).toLocaleString('en-US') + ' {unit}'",
        },
        "xAxis": {
            "type": "time",
            "axisLabel": {"color": INK, "hideOverlap": True, "formatter": "{MM}-{dd}"},
            "axisLine": {"lineStyle": {"color": GRID}},
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "name": unit,
            "nameTextStyle": {"color": INK, "align": "left", "padding": [0, 0, 0, -24]},
            "axisLabel": {"color": INK},
            "splitLine": {"lineStyle": {"color": GRID}},
        },
        "series": series,
    }
