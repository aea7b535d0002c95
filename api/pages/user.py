"""One user's page: use against plan, hourly use, plan by month, meters and alerts."""

from dataclasses import dataclass
from datetime import date, timedelta

from nicegui import run, ui

from api.pages import alerts, parts
from api.pages.charts import HOURS_OF_RANGE, hourly_chart, plan_chart
from api.pages.figures import is_known, write_day, write_instant, write_number, write_percent
from api.pages.frame import NotVisibleError, PageKind
from api.pages.meters import meter_columns
from api.pages.tables import Column, number, percent, show_table
from api.pages.visit import Visit, reopen
from api.tables import rows_of
from water.columns import DAY, VOLUME_M3
from water.pages import Page, Row

MOST_METERS_ASKED = 20
"""Alerts are looked up for so many of a user's meters."""


@dataclass(frozen=True, slots=True)
class UserFigures:
    """What a user's page shows."""

    user: Row
    year: int
    plan: Row | None
    status: Row | None
    days: list[Row]
    hours: list[Row]
    alerts: list[Row]


def load(visit: Visit) -> UserFigures:
    """The user with this year's plan, daily volumes and the last 14 days by hour."""
    context, viewer = visit.context, visit.viewer
    user = context.registry.user(viewer, visit.request.path_params["user_id"])
    if user is None:
        raise NotVisibleError
    today = context.city.day_of(context.clock.now())
    meter_ids = [meter["id"] for meter in user["meters"]]
    return UserFigures(
        user=user,
        year=today.year,
        plan=next((p for p in user["plans"] if p["year"] == today.year), None),
        status=next((s for s in user["plan_status"] if s["year"] == today.year), None),
        days=rows_of(context.readings.daily(viewer, meter_ids, date(today.year, 1, 1), today)),
        hours=_load_hours(visit, meter_ids, "14d"),
        alerts=_load_alerts(visit, [user["id"], *meter_ids[:MOST_METERS_ASKED]]),
    )


def _load_alerts(visit: Visit, subject_ids: list[str]) -> list[Row]:
    """Alerts about the user itself and its meters, newest first."""
    found = [
        row
        for subject_id in subject_ids
        for row in visit.context.registry.alerts(
            visit.viewer, state="all", subject_id=subject_id, limit=20
        ).rows
    ]
    found.sort(key=lambda row: row["opened_at"], reverse=True)
    return alerts.with_subject_names(visit, found)


def draw(visit: Visit, shown: UserFigures) -> None:
    """Figures of the year, both charts, then the tables."""
    texts, user = visit.texts, shown.user
    sector = texts.word("sector", user["sector"])
    parts.title(user["name"], f"{texts['user_id']} {user['id']}", sector, user["township"])
    _draw_cards(visit, shown)
    with parts.columns():
        with parts.panel(texts.say("use_against_plan", year=shown.year), "js-two"):
            _draw_plan_chart(visit, shown)
        with parts.panel(texts["plan_table"], "js-third") as side:
            _draw_months(visit, shown, side)
    with parts.panel(texts["hourly_use"]) as side:
        _draw_hours(visit, shown, side)
    with parts.panel(texts["meters"]) as side:
        show_table(visit, "meters", meter_columns(visit), Page(user["meters"]), side=side)
    with parts.panel(texts["alerts"]) as side:
        columns = alerts.columns_of(visit)
        show_table(visit, "alerts", columns, Page(shown.alerts), side=side)


def _draw_cards(visit: Visit, shown: UserFigures) -> None:
    texts, status = visit.texts, shown.status
    if status is None:
        parts.empty(texts["no_plan" if shown.plan is None else "no_data_yet"])
        return
    as_of = f"{texts['as_of']} {write_instant(status['as_of'], visit.zone)}"
    to_date = texts.say("plan_to_date", volume=write_number(status["plan_to_date_m3"]))
    over = status["used_m3"] > status["plan_m3"]
    heading = (status["projected_rate"] or 0) > 1
    with parts.cards():
        parts.card(texts["used_cumulative"], write_number(status["used_m3"]), "m³", as_of,
                   tone="bad" if over else "")  # fmt: skip
        parts.card(texts["plan_of_year"], write_number(status["plan_m3"]), "m³",
                   to_date)  # fmt: skip
        parts.card(texts["use_rate"], write_percent(status["use_rate"]), "",
                   texts["plan_execution_note"])  # fmt: skip
        parts.card(texts["projection"], write_number(status["projected_m3"]), "m³",
                   f"{texts['projected_rate']} {write_percent(status['projected_rate'])}",
                   tone="bad" if heading else "")  # fmt: skip
        with ui.element("div").classes("js-card"):
            ui.label(texts["level"]).classes("js-name")
            level = status["level"]
            word = texts.word("severity", level) if level else texts["no_level"]
            with ui.row():
                parts.badge(word, level or "good")


def _draw_plan_chart(visit: Visit, shown: UserFigures) -> None:
    texts, status = visit.texts, shown.status
    if not shown.days and shown.plan is None:
        parts.empty(texts["no_data_yet"])
        return
    months = shown.plan["months_m3"] if shown.plan else []
    projected = status["projected_m3"] if status else None
    chart = parts.chart(plan_chart(months, shown.days, shown.year, projected, texts))
    chart.classes("js-tall")
    if status:
        ui.label(texts["quality"]).classes("js-note")
        parts.shares(status, texts)


def _draw_months(visit: Visit, shown: UserFigures, side: ui.element) -> None:
    texts, plan = visit.texts, shown.plan
    if plan is None:
        parts.empty(texts["no_plan"])
        return
    used = _month_volumes(shown.days)
    rows = [
        {
            "month": f"{shown.year}-{month:02d}",
            "plan_m3": volume,
            "used_m3": used.get(month),
            "rate": used[month] / volume if volume and month in used else None,
        }
        for month, volume in enumerate(plan["months_m3"], start=1)
    ]
    columns = [
        Column("month", texts["month"]),
        number("plan_m3", texts["month_plan"]),
        number("used_m3", texts["month_used"]),
        percent("rate", texts["month_rate"]),
    ]
    show_table(visit, "plan", columns, Page(rows), side=side)
    issued = texts.say("issued", by=plan["issued_by"], on=write_day(plan["issued_on"]))
    version = texts.say("version", version=plan["version"])
    ui.label(f"{version} · {issued}" if plan["issued_by"] else version).classes("js-note")


def _month_volumes(days: list[Row]) -> dict[int, float]:
    volumes: dict[int, float] = {}
    for row in days:
        if is_known(row[VOLUME_M3]):
            month = row[DAY].month
            volumes[month] = volumes.get(month, 0.0) + row[VOLUME_M3]
    return volumes


def _draw_hours(visit: Visit, shown: UserFigures, side: ui.element) -> None:
    texts = visit.texts
    if not any(is_known(row[VOLUME_M3]) for row in shown.hours):
        parts.empty(texts["no_data_yet"])
        return
    meter_ids = [meter["id"] for meter in shown.user["meters"]]
    chart = parts.chart(hourly_chart(shown.hours, visit.zone, texts))

    async def change(range_name: str) -> None:
        hours = await run.io_bound(_load_hours_now, visit, meter_ids, range_name)
        if hours is None:  # also while the server stops
            ui.navigate.to(visit.address())
            return
        chart.options.clear()
        chart.options.update(hourly_chart(hours, visit.zone, texts))

    with side:
        ui.toggle(
            {name: texts[f"range.{name}"] for name in HOURS_OF_RANGE},
            value="14d",
            on_change=lambda event: change(event.value),
        ).props("dense no-caps unelevated").classes("js-toggle")


def _load_hours_now(visit: Visit, meter_ids: list[str], range_name: str) -> list[Row] | None:
    """The hours for who is logged in by now; None when these are not theirs to see any more."""
    now = reopen(visit)
    try:
        return None if now is None else _load_hours(now, meter_ids, range_name)
    except KeyError:  # a meter has gone out of sight since
        return None


def _load_hours(visit: Visit, meter_ids: list[str], range_name: str) -> list[Row]:
    end = visit.context.clock.now()
    start = end - timedelta(hours=HOURS_OF_RANGE[range_name])
    return rows_of(visit.context.readings.hourly(visit.viewer, meter_ids, start, end))


PAGE = PageKind("users", load, draw)
