"""Frames (water.columns) to rows of the database and back."""
# pandas annotates itself only in part:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pandas as pd
from sqlalchemy import Date, Float, Table

from storage.registry.models import UtcDateTime


def rows_of(frame: pd.DataFrame, table: Table) -> list[dict[str, Any]]:
    """The rows of a frame that holds every column of `table`; NaN and NaT become null.

    Raises:
        ValueError: naming the columns that are missing and those that are there.
    """
    names = [column.name for column in table.c]
    missing = [name for name in names if name not in frame.columns]
    if missing:
        there = ", ".join(map(str, frame.columns))
        raise ValueError(f"{table.name}: the frame lacks {', '.join(missing)}; it has {there}")
    columns = [_values(frame, name, table) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(frame: pd.DataFrame, name: str, table: Table) -> list[Any]:
    series = frame[name]
    as_word = _word_for(table, name)
    known = cast("list[bool]", series.notna().tolist())
    values = cast("list[Any]", series.tolist())
    return [as_word(value) if there else None for value, there in zip(values, known, strict=True)]


def _word_for(table: Table, name: str) -> Callable[[Any], Any]:
    kind = table.c[name].type
    if isinstance(kind, Date):
        return _as_day
    if isinstance(kind, UtcDateTime):
        return _as_instant
    return kind.python_type


def _as_day(value: Any) -> Any:
    return value.date() if isinstance(value, datetime) else value


def _as_instant(value: Any) -> datetime:
    instant = value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
    return instant.astimezone(UTC)


def frame_of(rows: Sequence[Sequence[Any]], table: Table) -> pd.DataFrame:
    """The rows of a table as a frame with its columns and the dtypes of water.columns."""
    names = [column.name for column in table.c]
    frame = pd.DataFrame.from_records([tuple(row) for row in rows], columns=names)
    for column in table.c:
        if isinstance(column.type, Date):
            days = pd.to_datetime(frame[column.name])
            frame[column.name] = days.astype("datetime64[s]")
        elif isinstance(column.type, UtcDateTime):
            instants = pd.to_datetime(frame[column.name], utc=True)
            frame[column.name] = instants.astype("datetime64[s, UTC]")
        elif isinstance(column.type, Float):
            frame[column.name] = frame[column.name].astype("float64")
        else:
            frame[column.name] = frame[column.name].astype("str")
    return frame
