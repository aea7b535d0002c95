"""Local times without a zone, of devices whose zone the configuration names."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from ingest.decoders.decoded import LONGEST_INSTANT

_DAY = len("2026-11-23")
_SAMPLE = datetime(2026, 11, 23, 14, 35, tzinfo=UTC)


def check_time_format(pattern: str) -> str:
    """The strptime pattern.

    Raises:
        ValueError: it doesn't write out year, month, day, hour and minute.
    """
    try:
        read = datetime.strptime(_SAMPLE.strftime(pattern), pattern)  # noqa: DTZ007 (the zone is the device's)
    except ValueError as error:
        raise ValueError(f"{pattern!r}: {error}") from None
    if read.replace(tzinfo=UTC) != _SAMPLE:
        raise ValueError(f"{pattern!r} does not tell year, month, day, hour and minute")
    return pattern


def read_wall_clock(text: str, pattern: str, zone: tzinfo | None) -> int | None:
    """Epoch seconds of a time written as ISO 8601 (pattern "") or as strptime's pattern.

    None where the text names no moment, or, in the hour that a zone's clocks are put back or
    skip, not exactly one. A zone in the text wins. Without a pattern a day names no moment, and
    digits alone neither: they may as well be an epoch.
    """
    if len(text) > LONGEST_INSTANT:
        return None
    if not pattern and (len(text) <= _DAY or text.replace(".", "", 1).isdecimal()):
        return None
    return _parse(text, pattern, zone)


@lru_cache(maxsize=4096)
def _parse(text: str, pattern: str, zone: tzinfo | None) -> int | None:
    """The same; meters read on the same quarter-hours, so most texts come thousands of times."""
    try:
        at = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)  # noqa: DTZ007 (see below)
    except ValueError:
        return None
    if at.tzinfo is None:
        if zone is None:
            return None
        at = at.replace(tzinfo=zone)
        if at.utcoffset() != at.replace(fold=1).utcoffset():
            return None
    return int(at.timestamp() // 1)
