"""One meter: what it sent, what is made of it, and what people say about that."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from nicegui import ui

from api.conflicts import load_conflicts
from api.pages import alerts, parts
from api.pages.charts import series_chart
from api.pages.edits import decision_word, edit_columns
from api.pages.figures import write_instant, write_number
from api.pages.frame import NotVisibleError, PageKind
from api.pages.meter_forms import draw_change_form, draw_conflict_form, draw_edit_form
from api.pages.meter_readings import SentDay, draw_sent, load_sent
from api.pages.tables import Column, day, instant, number, percent, show_table, supplier, word
from api.pages.visit import Visit
from api.tables import rows_of
from water.columns import DAY
from water.findings import SubjectKind
from water.pages import Page, Row

DAYS = 30
"""Days back whose readings, volumes and conflicts are shown; the API gives older ones."""
POINTS = 600


@dataclass(frozen=True, slots=True)
class MeterFigures:
    """What a meter's page shows."""

    meter: Row
    series: list[Row]
    days: list[Row]
    edits: Page
    conflicts: list[Row]
    sent: SentDay
    names: Row
    alerts: list[Row]


def load(visit: Visit) -> MeterFigures:
    """The meter with the readings, volumes and conflicts of the last days, and all its edits."""
    context, viewer = visit.context, visit.viewer
    meter = context.registry.meter(viewer, visit.request.path_params["meter_id"])
    if meter is None:
        raise NotVisibleError
    now = context.clock.now()
    start, end, today = (
        now - timedelta(days=DAYS),
        now + timedelta(days=1),
        context.city.day_of(now),
    )
    series = context.readings.series(viewer, meter["id"], "register_m3", start, end, POINTS)
    daily = context.readings.daily(viewer, [meter["id"]], today - timedelta(days=DAYS), today)
    conflicts = load_conflicts(context, viewer, start, end)
    return MeterFigures(
        meter=meter,
        series=rows_of(series),
        days=sorted(rows_of(daily), key=lambda row: row[DAY], reverse=True),
        edits=context.edits.edits(viewer, meter_id=meter["id"], limit=100),
        conflicts=[row for row in conflicts if row["meter_id"] == meter["id"]],
        sent=load_sent(visit, meter["id"]),
        names=_load_names(visit, meter),
        alerts=_load_alerts(visit, meter["id"]),
    )


def _load_names(visit: Visit, meter: Row) -> Row:
    """Names of the meter's user and zone, as far as they are in sight."""
    registry, viewer = visit.context.registry, visit.viewer
    user = registry.user(viewer, meter["user_id"]) if meter["user_id"] else None
    zone = registry.zone(viewer, meter["zone_id"]) if meter["zone_id"] else None
    return {"user": user and user["name"], "zone": zone and zone["name"]}


def _load_alerts(visit: Visit, meter_id: str) -> list[Row]:
    """The open alerts of the meter, newest first."""
    about = visit.context.registry.alerts(visit.viewer, subject_id=meter_id).rows
    rows = [row for row in about if row["subject_kind"] == SubjectKind.METER]
    return alerts.with_subject_names(visit, rows)


def draw(visit: Visit, shown: MeterFigures) -> None:
    """Facts and readings, volumes and verdicts, then what people said."""
    texts, meter = visit.texts, shown.meter
    parts.title(
        texts.say("meter_page", id=meter["id"]), texts.word("meter_role", meter["role"]),
        visit.name_supplier(meter["supplier_id"]),
    )  # fmt: skip
    with parts.columns():
        with parts.panel(texts.say("register_series", days=DAYS), "js-two"):
            _draw_series(visit, shown.series)
        with parts.panel(texts["meters"], "js-third"):
            _draw_facts(visit, meter, shown.names)
    with parts.columns():
        with parts.panel(texts.say("volumes_by_day", days=DAYS), "js-two") as side, _scrolled():
            _draw_days(visit, shown.days, side)
        with parts.panel(texts["verdicts"], "js-third") as side, _scrolled():
            columns = [
                instant("at", texts["measured_at"], visit),
                word("verdict", texts["verdict"], "verdict", visit),
            ]
            show_table(visit, "verdicts", columns, Page(meter["verdicts"]), side=side)
    if shown.alerts:
        with parts.panel(texts["open_alerts"]) as side:
            columns = alerts.columns_of(visit)
            show_table(visit, "alerts", columns, Page(shown.alerts), side=side)
    _draw_said(visit, shown)


def _draw_said(visit: Visit, shown: MeterFigures) -> None:
    texts, meter = visit.texts, shown.meter
    sent, start_edit = ui.element("div").style("width: 100%; min-width: 0"), None
    with parts.panel(texts["edits"]) as side:
        columns = [column for column in edit_columns(visit) if column.key != "meter_id"]
        show_table(visit, "edits", columns, shown.edits, side=side)
        ui.label(texts["edits_rule"]).classes("js-note")
        if visit.viewer.may_edit:
            start_edit = draw_edit_form(visit, meter["id"])
    with sent:
        draw_sent(visit, shown.sent, start_edit)
    with parts.panel(texts.say("conflicts_of_meter", days=DAYS)) as side:
        _draw_conflicts(visit, shown.conflicts, side)
    with parts.panel(texts["changes"]) as side:
        columns = [
            instant("at", texts["at"], visit),
            number("old_final_m3", texts["old_final_m3"], 3),
            number("new_initial_m3", texts["new_initial_m3"], 3),
            Column("reason", texts["reason"], wrap=True),
        ]
        show_table(visit, "meter_changes", columns, Page(meter["changes"]), side=side)
        if visit.viewer.may_edit:
            draw_change_form(visit, meter["id"])
    with parts.panel(texts["devices"]) as side:
        columns = [
            supplier("supplier_id", visit),
            Column("dialect", texts["dialect"]),
            Column("address", texts["address"]),
        ]
        show_table(visit, "devices", columns, Page(meter["devices"]), side=side)


def _draw_series(visit: Visit, series: list[Row]) -> None:
    if not series:
        parts.empty(visit.texts["no_data_yet"])
        return
    parts.chart(series_chart(series, visit.zone, visit.texts["register_m3"], "m³"))
    ui.label(visit.texts["sent_note"]).classes("js-note")


def _draw_facts(visit: Visit, meter: Row, names: Row) -> None:
    texts = visit.texts
    user, zone = meter["user_id"] or "–", meter["zone_id"] or "–"
    links: dict[str, str] = {}
    if names["user"]:
        links[texts["user_id"]] = f"/users/{quote(user, safe='')}"
    if names["zone"]:
        links[texts["zone"]] = f"/zones/{quote(zone, safe='')}"
    parts.facts(
        {
            texts["serial"]: meter["serial"] or "–",
            texts["user_id"]: f"{names['user']} ({user})" if names["user"] else user,
            texts["zone"]: f"{names['zone']} ({zone})" if names["zone"] else zone,
            texts["q3"]: write_number(meter["q3_m3_h"], 1),
            texts["modulus"]: write_number(meter["modulus_m3"]),
            texts["interval"]: write_number(meter["interval_s"] / 60),
            texts["in_service"]: write_instant(meter["in_service_from"], visit.zone),
            texts["out_of_service"]: write_instant(meter["in_service_to"], visit.zone),
        },
        links,
    )


def _draw_days(visit: Visit, days: list[Row], side: ui.element) -> None:
    texts = visit.texts
    columns = [
        day("day", texts["day"]),
        number("volume_m3", texts["volume_m3"], 2),
        percent("measured_share", texts["measured"]),
        percent("estimated_share", texts["estimated"]),
        percent("missing_share", texts["missing"]),
    ]
    show_table(visit, "volumes", columns, Page(days), side=side)


def _draw_conflicts(visit: Visit, conflicts: list[Row], side: ui.element) -> None:
    texts = visit.texts
    columns = [
        instant("at", texts["measured_at"], visit),
        word("quantity", texts["quantity"], "quantity", visit),
        number("kept", texts["kept"], 3),
        number("offered", texts["offered"], 3),
        Column("decision", texts["decision"], lambda row: decision_word(visit, row)),
        Column("decided_by", texts["decided_by"]),
        Column("reason", texts["reason"], wrap=True),
    ]
    show_table(visit, "conflicts", columns, Page(conflicts), side=side)
    if conflicts and visit.viewer.may_edit:
        draw_conflict_form(visit, conflicts)


def _scrolled() -> ui.element:
    return ui.element("div").style("max-height: 420px; overflow: auto")


PAGE = PageKind("users", load, draw)
