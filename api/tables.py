"""Rows on their way out: frames to rows, NaN to null, lists to CSV."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pandas as pd
from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from api.paging import turn
from water.columns import DAY, SHARES
from water.pages import Page, Row

CSV = "text/csv; charset=utf-8"
CSV_PAGE = 1000
"""Rows fetched at a time for a download."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Format = Annotated[
    Literal["json", "csv"] | None,
    Query(
        description="csv 下载整个列表 downloads the whole list as CSV (as does Accept: text/csv)"
    ),
]


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """The rows of a frame of water.columns: instants aware, days as dates, NaN as None."""
    rows = frame.to_dict("records")
    return [{str(name): _plain(str(name), value) for name, value in row.items()} for row in rows]


def _plain(name: str, value: Any) -> Any:
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        return value.date() if name == DAY else value.to_pydatetime()
    return cleaned(value)


def cleaned(value: Any) -> Any:
    """A value without NaN and infinities, which JSON doesn't know, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(inner) for inner in value]
    return value


def answer(  # the one way a list leaves the house
    request: Request,
    model: type[BaseModel],
    fetch: Callable[[str | None, int], Page],
    *,
    cursor: str | None,
    limit: int,
    form: str | None,
    name: str,
) -> Any:
    """A list as {items, next}, or the whole of it from the cursor on as a CSV download."""
    if form == "csv" or (form is None and _wants_csv(request)):
        first = turn(lambda at: fetch(at, CSV_PAGE), cursor)
        return csv_response(model, _every_row(first, fetch), name)
    page = turn(lambda at: fetch(at, limit), cursor)
    return {"items": cleaned(page.rows), "next": page.next}


def csv_response(model: type[BaseModel], rows: Iterator[Row], name: str) -> Response:
    """Rows as a CSV download; its columns are the fields of `model`, shares last."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return StreamingResponse(_lines(_columns(model), rows), 200, headers, CSV)


def _columns(model: type[BaseModel]) -> list[str]:
    return sorted(model.model_fields, key=lambda name: name in SHARES)


def _wants_csv(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return any(part.split(";")[0].strip() == "text/csv" for part in accepted.split(","))


def _every_row(page: Page, fetch: Callable[[str | None, int], Page]) -> Iterator[Row]:
    yield from page.rows
    while page.next is not None:
        page = fetch(page.next, CSV_PAGE)
        yield from page.rows


def _lines(columns: Sequence[str], rows: Iterator[Row]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    # Excel takes a file for UTF-8 only when it begins with a byte-order mark.
    text.write("\ufeff")
    writer.writerow(columns)
    for number, row in enumerate(rows):
        writer.writerow([cell(row.get(column)) for column in columns])
        if number % CSV_PAGE == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def cell(value: Any) -> Any:
    """A CSV cell: text that a spreadsheet would run as a formula gets an apostrophe in front."""
    value = cleaned(value)
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
