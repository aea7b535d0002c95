"""One zone's page: inflow by day, night flow with its baseline, meters and alerts."""

from dataclasses import dataclass
from datetime import timedelta

from nicegui import ui

from api.pages import alerts, parts
from api.pages.charts import inflow_chart, night_chart
from api.pages.figures import is_known, write_day, write_number, write_percent
from api.pages.frame import NotVisibleError, PageKind
from api.pages.meters import meter_columns
from api.pages.tables import day, number, percent, show_table
from api.pages.visit import Visit
from water.pages import Page, Row

DAYS = 90
"""How many days back the charts and tables go."""


@dataclass(frozen=True, slots=True)
class ZoneFigures:
    """What a zone's page shows; days and nights oldest first."""

    zone: Row
    days: list[Row]
    nights: list[Row]
    meters: Page
    alerts: Page


def load(visit: Visit) -> ZoneFigures:
    """The zone with its last days and nights."""
    context, viewer = visit.context, visit.viewer
    zone = context.registry.zone(viewer, visit.request.path_params["zone_id"])
    if zone is None:
        raise NotVisibleError
    last = context.city.day_of(context.clock.now())
    first = last - timedelta(days=DAYS)
    found = context.registry.alerts(viewer, state="all", subject_id=zone["id"], limit=50)
    return ZoneFigures(
        zone=zone,
        days=context.registry.zone_days(viewer, zone["id"], first, last - timedelta(days=1)),
        nights=context.registry.zone_nights(viewer, zone["id"], first, last),
        meters=context.registry.meters(viewer, zone_id=zone["id"], limit=200),
        alerts=Page([row | {"subject_name": zone["name"]} for row in found.rows]),
    )


def draw(visit: Visit, shown: ZoneFigures) -> None:
    """Figures, both charts, then the tables behind them."""
    texts, zone = visit.texts, shown.zone
    mains = texts.say("zone_mains", km=write_number(zone["mains_km"], 1))
    count = texts.say("zone_connections", count=write_number(zone["connections"]))
    parts.title(zone["name"], f"{texts['zone_id']} {zone['id']}", mains, count)
    _draw_cards(visit, zone, _newest_net_night(shown.nights))
    with parts.columns():
        with parts.panel(texts["inflow_by_day"], "js-half"):
            _draw_inflow(visit, shown)
        with parts.panel(_night_title(visit), "js-half"):
            _draw_nights(visit, shown)
    with parts.panel(texts["alerts"]) as side:
        show_table(visit, "alerts", alerts.columns_of(visit), shown.alerts, side=side)
    _draw_tables(visit, shown)


def _newest_net_night(nights: list[Row]) -> Row:
    """The newest night whose net flow is known; an empty row where there is none."""
    known = (row for row in reversed(nights) if is_known(row["net_night_flow_m3_h"]))
    return next(known, {})


def _draw_cards(visit: Visit, zone: Row, night: Row) -> None:
    texts = visit.texts
    when = f"{texts['latest_night']} {write_day(night.get('day'))}"
    with parts.cards():
        parts.card(texts["inflow"], write_number(zone["inflow_m3"]), "m³", texts["days_30"])
        parts.card(texts["gross_share"], write_percent(zone["gross_loss_share"]), "",
                   texts["gross_share_note"])  # fmt: skip
        flow = write_number(night.get("baseline_m3_h"), 1)
        against = f"{when} · {texts.say('against_baseline', flow=flow)}"
        for key, under in (
            ("minimum_night_flow", when), ("night_use", when), ("net_night_flow", against),
        ):  # fmt: skip
            parts.card(texts[key], write_number(night.get(f"{key}_m3_h"), 1), "m³/h", under)


def _draw_inflow(visit: Visit, shown: ZoneFigures) -> None:
    if not any(is_known(row["inflow_m3"]) for row in shown.days):
        parts.empty(visit.texts["no_data_yet"])
        return
    parts.chart(inflow_chart(shown.days, visit.texts))
    mean = {
        name: sum(row[name] for row in shown.days) / len(shown.days) for name in parts.SHARE_COLOURS
    }
    ui.label(visit.texts["mean_shares"]).classes("js-note")
    parts.shares(mean, visit.texts)


def _draw_nights(visit: Visit, shown: ZoneFigures) -> None:
    if not any(is_known(row["minimum_night_flow_m3_h"]) for row in shown.nights):
        parts.empty(visit.texts["no_data_yet"])
        return
    parts.chart(night_chart(shown.nights, visit.texts))


def _draw_tables(visit: Visit, shown: ZoneFigures) -> None:
    texts = visit.texts
    with parts.columns():
        with parts.panel(texts["inflow_by_day"], "js-half") as side:
            columns = [
                day("day", texts["day"]),
                number("inflow_m3", texts.say("unit_m3", name=texts["inflow"])),
                number("large_use_m3", texts.say("unit_m3", name=texts["large_use"])),
                percent("measured_share", texts["measured"]),
                percent("estimated_share", texts["estimated"]),
                percent("missing_share", texts["missing"]),
            ]
            rows = Page(shown.days[::-1])
            with _scrolled():
                show_table(visit, f"zone_days_{shown.zone['id']}", columns, rows, side=side)
        with parts.panel(_night_title(visit), "js-half") as side:
            columns = [day("day", texts["night_day"])] + [
                number(f"{key}_m3_h", texts.say("unit_m3_h", name=texts[key]), 1)
                for key in ("minimum_night_flow", "night_use", "net_night_flow", "baseline")
            ]
            rows = Page(shown.nights[::-1])
            with _scrolled():
                show_table(visit, f"zone_nights_{shown.zone['id']}", columns, rows, side=side)
    with parts.panel(texts["meters"]) as side, _scrolled():
        show_table(visit, "meters", meter_columns(visit), shown.meters, side=side)


def _night_title(visit: Visit) -> str:
    first, end = visit.context.city.night
    return visit.texts.say("night_flow", window=f"{first:02d}:00–{end:02d}:00")


def _scrolled() -> ui.element:
    return ui.element("div").style("max-height: 420px; overflow: auto")


PAGE = PageKind("zones", load, draw)
