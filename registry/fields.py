"""From a cell of a CSV file or a sheet to a value: strict, and saying what is wanted instead.

A cell is text in a CSV file; in a sheet it may also be a number, a truth value or a date. Empty
cells never reach these functions.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from registry import credit_code
from water.numbers import parse_number

Cell = str | int | float | bool | date | datetime | None
Parser = Callable[[Cell], Any]

_EXACT_DIGITS = 15
"""A spreadsheet keeps no more digits of a number; longer ids must be stored as text."""
_EXCEL_ERRORS = frozenset({"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!"})
_DAY = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})", re.ASCII)
_MONTH = re.compile(r"(\d{4})[-/](\d{1,2})([-/]0?1)?", re.ASCII)
_ID_BYTES = 255
"""What the journal has room for."""
_IN_NO_ID = re.compile(r"[/+#\\\s\x00-\x1f\x7f]")


class CellError(Exception):
    """A cell does not hold what it should; the message says what is wanted."""


def as_text(cell: Cell, *, longest: int = 500) -> str:
    """A text on one or more lines; whole numbers of a sheet lose their '.0'."""
    if isinstance(cell, bool | date):
        raise CellError("a text (format the cell as text)")
    if isinstance(cell, int | float):
        return _number_as_text(cell)
    text = (cell or "").strip()
    if text in _EXCEL_ERRORS:
        raise CellError("a text, not the error value of a formula")
    if len(text) > longest:
        raise CellError(f"a text of at most {longest} characters")
    return text


def _number_as_text(number: float) -> str:
    if not math.isfinite(number) or number != int(number):
        return repr(number)
    if abs(number) >= 10**_EXACT_DIGITS:
        raise CellError("a text: as a number the sheet has lost digits (format the cell as text)")
    return str(int(number))


def as_id(cell: Cell) -> str:
    """An id: it may become a part of an MQTT topic or a web address."""
    text = as_text(cell)
    if len(text) > 64 or _IN_NO_ID.search(text) or text == "-":
        raise CellError("an id: at most 64 characters, without blanks and / + # \\, not just '-'")
    if len(text.encode(errors="surrogatepass")) > _ID_BYTES:
        raise CellError(f"an id: at most {_ID_BYTES} bytes of UTF-8")
    return text


def as_address(cell: Cell) -> str:
    """How a dialect names a device: friendly names have blanks, names of sensors have slashes."""
    text = as_text(cell)
    if len(text) > 128 or not text.isprintable():
        raise CellError("an address: at most 128 characters on one line")
    return text


def as_credit_code(cell: Cell) -> str:
    """A well-formed credit code, in capitals; its check character is judged elsewhere."""
    code = as_text(cell).upper()
    if not credit_code.well_formed(code):
        raise CellError("18 digits and letters without I, O, S, V, Z (GB 32100), or nothing")
    return code


def a_number(
    *, above: float | None = None, least: float = 0.0, most: float = 1e12
) -> Callable[[Cell], float]:
    """A parser of finite numbers: least <= x <= most, or above < x <= most."""
    lower = f"above {above:g}" if above is not None else f"from {least:g}"
    wanted = f"a number {lower} to {most:g}, without unit or thousands separator"

    def parse(cell: Cell) -> float:
        number = _as_float(cell, wanted)
        too_low = number <= above if above is not None else number < least
        if too_low or number > most:
            raise CellError(wanted)
        return number

    return parse


def a_whole_number(least: int, most: int) -> Callable[[Cell], int]:
    """A parser of whole numbers from `least` to `most`."""
    wanted = f"a whole number from {least} to {most}"

    def parse(cell: Cell) -> int:
        number = _as_float(cell, wanted)
        if number != int(number) or not least <= number <= most:
            raise CellError(wanted)
        return int(number)

    return parse


def _as_float(cell: Cell, wanted: str) -> float:
    if isinstance(cell, bool | date) or cell is None:
        raise CellError(wanted)
    if isinstance(cell, str):
        try:
            cell = parse_number(cell)
        except ValueError:
            raise CellError(wanted) from None
    if not math.isfinite(cell):
        raise CellError(wanted)
    return float(cell)


def as_instant(cell: Cell) -> datetime:
    """An instant with its zone, given back in UTC."""
    wanted = "an instant with its zone as text, like 2026-01-31T08:00:00+08:00"
    if not isinstance(cell, str):
        raise CellError(wanted)
    try:
        at = datetime.fromisoformat(cell.strip())
    except ValueError:
        raise CellError(wanted) from None
    if at.tzinfo is None:
        raise CellError(wanted)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise CellError(wanted) from None


def as_day(cell: Cell) -> date:
    """A day: ISO 8601, year first with slashes, or a date cell of a sheet."""
    return _as_date(cell, _DAY, "a day like 2026-01-31")


def as_month(cell: Cell) -> date:
    """The first day of a month: 2026-01, 2026-01-01, or a date cell that is a first day."""
    month = _as_date(cell, _MONTH, wanted := "a month like 2026-01 or 2026-01-01")
    if month.day != 1:
        raise CellError(wanted)
    return month


def _as_date(cell: Cell, form: re.Pattern[str], wanted: str) -> date:
    if isinstance(cell, datetime):
        if (cell.hour, cell.minute, cell.second, cell.microsecond) != (0, 0, 0, 0):
            raise CellError(wanted)
        return cell.date()
    if isinstance(cell, date):
        return cell
    match = form.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if match is None:
        raise CellError(wanted)
    try:
        day = int(match[3]) if form is _DAY else 1
        return date(int(match[1]), int(match[2]), day)
    except ValueError:
        raise CellError(wanted) from None


def a_word(words: type[StrEnum], titles: dict[str, str]) -> Callable[[Cell], str]:
    """A parser of the words of an enumeration, in English or by their Chinese titles."""
    known = {word.value: word.value for word in words} | {
        zh.lower(): en for en, zh in titles.items()
    }
    wanted = "one of " + ", ".join(f"{en} {titles[en]}" for en in words)

    def parse(cell: Cell) -> str:
        word = known.get(cell.strip().lower()) if isinstance(cell, str) else None
        if word is None:
            raise CellError(wanted)
        return word

    return parse
