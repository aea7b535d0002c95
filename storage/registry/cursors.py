"""Pages of lists; a cursor is the sort key of the last row given out, opaque and checked."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Integer, Select, String, literal, tuple_
from sqlalchemy.orm import QueryableAttribute

from storage.registry.models import Base, UtcDateTime
from water.pages import Page

Key = Sequence[QueryableAttribute[Any]]


class CursorError(ValueError):
    """A cursor that no list of this kind gave out."""


def fetch_page(
    connection: Connection,
    query: Select[Any],
    name: str,
    key: Key,
    *,
    cursor: str | None,
    limit: int,
    newest_first: bool = False,
) -> Page:
    """One page of `query` in the order of `key`, which must be among its columns and unique.

    `name` says which list it is: a cursor of another list is refused (CursorError).
    """
    if cursor is not None:
        query = query.where(_beyond(key, _decode(name, key, cursor), newest_first))
    order = [column.desc() if newest_first else column.asc() for column in key]
    found = connection.execute(query.order_by(*order).limit(limit + 1)).mappings().all()
    rows = [dict(row) for row in found[:limit]]
    last = [rows[-1][column.key] for column in key] if len(found) > limit else None
    return Page(rows, None if last is None else _encode(name, last))


def columns_of(table: type[Base], *without: str) -> Sequence[ColumnElement[Any]]:
    """The columns of a table but some, to select plain rows."""
    return [column for column in table.__table__.columns if column.key not in without]


def _beyond(key: Key, values: list[Any], newest_first: bool) -> ColumnElement[bool]:
    place = tuple_(*key)
    last = tuple_(*(literal(value, column.type) for column, value in zip(key, values, strict=True)))
    return place < last if newest_first else place > last


def _encode(name: str, values: list[Any]) -> str:
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    text = json.dumps([name, *plain], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(name: str, key: Key, cursor: str) -> list[Any]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts: object = json.loads(text)
        if not isinstance(parts, list):
            raise CursorError("not a cursor")
        found, *values = cast("list[object]", parts)
        if found != name or len(values) != len(key):
            raise CursorError(f"not a cursor of {name}")
        return [_typed(column, value) for column, value in zip(key, values, strict=True)]
    except (ValueError, binascii.Error, RecursionError) as error:
        raise CursorError(f"not a cursor of {name}") from error


def _typed(column: QueryableAttribute[Any], value: object) -> Any:
    if isinstance(column.type, UtcDateTime) and isinstance(value, str):
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at
    if isinstance(column.type, Integer) and type(value) is int and abs(value) < 2**31:
        return value
    if isinstance(column.type, String) and isinstance(value, str):
        return value
    raise CursorError(f"not a key of {column.key}: {value!r}")
