"""The list of zones with their latest night and the balance of their last days."""

from urllib.parse import quote

from nicegui import ui

from api.pages import parts
from api.pages.frame import PageKind
from api.pages.tables import Column, day, number, percent, show_table
from api.pages.visit import Visit
from water.pages import Page

PAGE_ROWS = 100


def columns_of(visit: Visit) -> list[Column]:
    """Every column of the list."""
    texts = visit.texts

    def flow(key: str, name: str) -> Column:
        return number(key, texts.say("unit_m3_h", name=texts[name]), 1)

    def volume(key: str, name: str) -> Column:
        return number(key, texts.say("last_30_days", name=texts[name]))

    return [
        Column("id", texts["zone_id"]),
        Column("name", texts["zone_name"], href=lambda row: f"/zones/{quote(row['id'], safe='')}"),
        volume("inflow_m3", "inflow"),
        volume("large_use_m3", "large_use"),
        percent("gross_loss_share", texts["gross_share"]),
        day("night_day", texts["night_day"]),
        flow("minimum_night_flow_m3_h", "minimum_night_flow"),
        flow("night_use_m3_h", "night_use"),
        flow("net_night_flow_m3_h", "net_night_flow"),
        flow("baseline_m3_h", "baseline"),
        number("mains_km", texts["mains_km"], 1),
        number("connections", texts["connections"]),
        number("pressure_mpa", texts["pressure"], 2),
    ]


def load(visit: Visit) -> Page:
    """One page of the zones."""
    return _fetch(visit, visit.query("cursor") or None)


def draw(visit: Visit, page: Page) -> None:
    """The table."""
    texts = visit.texts
    parts.title(texts["zones"])
    with parts.panel(texts["zone_balance"]) as side:
        show_table(
            visit, "zones", columns_of(visit), page,
            fetch=lambda cursor: _fetch(visit, cursor), side=side,
        )  # fmt: skip
        ui.label(texts["gross_share_note"]).classes("js-note")


def _fetch(visit: Visit, cursor: str | None) -> Page:
    return visit.context.registry.zones(visit.viewer, cursor=cursor, limit=PAGE_ROWS)


PAGE = PageKind("zones", load, draw)
