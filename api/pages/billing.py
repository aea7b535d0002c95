"""The utility's billing reads beside our volumes; what is beyond the tolerance first."""

from collections.abc import Sequence
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
PAGE_ROWS = 50
"""Periods that are shown; the CSV file has more."""
TONES = {"beyond": "warning", "incomplete": "plain", "within": "good"}
_STATES = list(TONES)


def load(visit: Visit) -> list[Row]:
    """The billed periods of the last days, those beyond the tolerance first."""
    today: date = visit.context.city.day_of(visit.context.clock.now())
    rows = load_billing(visit.context, visit.viewer, today - timedelta(days=DAYS), today)
    return order_rows(rows)


def order_rows(rows: Sequence[Row]) -> list[Row]:
    """What is beyond the tolerance first, then what is not known, then what is within."""
    return sorted(rows, key=lambda row: _STATES.index(row["state"]))


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
        show_table(
            visit, "billing", columns, Page(rows[:PAGE_ROWS]),
            fetch=lambda _cursor: Page(rows), side=side,
        )  # fmt: skip
        ui.label(texts["billing_rule"]).classes("js-note")


PAGE = PageKind("edits", load, draw)
