"""The ledger's tables as rows that any kind of store reads (storage.contracts.LedgerRow)."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select

from storage.batches import in_batches
from storage.contracts import LedgerRow
from storage.quarantine import storable_refused
from storage.registry import ledger_touched
from storage.registry.dump import dump_table, reset_counter, restore_table
from storage.registry.models import (
    LedgerConflictRow,
    LedgerPositionRow,
    LedgerQuarantineRow,
    LedgerTallyRow,
    LedgerTouchedRow,
    LedgerUnsettledRow,
    table_of,
)

_TOUCHED: Table = table_of(LedgerTouchedRow)
_TABLES: Mapping[str, Table] = {
    "position": table_of(LedgerPositionRow),
    "tally": table_of(LedgerTallyRow),
    "quarantine": table_of(LedgerQuarantineRow),
    "conflict": table_of(LedgerConflictRow),
    "unsettled": table_of(LedgerUnsettledRow),
}


def dump(connection: Connection) -> Iterator[LedgerRow]:
    """Every row of the ledger."""
    for kind, table in _TABLES.items():
        for row in dump_table(connection, table):
            yield kind, row
    query = select(_TOUCHED.c.mark, _TOUCHED.c.days).order_by(_TOUCHED.c.mark)
    for mark, packed in connection.execute(query):
        yield "touched", {"mark": mark, "days": ledger_touched.unpack(packed)}


def restore(connection: Connection, rows: Iterable[LedgerRow]) -> None:
    """Replace the ledger, in the caller's transaction."""
    for table in (*_TABLES.values(), _TOUCHED):
        connection.execute(delete(table))
    for kind, of_kind in groupby(rows, itemgetter(0)):
        found = (row for _, row in of_kind)
        if kind == "touched":
            _restore_touched(connection, found)
        else:
            rows_of_kind = map(storable_refused, found) if kind == "quarantine" else found
            restore_table(connection, _TABLES[kind], rows_of_kind)
    for table in (*_TABLES.values(), _TOUCHED):
        reset_counter(connection, table)


def _restore_touched(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    for batch in in_batches(rows):
        connection.execute(
            insert(_TOUCHED),
            [{"mark": row["mark"], **ledger_touched.folded(row["days"])} for row in batch],
        )
