# pyright: standard
# pyarrow and numpy type their values too loosely for the strict rules.
"""The server's answer, a row a point, into columns, a row a reading."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from storage.frames import to_instants
from water import columns
from water.readings import QUANTITIES

_BITS = 34
_HALF = 1 << (_BITS - 1)

_READ = csv.ReadOptions(
    column_names=["", "result", "table", "_time", "_value", "_field", "meter_id"],
    block_size=1 << 24,
)
_WORDS = pa.dictionary(pa.int32(), pa.string())
_CONVERT = csv.ConvertOptions(
    include_columns=["result", "_time", "_value", "_field", "meter_id"],
    column_types={
        "result": _WORDS,
        "_time": pa.timestamp("s", "UTC"),
        "_value": pa.float64(),
        "_field": _WORDS,
        "meter_id": _WORDS,
    },
)
# Whole numbers (received_at, quality) are exact as floats up to 2**53.


@dataclass(frozen=True, slots=True)
class Points:
    """Points of meters by field.

    Attributes:
        meter_ids: sorted; a meter's number is its place here.
        fields: field → (identities, values), by rising identity (`identify`).
    """

    meter_ids: list[str]
    fields: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def identities(self, field: str) -> np.ndarray:
        """The identities that have a point of this field."""
        return self.fields.get(field, _NONE)[0]

    def values(self, field: str, identities: np.ndarray) -> np.ndarray:
        """The field's values at these identities, NaN where it has none."""
        known, values = self.fields.get(field, _NONE)
        if np.array_equal(known, identities):
            return values
        found = np.full(len(identities), np.nan)
        if len(known):
            place = np.minimum(np.searchsorted(known, identities), len(known) - 1)
            there = known[place] == identities
            found[there] = values[place[there]]
        return found

    def at(self, identities: np.ndarray) -> "Points":
        """Only the points of these identities (rising)."""
        kept = {
            name: (known[there], values[there])
            for name, (known, values) in self.fields.items()
            for there in [np.isin(known, identities, assume_unique=True)]
        }
        return Points(self.meter_ids, kept)

    def join(self, *others: "Points") -> "Points":
        """All points of these, each once; the meters are the same ones."""
        every = [self, *others]
        names = {name for points in every for name in points.fields}
        joined: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name in names:
            parts = [points.fields[name] for points in every if name in points.fields]
            identities, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            joined[name] = _sorted(identities, values)
        return Points(self.meter_ids, joined)


_NONE = (np.array([], np.int64), np.array([], np.float64))


def identify(meters: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(meter's number, epoch seconds) as one whole number that sorts as the pair does."""
    return (meters.astype(np.int64) << _BITS) + at


def meters_of(identities: np.ndarray) -> np.ndarray:
    """The meters' numbers in identities."""
    return (identities + _HALF) >> _BITS


def instants_of(identities: np.ndarray) -> np.ndarray:
    """The epoch seconds in identities."""
    return identities - (meters_of(identities) << _BITS)


def read_points(answer: bytes, meter_ids: list[str] | None = None) -> Points:
    """What the server answered to a script of `flux.answer`.

    Args:
        answer: CSV without annotations and headers.
        meter_ids: the meters asked for, sorted: they keep their places although some have no
            point, and points of others are left out; None = those that were found.
    """
    table = _read_table(answer)
    return Points(meter_ids or [], {}) if table is None else _points(table, meter_ids)


def read_each(answer: bytes, questions: int, meter_ids: list[str]) -> list[Points]:
    """What the server answered to each of so many questions of one script; as `read_points`."""
    table = _read_table(answer)
    if table is None:
        return [Points(meter_ids, {})] * questions
    names, result = _words(table, "result")
    numbers = np.array([int(name) for name in names])[result]
    return [_points(table.filter(numbers == number), meter_ids) for number in range(questions)]


def _read_table(answer: bytes) -> pa.Table | None:
    if not answer.strip():
        return None
    table = csv.read_csv(pa.py_buffer(answer), read_options=_READ, convert_options=_CONVERT)
    return table.unify_dictionaries()


def _points(table: pa.Table, meter_ids: list[str] | None) -> Points:
    names, meter = _words(table, "meter_id")
    ids = sorted(names) if meter_ids is None else meter_ids
    places = {meter_id: place for place, meter_id in enumerate(ids)}
    number = np.array([places.get(name, -1) for name in names], np.int64)[meter]
    at = table.column("_time").to_numpy().astype("datetime64[s]").astype(np.int64)
    identities, values = identify(number, at), table.column("_value").to_numpy()
    names, field = _words(table, "_field")
    fields = {
        name: _sorted(identities[there], values[there])
        for code, name in enumerate(names)
        for there in [(field == code) & (number >= 0)]
    }
    return Points(ids, fields)


def _words(table: pa.Table, name: str) -> tuple[list[str], np.ndarray]:
    """The different words of a column, and the place of each row's word among them."""
    words = table.column(name).combine_chunks()
    return words.dictionary.to_pylist(), words.indices.to_numpy()


def _sorted(identities: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By rising identity, each once."""
    # The server's tables come by field and meter in order of time: most often this is done already.
    if np.all(identities[1:] > identities[:-1]):
        return identities, values
    rising, places = np.unique(identities, return_index=True)
    return rising, values[places]


def names_of(points: Points, identities: np.ndarray) -> Any:
    """The meters' ids in identities, as a column."""
    return pd.array(points.meter_ids, dtype="str").take(meters_of(identities))


def frame_of(parts: Sequence[Points], make_frame: Callable[[Points], pd.DataFrame]) -> pd.DataFrame:
    """One frame of points of different meters, in the order of the parts."""
    if len(parts) == 1:
        return make_frame(parts[0])
    # Without any part the empty frame has the columns and their types.
    return pd.concat(map(make_frame, [Points([], {}), *parts]), ignore_index=True)


def readings_frame(points: Points) -> pd.DataFrame:
    """Points of readings as columns READINGS: every reading has the field received_at."""
    rows = points.identities(columns.RECEIVED_AT)
    quality = points.values(columns.QUALITY, rows)
    return pd.DataFrame(
        {
            columns.METER_ID: names_of(points, rows),
            columns.AT: to_instants(instants_of(rows)),
            columns.RECEIVED_AT: to_instants(points.values(columns.RECEIVED_AT, rows)),
            **{name: points.values(name, rows) for name in QUANTITIES},
            columns.QUALITY: np.nan_to_num(quality).astype(np.int64),
        }
    )
