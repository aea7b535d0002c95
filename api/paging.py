"""Lists in pages: {items, next}; `next` is the cursor of the next page."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from api.problems import BAD_CURSOR, Kind, ProblemError, described
from water.pages import Page, Row

Item = TypeVar("Item", bound=BaseModel)

Cursor = Annotated[
    str | None,
    Query(max_length=1000, description="上一页返回的 next the `next` of the page before"),
]
Limit = Annotated[int, Query(ge=1, le=1000, description="每页行数 rows a page")]


class Listing(BaseModel, Generic[Item]):
    """一页列表 One page of a list."""

    items: list[Item]
    next: str | None = Field(description="下一页的游标，末页为 null cursor of the next page")


def list_described(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a list for OpenAPI: it also comes as CSV."""
    as_csv = {"content": {"text/csv": {"schema": {"type": "string"}}}}
    return {200: as_csv, **described(BAD_CURSOR, *kinds)}


def turn(fetch: Callable[[str | None], Page], cursor: str | None) -> Page:
    """The page at a cursor; a cursor that the port refuses is the caller's mistake."""
    if cursor is None:
        return fetch(None)
    try:
        return fetch(cursor)
    except (ValueError, OverflowError) as error:
        raise ProblemError(BAD_CURSOR, str(error)) from None


def cut(rows: Sequence[Row], key: Sequence[str], cursor: str | None, limit: int) -> Page:
    """A page of rows that came whole; they get sorted by `key`, whose values are unique."""
    after = None if cursor is None else decode_cursor(cursor, key)
    ordered = sorted(rows, key=lambda row: _place(row, key))
    left = [row for row in ordered if after is None or _place(row, key) > after]
    more = len(left) > limit
    return Page(left[:limit], encode_cursor(key, left[limit - 1]) if more else None)


def encode_cursor(key: Sequence[str], row: Row) -> str:
    """The cursor of the rows after `row`."""
    text = json.dumps([list(key), _place(row, key)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, key: Sequence[str]) -> list[str]:
    """The place that `encode_cursor` wrote, as text; another list's cursor is refused."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found, place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        whole = found == list(key) and len(place) == len(key)
        if whole and all(isinstance(part, str) for part in place):
            return place
    except (ValueError, TypeError, RecursionError):
        pass
    raise ProblemError(BAD_CURSOR, "this cursor was not given out by this list")


def _place(row: Row, key: Sequence[str]) -> list[str]:
    return [_sortable(row[part]) for part in key]


def _sortable(value: Any) -> str:
    # Instants are UTC and days ISO: their text sorts as they do.
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
