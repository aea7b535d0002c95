"""Tables: columns said once, for the screen and for the CSV file; paging by the port's cursor."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import run, ui

from api.pages.figures import is_known, write_day, write_instant, write_number, write_percent
from api.pages.parts import badge_text, empty
from api.pages.visit import Visit, reopen
from api.tables import cell
from water.pages import Page, Row

MOST_CSV_ROWS = 100_000
"""A CSV file ends here; the API gives more by its cursor."""

_CELL = """
<q-td :props="props">
  <a v-if="props.row[props.col.name + '/href']" :href="props.row[props.col.name + '/href']">{{ props.value }}</a>
  <span v-else-if="props.row[props.col.name + '/tone']" :class="'js-badge ' + props.row[props.col.name + '/tone']">{{ props.value }}</span>
  <template v-else>{{ props.value }}</template>
</q-td>
"""  # noqa: E501 (a template's line)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        key: name of the row's field.
        label: its heading, already in the page's language, with the unit.
        write: the text of a cell from the row; by default the field as it is.
        href: where the cell leads to, "" for nowhere.
        tone: the severity whose badge the cell wears, "" for none.
        numeric: whether it stands to the right.
        wrap: whether long text breaks into lines.
        on_file: whether the CSV file has it as well.
    """

    key: str
    label: str
    write: Callable[[Row], str] | None = None
    href: Callable[[Row], str] | None = None
    tone: Callable[[Row], str] | None = None
    numeric: bool = False
    wrap: bool = False
    on_file: bool = True


def number(key: str, label: str, decimals: int = 0) -> Column:
    """A column of numbers."""
    return Column(key, label, lambda row: write_number(row.get(key), decimals), numeric=True)


def percent(key: str, label: str) -> Column:
    """A column of fractions, shown as percent."""
    return Column(key, label, lambda row: write_percent(row.get(key)), numeric=True)


def instant(key: str, label: str, visit: Visit) -> Column:
    """A column of instants on the city's clock."""
    return Column(key, label, lambda row: write_instant(row.get(key), visit.zone))


def day(key: str, label: str) -> Column:
    """A column of local days."""
    return Column(key, label, lambda row: write_day(row.get(key)))


def word(key: str, label: str, kind: str, visit: Visit) -> Column:
    """A column of stored codes, shown as the word that the catalogue keeps for each."""
    return Column(key, label, lambda row: visit.texts.word(kind, row.get(key)))


def supplier(key: str, visit: Visit, *, href: Callable[[Row], str] | None = None) -> Column:
    """A column of suppliers by name; the CSV file has their ids."""

    def write(row: Row) -> str:
        return visit.name_supplier(str(row.get(key) or ""))

    return Column(key, visit.texts["supplier"], write, href=href)


def severity(key: str, label: str, visit: Visit) -> Column:
    """A column of severities or ladder levels, each with its colour, shape and word."""

    def write(row: Row) -> str:
        code = str(row.get(key) or "")
        return badge_text(visit.texts.word("severity", code), code)

    return Column(key, label, write, tone=lambda row: str(row.get(key) or ""))


def show_table(
    visit: Visit,
    name: str,
    columns: Sequence[Column],
    page: Page,
    *,
    fetch: Callable[[str | None], Page] | None = None,
    side: ui.element | None = None,
) -> ui.table | None:
    """Draw one page of a table, with its CSV button in `side` and paging below.

    Gives the table; None where there are no rows, which is said instead.

    Args:
        visit: who looks.
        name: the CSV file's name without its ending.
        columns: the columns, for the screen and for the file.
        page: the rows to show.
        fetch: gives the page at a cursor, for the rest of the CSV file; None = `page` is all.
        side: where the CSV button goes; None = above the table.
    """
    if not page.rows:
        empty(visit.texts["nothing_found"])
        return None
    with side or ui.row().classes("w-full justify-end"):
        _csv_button(visit, name, columns, page, fetch)
    with ui.table(
        columns=[_quasar_column(column) for column in columns],
        rows=[_cells(index, row, columns) for index, row in enumerate(page.rows)],
        row_key="#",
    ).classes("js-table") as table:
        table.props("flat dense")
        table.add_slot("body-cell", _CELL)
    _pager(visit, page)
    return table


def write_csv(columns: Sequence[Column], rows: Sequence[Row]) -> bytes:
    """The rows as CSV for a spreadsheet: UTF-8 with a mark, raw numbers, instants with zone.

    Cells are written as in the API's CSV, so that both files read alike.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    filed = [column for column in columns if column.on_file]
    writer.writerow([column.label for column in filed])
    writer.writerows([[cell(row.get(column.key)) for column in filed] for row in rows])
    return text.getvalue().encode("utf-8-sig")


def fetch_all(fetch: Callable[[str | None], Page]) -> list[Row]:
    """The rows of every page of a list from its beginning, up to MOST_CSV_ROWS."""
    rows: list[Row] = []
    page = fetch(None)
    while page.next is not None and len(rows) + len(page.rows) < MOST_CSV_ROWS:
        rows += page.rows
        page = fetch(page.next)
    return (rows + page.rows)[:MOST_CSV_ROWS]


def _csv_button(
    visit: Visit,
    name: str,
    columns: Sequence[Column],
    page: Page,
    fetch: Callable[[str | None], Page] | None,
) -> None:
    def everything() -> bytes | None:
        if reopen(visit) is None:
            return None
        return write_csv(columns, page.rows if fetch is None else fetch_all(fetch))

    async def download() -> None:
        content = await run.io_bound(everything)
        if content is None:  # also while the server stops
            ui.navigate.to(visit.address())
        else:
            ui.download.content(content, f"{name}.csv", "text/csv")

    ui.button(visit.texts["download_csv"], icon="download", on_click=download).props(
        "flat dense no-caps"
    )


def _quasar_column(column: Column) -> dict[str, Any]:
    return {
        "name": column.key,
        "label": column.label,
        "field": column.key,
        "align": "right" if column.numeric else "left",
        "classes": "js-wrap" if column.wrap else "",
    }


def _cells(index: int, row: Row, columns: Sequence[Column]) -> dict[str, Any]:
    cells: dict[str, Any] = {"#": index}
    for column in columns:
        value = row.get(column.key)
        plain = str(value) if is_known(value) else ""
        cells[column.key] = column.write(row) if column.write else plain
        cells[f"{column.key}/href"] = column.href(row) if column.href else ""
        cells[f"{column.key}/tone"] = column.tone(row) if column.tone else ""
    return cells


def _pager(visit: Visit, page: Page) -> None:
    cursor = visit.query("cursor")
    if not cursor and page.next is None:
        return
    with ui.element("nav").classes("js-pager"):
        if cursor:
            ui.link(visit.texts["first_page"], visit.address(cursor=""))
        if page.next is not None:
            ui.link(visit.texts["next_page"], visit.address(cursor=page.next))
