"""Tables of the registry database as rows for JSON, and back, over kinds of databases."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import JSON, Connection, Table, TypeDecorator, func, insert, select, text

from storage.batches import ROWS_AT_ONCE, in_batches
from storage.registry.models import Base

TABLES: Sequence[Table] = [
    table for table in Base.metadata.sorted_tables if not table.name.startswith("ledger_")
]
"""What is kept of the registry, referenced tables first; the ledger belongs to the readings."""


def dump_table(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    """The rows of a table, fetched as they are read."""
    found = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(select(table))
    for row in found.mappings():
        yield dict(row)


def restore_table(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows that `dump_table` gave, also after their way through JSON."""
    readers = {column.name: _reader(column.type) for column in table.columns}
    read = ({name: readers[name](row[name]) for name in row} for row in rows)
    ordered = _referenced_first(table, read)
    # A None for a JSON column would become the JSON word null: it is left out.
    for _, alike in groupby(map(_without_none, ordered), tuple):
        for batch in in_batches(alike):
            connection.execute(insert(table), batch)


def reset_counter(connection: Connection, table: Table) -> None:
    """Let a table's numbers go on after the highest; SQLite does so by itself."""
    column = table.autoincrement_column
    if connection.dialect.name != "postgresql" or column is None:
        return
    highest = connection.execute(select(func.max(column))).scalar_one()
    connection.execute(
        text("SELECT setval(pg_get_serial_sequence(:table, :column), :next, false)"),
        {"table": table.name, "column": column.name, "next": (highest or 0) + 1},
    )


def _reader(kind: Any) -> Callable[[Any], Any]:
    if isinstance(kind, JSON):
        return lambda value: value
    python = (kind.impl_instance if isinstance(kind, TypeDecorator) else kind).python_type
    return lambda value: None if value is None else msgspec.convert(value, python, strict=False)


def _without_none(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _referenced_first(table: Table, rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Rows of a table that references itself, so that each comes after the one it names."""
    own = [key.parent.name for key in table.foreign_keys if key.column.table is table]
    if not own:
        return rows
    ((reference,), (key,)) = own, [column.name for column in table.primary_key]
    waiting = list(rows)
    ordered: list[dict[str, Any]] = []
    there: set[Any] = {None}
    while waiting:
        ready = [row for row in waiting if row[reference] in there]
        if not ready:
            raise ValueError(f"rows of {table.name} name each other in a circle")
        there.update(row[key] for row in ready)
        ordered += ready
        waiting = [row for row in waiting if row[key] not in there]
    return ordered
