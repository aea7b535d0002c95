"""How figures are written: thousands separators, fixed decimals, percent, the city's own time.

Pure functions from values to text. What is not known is an en dash, never a zero.
"""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

UNKNOWN = "–"


def is_known(value: Any) -> bool:
    """Whether a value is there: neither None nor NaN nor NaT."""
    return value is not None and value == value


def write_number(value: Any, decimals: int = 0) -> str:
    """A number with thousands separators: 12,345.6."""
    return f"{value:,.{decimals}f}" if is_known(value) else UNKNOWN


def write_percent(fraction: Any, decimals: int = 1) -> str:
    """A fraction as percent: 0.0853 → 8.5 %."""
    return f"{fraction * 100:,.{decimals}f} %" if is_known(fraction) else UNKNOWN


def write_instant(at: datetime | None, zone: ZoneInfo) -> str:
    """An instant on the city's clock, with its seconds where it has any: 2026-09-15 08:00."""
    if at is None or not is_known(at):
        return UNKNOWN
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}" if local.second else f"{local:%Y-%m-%d %H:%M}"


def write_seconds(seconds: float | None) -> str:
    """A time span in the unit that suits it: 3.2 s, 12 min, 5.0 h, 3.5 d."""
    if seconds is None or not is_known(seconds):
        return UNKNOWN
    size = abs(seconds)
    if size < 120:
        return f"{write_number(seconds, 1)} s"
    if size < 7_200:
        return f"{write_number(seconds / 60)} min"
    if size < 172_800:
        return f"{write_number(seconds / 3_600, 1)} h"
    return f"{write_number(seconds / 86_400, 1)} d"


def write_day(day: date | None) -> str:
    """A local day: 2026-09-15."""
    return f"{day:%Y-%m-%d}" if day is not None and is_known(day) else UNKNOWN


def write_evidence(name: str, value: Any) -> str:
    """A figure of an alert's evidence by the unit in its name: used_m3, rate, inflow_m3_h."""
    if not is_known(value):
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if name.endswith(("_rate", "_share")) or name in {"rate", "share"}:
        return write_percent(value)
    decimals = 2 if name.endswith(("_m3_h", "_mpa")) else 0 if float(value).is_integer() else 1
    unit = unit_of(name)
    return f"{write_number(value, decimals)} {unit}".rstrip()


def unit_of(name: str) -> str:
    """The unit that a column name ends with, as it is written; "" where it names none."""
    for ending, unit in _UNITS.items():
        if name.endswith(ending):
            return unit
    return ""


_UNITS = {
    "_m3_h": "m³/h",
    "_m3_d": "m³/d",
    "_m3": "m³",
    "_mpa": "MPa",
    "_km": "km",
    "_hours": "h",
    "_h": "h",
    "_days": "d",
    "_s": "s",
}
