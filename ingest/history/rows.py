"""The form of a row of history: columns, instants, numbers. Pure; what is wrong has a reason."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import lru_cache

import msgspec

from ingest.decoders.wall_clock import read_wall_clock
from ingest.errors import IngestError
from water.numbers import parse_number
from water.readings import QUANTITIES

FORM = 2
"""Moves when another version would take other rows: what an older one has begun begins anew."""

_NAMES = {"meter": "meter", "address": "meter", "at": "at", **{name: name for name in QUANTITIES}}
_ADDRESS_CHARACTERS = 128
_INSTANTS = 1 << 17
"""Instants remembered: three years of quarter-hours of one meter, which the next one has too."""


class HistoryError(IngestError):
    """A file of history that can't be read as one; says what is wanted."""


class Unfit(StrEnum):
    """Why a line of a file is no row of history; it never becomes a message."""

    FIELDS = "fields"
    """It has more or fewer fields than the file has columns, or quotes that don't close."""
    CUT = "cut"
    """The file ends within it, without a line end: its last number may be the half of one."""
    NOT_TEXT = "not_text"
    """It holds bytes that the encoding doesn't know."""
    NO_METER = "no_meter"
    LONG_ADDRESS = "long_address"
    NO_TIME = "no_time"
    TIME_WITHOUT_ZONE = "time_without_zone"
    BAD_TIME = "bad_time"
    """No calendar has it, or the zone's clocks showed it twice or never."""
    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    NO_QUANTITY = "no_quantity"


class Row(msgspec.Struct, omit_defaults=True, gc=False):
    """A reading of a file as our own dialect writes it; `at` is ISO 8601 in UTC."""

    meter: str
    at: str
    register_m3: float | None = None
    flow_m3_h: float | None = None
    pressure_mpa: float | None = None
    level_m: float | None = None


ReadRow = Callable[[Sequence[str]], Row | Unfit]
"""The fields of a line, in the order of the file → a row, or why it is none."""


def read_header(names: Sequence[str], ignored: Sequence[str], zone: tzinfo | None) -> ReadRow:
    """How to read the rows of a file with these columns.

    Args:
        names: the columns of the file.
        ignored: columns that say nothing about readings.
        zone: of instants without one; None = such a line is unfit.

    Raises:
        HistoryError: a column is unknown, there twice or missing.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in ignored:
            continue
        column = _NAMES.get(name.strip().lower())
        if column is None:
            known = ", ".join(_NAMES)
            raise HistoryError(
                f"column {name!r:.80} is unknown; there are {known}: name it so, or --ignore it"
            )
        if column in places:
            raise HistoryError(
                f"column {name!r} is there twice (address is another word for meter)"
            )
        places[column] = place
    missing = [name for name in ("meter", "at") if name not in places]
    if missing or not places.keys() & set(QUANTITIES):
        wanted = " and ".join(missing) or f"at least one of {', '.join(QUANTITIES)}"
        raise HistoryError(f"a column is missing: {wanted}")
    return _reader(places, len(names), zone)


def _reader(places: dict[str, int], width: int, zone: tzinfo | None) -> ReadRow:
    meter_at, time_at = places["meter"], places["at"]
    quantities = [(name, places[name]) for name in QUANTITIES if name in places]

    @lru_cache(_INSTANTS)
    def read_instant(text: str) -> str | Unfit:
        return _read_instant(text, zone)

    def read(fields: Sequence[str]) -> Row | Unfit:
        if len(fields) != width:
            return Unfit.FIELDS
        row = Row(fields[meter_at].strip(), "")
        unfit = _judge_address(row.meter)
        if unfit is not None:
            return unfit
        at = read_instant(fields[time_at])
        if isinstance(at, Unfit):
            return at
        row.at = at
        return _fill(row, [(name, fields[place]) for name, place in quantities])

    return read


def _judge_address(address: str) -> Unfit | None:
    if not address:
        return Unfit.NO_METER
    return Unfit.LONG_ADDRESS if len(address) > _ADDRESS_CHARACTERS else None


def _fill(row: Row, quantities: Sequence[tuple[str, str]]) -> Row | Unfit:
    empty = True
    for name, text in quantities:
        if not text or text.isspace():
            continue
        try:
            number = parse_number(text)
        except ValueError:
            return Unfit.NOT_A_NUMBER
        if not math.isfinite(number):
            return Unfit.NOT_FINITE
        setattr(row, name, number)
        empty = False
    return Unfit.NO_QUANTITY if empty else row


def _read_instant(text: str, zone: tzinfo | None) -> str | Unfit:
    text = text.strip()
    if not text:
        return Unfit.NO_TIME
    at = read_wall_clock(text, "", zone)
    if at is not None:
        try:
            return datetime.fromtimestamp(at, UTC).isoformat()
        except (OverflowError, ValueError, OSError):
            return Unfit.BAD_TIME
    local = zone is None and read_wall_clock(text, "", UTC) is not None
    return Unfit.TIME_WITHOUT_ZONE if local else Unfit.BAD_TIME
