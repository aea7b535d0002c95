"""Which (meter, local day)s changed since a mark: one packed row a load.

A row a reading would cost as much as the readings themselves. Beside each meter stands the instant
of its newest reading in the load, so that another loader knows what it hasn't stored itself.
Readers go by marks, so loads may be folded: days under a higher mark are seen again at worst.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, func, insert, select, update

from storage.registry.models import LedgerTouchedRow, table_of

Days = dict[str, dict[str, int]]
"""Local day (ISO) → meter → newest instant of it in the load, epoch seconds."""

_TOUCHED: Table = table_of(LedgerTouchedRow)

_SEVERAL = ""
"""The writer of a folded row."""

_FOLD_TO = 10_000
"""Loads are folded until they hold so many meter-days: a reader's limit stays meaningful."""

_PAGE = 100
"""Rows fetched at a time."""

_decoder = msgspec.json.Decoder(Days)


def add(connection: Connection, writer: str, days: Days) -> int:
    """Keep what a load touched, in the caller's transaction; its mark."""
    statement = insert(_TOUCHED).returning(_TOUCHED.c.mark)
    row = {"writer": writer, "count": _count(days), "days": _pack(days)}
    return connection.execute(statement, row).scalar_one()


def newest_mark(connection: Connection) -> int:
    """The mark of the newest load; 0 before the first one."""
    return connection.execute(select(func.coalesce(func.max(_TOUCHED.c.mark), 0))).scalar_one()


def of_others(connection: Connection, writer: str, mark: int) -> Iterator[Days]:
    """What the loads of other writers touched after a mark."""
    query = (
        select(_TOUCHED.c.days)
        .where(_TOUCHED.c.mark > mark, _TOUCHED.c.writer != writer)
        .order_by(_TOUCHED.c.mark)
    )
    return map(unpack, connection.execute(query).scalars())


def after(connection: Connection, mark: int, limit: int) -> tuple[set[tuple[str, str]], int]:
    """Whole loads after a mark until `limit` different (day, meter)s are found, the last mark.

    A mark that no load has had was given by a store that was lost: the first load comes next.
    """
    seen: set[tuple[str, str]] = set()
    mark = mark if mark <= newest_mark(connection) else 0
    while len(seen) < limit:
        query = select(_TOUCHED.c.mark, _TOUCHED.c.days).where(_TOUCHED.c.mark > mark)
        rows = connection.execute(query.order_by(_TOUCHED.c.mark).limit(_PAGE)).all()
        if not rows:
            break
        for found, packed in rows:
            seen.update((day, meter) for day, meters in unpack(packed).items() for meter in meters)
            mark = found
            if len(seen) >= limit:
                break
    return seen, mark


def fold(connection: Connection) -> int:
    """Fold small loads together under their highest mark; how many rows that saved."""
    saved, mark = 0, 0
    group: list[int] = []
    days: Days = {}
    while rows := _small_loads(connection, mark):
        for mark, packed in rows:
            group.append(mark)
            for day, meters in unpack(packed).items():
                keep_newest(days.setdefault(day, {}), meters)
            if _count(days) >= _FOLD_TO:
                saved += _replace(connection, group, days)
                group, days = [], {}
    return saved + _replace(connection, group, days)


def _small_loads(connection: Connection, after_mark: int) -> list[tuple[int, bytes]]:
    """The next page of loads that can be folded."""
    query = select(_TOUCHED.c.mark, _TOUCHED.c.days).where(
        _TOUCHED.c.count < _FOLD_TO, _TOUCHED.c.mark > after_mark
    )
    rows = connection.execute(query.order_by(_TOUCHED.c.mark).limit(_PAGE))
    return [(mark, packed) for mark, packed in rows]


def _replace(connection: Connection, group: Sequence[int], days: Days) -> int:
    """Put one row in the place of the small loads whose marks these are, all of a stretch."""
    if len(group) < 2:
        return 0
    connection.execute(
        delete(_TOUCHED).where(
            _TOUCHED.c.count < _FOLD_TO, _TOUCHED.c.mark.between(group[0], group[-1] - 1)
        )
    )
    connection.execute(update(_TOUCHED).where(_TOUCHED.c.mark == group[-1]).values(folded(days)))
    return len(group) - 1


def folded(days: Days) -> dict[str, Any]:
    """Everything but the mark of a row that no single load wrote."""
    return {"writer": _SEVERAL, "count": _count(days), "days": _pack(days)}


def keep_newest(into: dict[str, int], others: Mapping[str, int]) -> None:
    """Add meters with their newest instants; the newer one stays."""
    for meter, at in others.items():
        if at > into.get(meter, at - 1):
            into[meter] = at


def _count(days: Days) -> int:
    return sum(map(len, days.values()))


def _pack(days: Days) -> bytes:
    return zlib.compress(msgspec.json.encode(days), 1)


def unpack(packed: bytes) -> Days:
    """The meter-days of one row."""
    return _decoder.decode(zlib.decompress(packed))
