"""The utility's billing reads beside our volumes; what is beyond the tolerance first."""

from datetime import date, timedelta

from nicegui import ui

from api.billing import load_billing
from api.pages import parts
from api.pages.edits import meter_address
from api.pages.frame import PageKind
from api.pages.tables import Column, day, number, percent, show_table
from api.pages.visit import Visit
from water.pages import Page, Row

DAYS = 92
"""Periods that touch so many days back are shown; the API gives others."""
TONES = {"beyond": "warning", "incomplete": "plain", "within": "good"}


def load(visit: Visit) -> list[Row]:
    """The billed periods of the last days."""
    today: date = visit.context.city.day_of(visit.context.clock.now())
    return load_billing(visit.context, visit.viewer, today - timedelta(days=DAYS), today)


def draw(visit: Visit, rows: list[Row]) -> None:
    """One table."""
    texts = visit.texts
    parts.title(texts["billing"])
    with parts.panel(texts.say("billing_of_days", days=DAYS)) as side:
        columns = [
            Column("meter_id", texts["meter_id"], href=meter_address),
            day("first", texts["first_day"]),
            day("last", texts["last_day"]),
            number("billed_m3", texts["billed_m3"], 1),
            number("volume_m3", texts["volume_m3"], 1),
            number("difference_m3", texts["difference_m3"], 1),
            percent("difference_share", texts["difference_share"]),
            percent("missing_share", texts["missing"]),
            Column(
                "state",
                texts["state"],
                lambda row: texts.word("billing_state", row["state"]),
                tone=lambda row: TONES[row["state"]],
            ),
        ]
        show_table(visit, "billing", columns, Page(rows), side=side)
        ui.label(texts["billing_rule"]).classes("js-note")


PAGE = PageKind("edits", load, draw)
