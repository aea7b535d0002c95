"""The readings that a meter sent of one day, newest first, each a start for an edit."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from nicegui import ui
from nicegui.events import GenericEventArguments

from api.pages import parts
from api.pages.figures import write_day
from api.pages.tables import Column, instant, number, show_table
from api.pages.visit import Visit
from api.tables import rows_of
from water.columns import AT
from water.pages import Page, Row

MOST_ROWS = 2_000
"""Readings of a day that are shown; the API gives more."""
_ROWS_A_LEAF = 20
_EARLIEST, _LATEST = date(1970, 1, 1), date(9998, 12, 31)
"""Days whose bounds are instants in every time zone."""

_LEAVES = (
    f':rows-per-page-options="[{_ROWS_A_LEAF}]" '
    ":pagination-label=\"(first, last, all) => first + '–' + last + ' / ' + all\""
)
_BUTTON = """
<q-td :props="props">
  <q-btn flat dense no-caps icon="edit" :label="props.value"
    @click="() => $parent.$emit('pick', props.row['#'])" />
</q-td>
"""


@dataclass(frozen=True, slots=True)
class SentDay:
    """A local day and the readings of it, newest first."""

    day: date
    rows: list[Row]


def load_sent(visit: Visit, meter_id: str) -> SentDay:
    """The readings of the day that the address names (`day`), else of the newest reading's."""
    context, viewer = visit.context, visit.viewer
    day = _day_named(visit.query("day"))
    if day is None:
        newest = rows_of(context.readings.newest(viewer, [meter_id]))
        day = context.city.day_of(newest[0][AT] if newest else context.clock.now())
    begins, ends = context.city.day_bounds(day)
    sent = context.readings.readings(viewer, meter_id, begins, ends, limit=MOST_ROWS)
    return SentDay(day, rows_of(sent)[::-1])


def _day_named(text: str) -> date | None:
    """The day that an address names; None where it names none, or one at the calendar's edge."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if _EARLIEST <= day <= _LATEST else None


def draw_sent(visit: Visit, sent: SentDay, start_edit: Callable[[datetime], None] | None) -> None:
    """The readings with a choice of the day; `start_edit` is told the instant of one picked."""
    texts = visit.texts
    with parts.panel(texts.say("readings_of_day", day=write_day(sent.day))) as side:
        with ui.element("div").classes("js-filters"):
            day = ui.input(texts["day"], value=write_day(sent.day))
            day.props("outlined dense type=date stack-label")
            ui.button(
                texts["show_day"],
                on_click=lambda: ui.navigate.to(visit.address(day=day.value or "")),
            ).props("outline dense no-caps")
        columns = [
            instant("at", texts["measured_at"], visit),
            number("register_m3", texts["quantity.register_m3"], 3),
            number("flow_m3_h", texts["quantity.flow_m3_h"], 3),
            number("pressure_mpa", texts["quantity.pressure_mpa"], 3),
            number("level_m", texts["quantity.level_m"], 3),
            instant("received_at", texts["received_at"], visit),
        ]
        if start_edit is not None:
            columns.append(Column("pick", "", lambda _row: texts["edit_this"], on_file=False))
        table = show_table(visit, "readings", columns, Page(sent.rows), side=side)
        if table is None:
            return
        table.pagination = {"rowsPerPage": _ROWS_A_LEAF}
        table.props(_LEAVES)
        if start_edit is not None:
            _add_button(table, sent.rows, start_edit)
        if len(sent.rows) == MOST_ROWS:
            ui.label(texts.say("most_readings", count=MOST_ROWS)).classes("js-note")


def _add_button(table: ui.table, rows: list[Row], start_edit: Callable[[datetime], None]) -> None:
    def pick(event: GenericEventArguments) -> None:
        start_edit(rows[int(event.args)][AT])

    table.add_slot("body-cell-pick", _BUTTON)
    table.on("pick", pick)
