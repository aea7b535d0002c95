"""Ingest's ledger: positions, tallies, quarantine and conflicts, for any thread to read.

They lie beside the registry where the readings store keeps readings only. Whoever writes does so
alone, in a session of `storage.registry.ledger_session`.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Select, Table, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from storage.errors import StoreUnavailableError
from storage.quarantine import storable_refused
from storage.registry.engine import for_reading
from storage.registry.ledger_unsettled import LeftBehind, find_left_behind
from storage.registry.models import (
    LedgerConflictRow,
    LedgerPositionRow,
    LedgerQuarantineRow,
    LedgerTallyRow,
    table_of,
)
from storage.registry.upserts import upsert
from water.loading import Position, Refused, Tally
from water.pages import Page

_POSITION: Table = table_of(LedgerPositionRow)
_TALLY: Table = table_of(LedgerTallyRow)
_QUARANTINE: Table = table_of(LedgerQuarantineRow)
_CONFLICT: Table = table_of(LedgerConflictRow)


class Conflict(NamedTuple):
    """A value that was offered for a quantity that had another one; instants in epoch seconds."""

    meter_id: str
    at: int
    quantity: str
    kept: float
    offered: float
    received_at: int


@contextmanager
def translated() -> Generator[None]:
    """Say of a database that is away that the store is.

    Raises:
        StoreUnavailableError: connection refused or broken, locked for too long.
    """
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise StoreUnavailableError(f"the registry database: {error}") from error


class Ledger:
    """Reads the ledger; every method raises StoreUnavailableError where the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._reading = for_reading(engine)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection that only reads."""
        with translated(), self._reading.connect() as connection:
            yield connection

    def position(self, journal: str) -> Position:
        """Where loading of a journal goes on; its beginning when nothing was loaded."""
        query = select(_POSITION).where(_POSITION.c.journal == journal)
        with self.reading() as connection:
            row = connection.execute(query).one_or_none()
        return Position(row.segment, row.offset, row.entry) if row else Position()

    def marker(self, journal: str) -> str:
        """The marker that a journal is known by; "" = none yet."""
        with self.reading() as connection:
            return load_marker(connection, journal)

    def tallies(self) -> dict[Tally, int]:
        """Every count that is not 0."""
        with self.reading() as connection:
            rows = connection.execute(select(_TALLY).where(_TALLY.c.count != 0)).all()
        return {Tally(r.supplier, r.ledger, r.account, r.reason): r[-1] for r in rows}

    def quarantine_depth(self) -> dict[str, int]:
        """Rows held in quarantine, a supplier."""
        supplier = _QUARANTINE.c.supplier
        with self.reading() as connection:
            rows = connection.execute(select(supplier, func.count()).group_by(supplier))
            return {row[0]: row[1] for row in rows}

    def left_behind(self) -> LeftBehind:
        """What loads wrote, or were about to, and nobody has counted."""
        with self.reading() as connection:
            return find_left_behind(connection)

    def oldest_refused_segment(self, journal: str) -> int | None:
        """The first segment of a journal in which a row of the quarantine stands, or None."""
        query = select(func.min(_QUARANTINE.c.segment)).where(_QUARANTINE.c.journal == journal)
        with self.reading() as connection:
            return connection.execute(query).scalar_one()

    def load_refused(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The quarantine rows of these ids that are there, in order of id."""
        query = select(_QUARANTINE).where(_QUARANTINE.c.id.in_(ids)).order_by(_QUARANTINE.c.id)
        with self.reading() as connection:
            return _fetch(connection, query)

    def page_refused(
        self,
        *,
        supplier: str = "",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """A page of the quarantine, newest first; "" = any.

        Raises:
            ValueError: the cursor is not one that a page gave.
        """
        query = select(_QUARANTINE).order_by(_QUARANTINE.c.id.desc()).limit(limit + 1)
        if supplier:
            query = query.where(_QUARANTINE.c.supplier == supplier)
        if reason:
            query = query.where(_QUARANTINE.c.reason == reason)
        if cursor is not None:
            query = query.where(_QUARANTINE.c.id < int(cursor))
        with self.reading() as connection:
            rows = _fetch(connection, query)
        page = rows[:limit]
        return Page(page, str(page[-1]["id"]) if len(rows) > limit else None)

    def conflicts(self, start: int, end: int) -> list[Conflict]:
        """Conflicts with start <= at < end (epoch seconds), sorted by (meter_id, at, quantity)."""
        columns = [_CONFLICT.c[name] for name in Conflict._fields]
        query = select(*columns).where(_CONFLICT.c.at >= start, _CONFLICT.c.at < end)
        with self.reading() as connection:
            rows = connection.execute(query.order_by(*columns[:3])).all()
        return [Conflict(*row) for row in rows]


# ---------------------------------------------------------------- in a load's transaction


def add_tallies(connection: Connection, tallies: Mapping[Tally, int]) -> None:
    """Add to the counts."""
    if not tallies:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    added = dialect.insert(_TALLY)
    statement = added.on_conflict_do_update(
        index_elements=list(_TALLY.primary_key.columns),
        set_={"count": _TALLY.c.count + added.excluded.count},
    )
    rows = [{**tally._asdict(), "count": count} for tally, count in sorted(tallies.items())]
    connection.execute(statement, rows)


def set_position(connection: Connection, journal: str, position: Position) -> None:
    """Keep where loading of a journal goes on."""
    upsert(connection, _POSITION, [{"journal": journal, **position._asdict()}])


def load_marker(connection: Connection, journal: str) -> str:
    """The marker that a journal is known by; "" = none yet."""
    query = select(_POSITION.c.marker).where(_POSITION.c.journal == journal)
    return connection.execute(query).scalar_one_or_none() or ""


def swap_marker(connection: Connection, journal: str, known: str, marker: str) -> str:
    """Put another marker in the place of the known one; the one that stands there now."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    begun = {"journal": journal, **Position()._asdict()}
    connection.execute(dialect.insert(_POSITION).on_conflict_do_nothing(), [begun])
    ours = (_POSITION.c.journal == journal) & (_POSITION.c.marker == known)
    connection.execute(update(_POSITION).where(ours).values(marker=marker))
    return load_marker(connection, journal)


def add_refused(connection: Connection, refused: Sequence[Refused]) -> None:
    """Keep refused readings, as every database can hold them."""
    if refused:
        rows = [storable_refused(row._asdict()) for row in refused]
        connection.execute(_QUARANTINE.insert(), rows)


def find_refused(connection: Connection, ids: Iterable[int]) -> dict[int, Tally]:
    """Of these quarantine rows those that are there, with the account that each stands on."""
    columns = (_QUARANTINE.c.id, _QUARANTINE.c.supplier, _QUARANTINE.c.reason)
    rows = connection.execute(select(*columns).where(_QUARANTINE.c.id.in_(ids)))
    return {
        row_id: Tally(supplier, "readings", "quarantined", reason)
        for row_id, supplier, reason in rows
    }


def delete_refused(connection: Connection, ids: Iterable[int]) -> None:
    """Take rows out of quarantine."""
    connection.execute(delete(_QUARANTINE).where(_QUARANTINE.c.id.in_(ids)))


def add_conflicts(connection: Connection, conflicts: Sequence[Conflict]) -> None:
    """Keep conflicts; one that is known is kept once."""
    if not conflicts:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(_CONFLICT).on_conflict_do_nothing()
    connection.execute(statement, [conflict._asdict() for conflict in conflicts])


def _fetch(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]
