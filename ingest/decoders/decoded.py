"""What every dialect's decoder gives, and how it reads JSON, numbers and instants."""

import json
import math
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from water.numbers import parse_number
from water.refusals import Refusal, Undecodable
from water.texts import storable
from water.tuples import make_tuple

T = TypeVar("T")

MILLISECONDS_FROM = 100_000_000_000
"""A bare number from here on is milliseconds: as seconds it would be the year 5138."""
LONGEST_INSTANT = 80
"""Characters in which an instant is written at most, with room for fractions and blanks."""


class Decoded(NamedTuple):
    """A reading as a dialect gives it: not yet held against the registry.

    `address` names the device in the dialect; `at` is in epoch seconds (None only with a
    refusal); units as in water.readings. `refusal` is why the reading can't be stored whatever
    the registry says, with `detail` for people.
    """

    address: str
    at: int | None
    register_m3: float | None = None
    flow_m3_h: float | None = None
    pressure_mpa: float | None = None
    level_m: float | None = None
    quality: int = 0
    refusal: Refusal | None = None
    detail: str = ""


class Unreadable(Exception):  # noqa: N818 (it is an outcome that decoders give, not a failure)
    """The whole message can't be decoded: a reason, with a detail for people."""

    def __init__(self, reason: Undecodable, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class _UnfitError(ValueError):
    """One field that can't be used, with the reason."""

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail


def read_json(payload: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
    """Decode JSON into a typed shape; NaN, Infinity and 1e999 are read as floats.

    msgspec takes them for errors (they are no JSON); such a message is read once more by the
    standard library, so that it ends as "not finite". Of a key that stands twice the last holds.

    Raises:
        Unreadable: not UTF-8, or not of this shape.
    """
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        first = f"{type(error).__name__}: {error}"
    try:
        return msgspec.convert(json.loads(payload.decode()), decoder.type)
    except UnicodeDecodeError:
        raise Unreadable(Undecodable.NOT_UTF8) from None
    except (msgspec.ValidationError, ValueError, RecursionError):
        raise Unreadable(Undecodable.MALFORMED, first) from None


def read_text(value: object) -> str:
    """An address: text or number as it stands, cut to what a device address may be."""
    if isinstance(value, str):
        return storable(value[:128])
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 1 << 64 else ""
    return ""


def decode_reading(
    address: str, at: object, quantities: tuple[Any, Any, Any, Any], quality: int = 0
) -> Decoded:
    """A reading from raw JSON values: register, flow, pressure and level in their base units.

    Numbers may come as strings; null is as if the field were not there. A value that is no
    finite number, or an instant that names no moment, makes a refused reading.
    """
    register, flow, pressure, level = quantities
    instant = None
    try:
        instant = read_instant(at)
        register = None if register is None else read_number(register)
        flow = None if flow is None else read_number(flow)
        pressure = None if pressure is None else read_number(pressure)
        level = None if level is None else read_number(level)
    except _UnfitError as unfit:
        return Decoded(
            address, instant, quality=quality, refusal=unfit.refusal, detail=unfit.detail
        )
    if register is flow is pressure is level is None:
        detail = "no quantity"
        return Decoded(address, instant, refusal=Refusal.NOT_A_NUMBER, detail=detail)
    values = (address, instant, register, flow, pressure, level, quality, None, "")
    return make_tuple(Decoded, values)


def read_number(value: object) -> float:
    """A finite number."""
    if type(value) is float:
        number = value
    elif type(value) is int or isinstance(value, str):
        try:
            number = parse_number(value) if isinstance(value, str) else float(value)
        except (ValueError, OverflowError):
            raise _UnfitError(Refusal.NOT_A_NUMBER, f"{value!r:.80}") from None
    else:
        raise _UnfitError(Refusal.NOT_A_NUMBER, f"{value!r:.80}")
    if not math.isfinite(number):
        raise _UnfitError(Refusal.NOT_FINITE, f"{value!r:.80}")
    return number


def read_instant(value: object) -> int:
    """Whole epoch seconds of ISO 8601 text with a zone, or of a number (s, or ms if that large)."""
    if isinstance(value, str):
        return parse_instant(value)
    if value is None:
        raise _UnfitError(Refusal.NO_TIME, "")
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise _UnfitError(Refusal.BAD_TIME, f"{value!r:.80}")
    seconds = value // 1000 if value >= MILLISECONDS_FROM else value
    if not -MILLISECONDS_FROM < seconds < MILLISECONDS_FROM:
        raise _UnfitError(Refusal.BAD_TIME, f"{value!r:.80}")
    return math.floor(seconds)


@lru_cache(maxsize=4096)
def parse_instant(text: str) -> int:
    """Whole epoch seconds of an instant written as text.

    Meters read on the same quarter-hours: most texts come thousands of times. Long ones are no
    instants; remembered with the others, they would fill the memory.
    """
    if len(text) > LONGEST_INSTANT:
        raise _UnfitError(Refusal.BAD_TIME, text[:80])
    try:
        at = _parse_calendar(text.strip())
    except ValueError:
        if _is_decimal(text):
            return read_instant(float(text))
        raise _UnfitError(Refusal.BAD_TIME, text[:80]) from None
    if at.tzinfo is None:
        raise _UnfitError(Refusal.TIME_WITHOUT_ZONE, text[:80])
    return math.floor(at.timestamp())


def _parse_calendar(text: str) -> datetime:
    """The date and time that a text writes out.

    fromisoformat takes any character for the one between date and time, so it reads a date of
    the year 1781 out of the milliseconds "1781020312345". Of nine digits and more only those of
    `_WRITTEN_OUT` are a calendar's.

    Raises:
        ValueError: it writes out none.
    """
    if len(text) < _EPOCH_DIGITS or not _is_decimal(text):
        return datetime.fromisoformat(text)
    return datetime.strptime(text, _WRITTEN_OUT.get(len(text), ""))  # noqa: DTZ007 (the missing zone is what the caller looks for)


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.strip().replace(".", "", 1).isdecimal()


_EPOCH_DIGITS = 9
"""Seconds have so many digits from 1973 on; a date without a time has eight."""
_WRITTEN_OUT = {12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Digits of a local time without separators: as milliseconds 1973 to 2001, or after 2286."""
