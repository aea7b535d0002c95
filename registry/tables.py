"""From a sheet to rows of a kind: which kind it is, which column is which, every cell checked."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from registry.fields import Cell, CellError
from registry.files import Sheet
from registry.kinds import KINDS, Column, Kind
from registry.report import Problem, RegistryError

_UNIT = re.compile(r"[（(\[【].*?[)）\]】]")
_LOOK_EVERY = 500
"""Rows between two reports of progress."""

Advance = Callable[[int], None]
"""Called with the rows done."""


@dataclass(slots=True)
class Row:
    """A row of a kind.

    Attributes:
        place: the file or sheet in which it stands.
        number: its row there, from 1.
        values: its values by column.
        absent: columns that the file leaves out; `values` has them as empty.
        broken: whether a cell was refused.
    """

    place: str
    number: int
    values: dict[str, Any]
    absent: frozenset[str] = frozenset()
    broken: bool = False

    def problem(self, column: str, wanted: str, *, warning: bool = False) -> Problem:
        """What is wrong with a value of this row, or with the row as a whole (column "")."""
        value = self.values.get(column)
        shown = "" if value is None else str(value)
        return Problem(self.place, self.number, column, shown, wanted, warning)


@dataclass(slots=True)
class Table:
    """The checked rows of one sheet, and what was wrong with them."""

    kind: Kind
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_table(sheet: Sheet, named: str | None, advance: Advance) -> Table | Problem:
    """Check every cell of a sheet; `named` is its kind, or None to find out.

    Raises:
        RegistryError: when `named` is no kind.
    """
    if named is not None and named not in KINDS:
        raise RegistryError(f"{named!r} is no kind; there are {', '.join(KINDS)}")
    rows = [row for row in sheet.rows if not _is_remark(row[1])]
    if not rows:
        return Problem(sheet.place, None, "", "", "there is no header")
    header = [_clean(cell) for cell in rows[0][1]]
    kind = KINDS[named] if named else _kind_of(sheet.name, header)
    if kind is None:
        wanted = f"name it after its kind ({', '.join(KINDS)}) or say the kind"
        return Problem(sheet.place, None, "", sheet.name, wanted)
    table = Table(kind)
    places = _place_columns(sheet.place, rows[0][0], header, kind, table.problems)
    body = rows[1:]
    if body and _is_title_row(body[0][1], places):
        body = body[1:]
    if not table.problems:
        _read_rows(sheet.place, body, places, table, advance)
    return table


def _is_remark(cells: list[Cell]) -> bool:
    """Whether the first cell is a lone '#', or begins with one and a blank ('#N/A' does not)."""
    first = next(cell for cell in cells if cell is not None)
    return isinstance(first, str) and (first == "#" or first.startswith("# "))


def _clean(cell: Cell) -> str:
    text = _UNIT.sub("", str(cell or ""))
    return "".join(text.split()).strip("*").lower()


def _headers_of(kind: Kind) -> dict[str, Column]:
    return {
        _clean(header): column
        for column in kind.columns
        for header in (column.name, column.title, *column.aliases)
    }


def _kind_of(name: str, header: list[str]) -> Kind | None:
    """The kind by the name of the file or sheet, else the only one that the header fits."""
    wanted = name.strip().lower()
    for kind in KINDS.values():
        if wanted in {kind.name, kind.title, *(alias.lower() for alias in kind.aliases)}:
            return kind
    fitting = [kind for kind in KINDS.values() if _fits(header, kind)]
    return fitting[0] if len(fitting) == 1 else None


def _fits(header: list[str], kind: Kind) -> bool:
    known = _headers_of(kind)
    if not all(cell in known for cell in header if cell):
        return False
    there = {known[cell].name for cell in header if cell}
    return all(column.name in there for column in kind.columns if column.required)


def _place_columns(
    place: str, row: int, header: list[str], kind: Kind, problems: list[Problem]
) -> dict[int, Column]:
    known = _headers_of(kind)
    places: dict[int, Column] = {}
    for i, cell in enumerate(header):
        column = known.get(cell)
        if not cell:
            continue
        if column is None:
            near = difflib.get_close_matches(cell, known, 1)
            hint = f"did you mean {known[near[0]].name}?" if near else "take it out"
            wanted = f"{kind.name} have no such column; {hint}"
            problems.append(Problem(place, row, cell, cell, wanted))
        elif column in places.values():
            problems.append(Problem(place, row, column.name, cell, "this column is there twice"))
        else:
            places[i] = column
    for column in kind.columns:
        if column.required and column not in places.values():
            wanted = f"this column is missing ({column.title})"
            problems.append(Problem(place, row, column.name, "", wanted))
    return places


def _is_title_row(cells: list[Cell], places: dict[int, Column]) -> bool:
    """Whether a row only repeats the header in other words, as the templates' second row does."""
    filled = [(i, _clean(cell)) for i, cell in enumerate(cells) if cell is not None]
    return all(
        i in places and cell in {_clean(h) for h in (places[i].name, places[i].title)}
        for i, cell in filled
    )


def _read_rows(
    place: str,
    body: list[tuple[int, list[Cell]]],
    places: dict[int, Column],
    table: Table,
    advance: Advance,
) -> None:
    absent = {c.name: c.empty for c in table.kind.columns if c not in places.values()}
    left_out = frozenset(absent)
    columns = list(places.items())
    for done, (number, cells) in enumerate(body):
        if done % _LOOK_EVERY == 0:
            advance(done)
        row = Row(place, number, dict(absent), left_out)
        _read_cells(row, cells, columns, table.problems)
        extra = [cell for i, cell in enumerate(cells) if i not in places and cell is not None]
        if extra:
            row.broken = True
            wanted = "this cell stands under no column"
            table.problems.append(Problem(place, number, "", str(extra[0]), wanted))
        table.rows.append(row)
    advance(len(body))


def _read_cells(
    row: Row, cells: list[Cell], columns: list[tuple[int, Column]], problems: list[Problem]
) -> None:
    for i, column in columns:
        cell = cells[i] if i < len(cells) else None
        try:
            row.values[column.name] = _value(column, cell)
        except CellError as error:
            row.broken = True
            shown = "" if cell is None else str(cell)
            problems.append(Problem(row.place, row.number, column.name, shown, str(error)))


def _value(column: Column, cell: Cell) -> Any:
    if cell is not None:
        return column.parse(cell)
    if column.required:
        raise CellError(f"something is wanted here: {column.wanted}")
    return column.empty
