# pyright: standard
# pyarrow types its arrays as unknown: strict rules have nothing to hold on to.
"""Readings as lines of InfluxDB's line protocol, and the writing of many of them."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute

from storage.influx.client import InfluxClient, LinesRefusedError
from storage.merging import Row
from water.readings import QUANTITIES

MEASUREMENT = "reading"
METER_TAG = "meter_id"

LINES_A_REQUEST = 20_000
"""Throughput levels off there: a line then costs the server a quarter less than at 5,000."""

_join = compute.binary_join_element_wise  # pyright: ignore[reportAttributeAccessIssue] - made at import
"""Of each row the texts before the last argument, with that between them; null where one is."""

_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})


def escape_tag(value: str) -> str:
    """A tag's value as line protocol wants it; it can't hold a newline nor end with a backslash."""
    return value.translate(_ESCAPES)


class Columns(NamedTuple):
    """Readings a column each, of which lines can be made.

    Attributes:
        identities: meter and instant of each, as are `meters` and `instants`.
        series: how its line begins.
        at: the instants once more.
        quantities: those of water.readings.QUANTITIES, as float64.
    """

    identities: Sequence[tuple[str, int]]
    meters: Sequence[str]
    instants: Sequence[int]
    series: pa.StringArray
    at: pa.Int64Array
    received_at: pa.Int64Array
    quantities: Sequence[pa.DoubleArray]
    quality: Sequence[int]

    def masks(self) -> list[int]:
        """Which quantities each reading has: bit i for quantity i."""
        masks = np.zeros(len(self.meters), np.int64)
        for i, column in enumerate(self.quantities):
            masks |= column.is_valid().to_numpy(zero_copy_only=False).astype(np.int64) << i
        return masks.tolist()


def transpose(rows: Sequence[Row]) -> Columns:
    """Rows, at least one, as columns.

    Raises:
        ValueError, OverflowError, TypeError: one of them can't be a line.
    """
    meters, instants, received_at, *quantities, quality = zip(*rows, strict=True)
    return Columns(
        list(zip(meters, instants, strict=True)),
        meters,
        instants,
        pa.array([_series(meter) for meter in meters], pa.string()),
        _integers(instants),
        _integers(received_at),
        [pa.array(column, pa.float64()) for column in quantities],
        quality,
    )


@lru_cache(maxsize=100_000)
def _series(meter_id: str) -> str:
    return f"{MEASUREMENT},{METER_TAG}={escape_tag(meter_id)} received_at="


def format_readings(readings: Columns, whole: Sequence[bool] = ()) -> pa.StringArray:
    """Readings as a line each: what is not null, every field a float, the instant in seconds.

    Built column by column: a third of the time of a line at a time, and most of it without the
    interpreter's lock. Numbers become the shortest text that reads back as the very same float. A
    quality of 0 is left out, but not of a `whole` line: it may replace another one's.

    Args:
        readings: of at least one row.
        whole: whether each line is so; empty = none is.
    """
    pieces = [readings.series, _texts(readings.received_at)]
    for name, column in zip(QUANTITIES, readings.quantities, strict=True):
        pieces += _fields(name, _texts(column))
    if whole or any(readings.quality):
        said = zip(readings.quality, whole or repeat(False), strict=False)
        shown = [int(quality) if quality or forced else None for quality, forced in said]
        pieces += _fields("quality", _texts(_integers(shown)))
    pieces += [" ", _texts(readings.at), "\n"]
    return _join(*pieces, "", null_handling="skip")


def _integers(column: Sequence[int | None]) -> pa.Int64Array:
    return pa.array(column, pa.int64())


def _texts(column: pa.Array) -> pa.StringArray:
    return column.cast(pa.string())


def _fields(name: str, texts: pa.StringArray) -> list[pa.StringArray | str]:
    """What stands for a field in every line; nothing in a line whose text is null."""
    if texts.null_count == len(texts):
        return []
    if texts.null_count == 0:
        return [f",{name}=", texts]
    return [_join(f",{name}=", texts, "")]


def write_lines(client: InfluxClient, lines: pa.StringArray) -> dict[int, str]:
    """Write lines, each with its newline; those that the server refuses for good, with its reason.

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
            client.write(_body(lines, first, end))
        except LinesRefusedError as error:
            if error.dropped == end - first or end - first == 1:
                refused.update(dict.fromkeys(range(first, end), error.reason))
            else:
                middle = (first + end) // 2
                spans += [(first, middle), (middle, end)]
    return refused


def _body(lines: pa.StringArray, first: int, end: int) -> bytes:
    """The text of lines `first` to `end`, which an array holds in one piece."""
    _, offsets, text = lines.buffers()
    edges = np.frombuffer(offsets, np.int32, len(lines) + 1, 4 * lines.offset)
    return text.slice(edges[first], edges[end] - edges[first]).to_pybytes()
