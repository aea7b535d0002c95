"""Readings as lines of InfluxDB's line protocol, and the writing of many of them."""

from collections.abc import Sequence
from functools import lru_cache

from storage.influx.client import InfluxClient, LinesRefusedError
from storage.merging import Row

MEASUREMENT = "reading"
METER_TAG = "meter_id"

LINES_A_REQUEST = 20_000
"""Throughput levels off there: a line then costs the server a quarter less than at 5,000."""

_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})


def escape_tag(value: str) -> str:
    """A tag's value as line protocol wants it; it can't hold a newline nor end with a backslash."""
    return value.translate(_ESCAPES)


@lru_cache(maxsize=100_000)
def _series(meter_id: str) -> str:
    return f"{MEASUREMENT},{METER_TAG}={escape_tag(meter_id)} "


def format_reading(row: Row, *, whole: bool = False) -> str:
    """A reading as one line: what is not null, every field a float, the instant in seconds.

    repr() gives the shortest text that reads back as the very same float. A quality of 0 is left
    out, but not of a `whole` line: it may replace another one's.
    """
    meter_id, at, received_at, register, flow, pressure, level, quality = row
    fields = f"received_at={received_at}"
    if register is not None:
        fields += f",register_m3={register!r}"
    if flow is not None:
        fields += f",flow_m3_h={flow!r}"
    if pressure is not None:
        fields += f",pressure_mpa={pressure!r}"
    if level is not None:
        fields += f",level_m={level!r}"
    if quality or whole:
        fields += f",quality={quality}"
    return f"{_series(meter_id)}{fields} {at}"


def write_lines(client: InfluxClient, lines: Sequence[str]) -> dict[int, str]:
    """Write lines; the ones that the server refuses for good, with its reason.

    A refused request is halved until the refused lines are found, which takes few requests where
    `lines` are in order of time: what lies beyond the bucket's retention stands together.

    Raises:
        StoreUnavailableError: a part may have been written; do it again.
    """
    refused: dict[int, str] = {}
    spans = [
        (first, min(first + LINES_A_REQUEST, len(lines)))
        for first in range(0, len(lines), LINES_A_REQUEST)
    ]
    while spans:
        first, end = spans.pop()
        try:
            client.write("\n".join(lines[first:end]))
        except LinesRefusedError as error:
            if error.dropped == end - first or end - first == 1:
                refused.update(dict.fromkeys(range(first, end), error.reason))
            else:
                middle = (first + end) // 2
                spans += [(first, middle), (middle, end)]
    return refused
