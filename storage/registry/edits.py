"""What people say about readings and meter changes: the write side that the registry room uses."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Table, delete, insert, select, update

from storage.registry.consequences import edit_job
from storage.registry.engine import writing_alone
from storage.registry.imports import RegistryTransaction
from storage.registry.ledger import translated
from storage.registry.models import (
    ConflictDecisionRow,
    EditRow,
    MeterChangeRow,
    MeterEventRow,
    MeterRow,
    RunStateRow,
    table_of,
)
from storage.registry.upserts import upsert
from water.clock import Clock

_EDIT, _DECISION = table_of(EditRow), table_of(ConflictDecisionRow)
_METER, _CHANGE, _EVENT = table_of(MeterRow), table_of(MeterChangeRow), table_of(MeterEventRow)
_STATE = table_of(RunStateRow)

Row = dict[str, Any]


class EditTransaction(RegistryTransaction):
    """What may be done within `EditStore.transaction()` (registry.ports.EditTransaction)."""

    def meter(self, meter_id: str) -> Row | None:
        """A meter."""
        return self._first(_METER, _METER.c.id == meter_id)

    def edit(self, edit_id: int) -> Row | None:
        """An edit."""
        return self._first(_EDIT, _EDIT.c.id == edit_id)

    def edits_at(self, meter_id: str, at: datetime) -> list[Row]:
        """Every edit of a meter's reading at an instant, by version."""
        query = select(_EDIT).where(_EDIT.c.meter_id == meter_id, _EDIT.c.at == at)
        found = self.connection.execute(query.order_by(_EDIT.c.version)).mappings()
        return [dict(row) for row in found]

    def add_edit(self, row: Mapping[str, Any]) -> int:
        """Keep an edit; its id."""
        statement = insert(_EDIT).values(dict(row)).returning(_EDIT.c.id)
        return self.connection.execute(statement).scalar_one()

    def change_edit(self, edit_id: int, values: Mapping[str, Any]) -> None:
        """Move an edit to another state."""
        self.connection.execute(update(_EDIT).where(_EDIT.c.id == edit_id).values(dict(values)))

    def recompute(self, meter_id: str, at: datetime, asked_by: str) -> None:
        """Ask for the figures around an edit."""
        self.ask_again(edit_job(meter_id, at), asked_by)

    def decision(self, meter_id: str, at: datetime, quantity: str, offered: float) -> Row | None:
        """What was decided about a conflict."""
        return self._first(
            _DECISION,
            (_DECISION.c.meter_id == meter_id)
            & (_DECISION.c.at == at)
            & (_DECISION.c.quantity == quantity)
            & (_DECISION.c.offered == offered),
        )

    def put_decision(self, row: Mapping[str, Any]) -> None:
        """Keep what was decided about a conflict, in the place of an earlier decision."""
        upsert(self.connection, _DECISION, [row])

    def changes_near(self, meter_id: str, at: datetime, within: timedelta) -> list[Row]:
        """The changes of a meter less than `within` away from an instant, by time."""
        near = (_CHANGE.c.at > at - within) & (_CHANGE.c.at < at + within)
        query = select(_CHANGE).where(_CHANGE.c.meter_id == meter_id, near)
        return [
            dict(row) for row in self.connection.execute(query.order_by(_CHANGE.c.at)).mappings()
        ]

    def remove_change(self, change: Mapping[str, Any]) -> None:
        """Take a meter change out that was wrong; what it made is computed again."""
        key = (_CHANGE.c.meter_id == change["meter_id"]) & (_CHANGE.c.at == change["at"])
        self.connection.execute(delete(_CHANGE).where(key))
        first = (change["at"] - timedelta(days=2)).date().isoformat()
        self.ask_again({"meter_ids": [change["meter_id"]], "first": first}, "meter change")

    def event(self, event_id: int) -> Row | None:
        """A meter change that a supplier sent."""
        return self._first(_EVENT, _EVENT.c.id == event_id)

    def events(self, supplier_id: str, meter_id: str | None, refusal: str) -> list[Row]:
        """What a supplier sent of one meter, or with one refusal."""
        of = (_EVENT.c.supplier_id == supplier_id) & (_EVENT.c.refusal == refusal)
        of &= _EVENT.c.meter_id.is_(None) if meter_id is None else _EVENT.c.meter_id == meter_id
        query = select(_EVENT).where(of).order_by(_EVENT.c.id)
        return [dict(row) for row in self.connection.execute(query).mappings()]

    def add_event(self, row: Mapping[str, Any]) -> None:
        """Keep what a supplier sent."""
        self.connection.execute(insert(_EVENT).values(dict(row)))

    def change_event(self, event_id: int, values: Mapping[str, Any]) -> None:
        """Say what became of an event, or that it came again."""
        self.connection.execute(update(_EVENT).where(_EVENT.c.id == event_id).values(dict(values)))

    def taken_to(self, journal: str) -> int:
        """The number of the journal's newest entry whose events were taken."""
        query = select(_STATE.c.value).where(_STATE.c.name == _taken(journal))
        value = self.connection.execute(query).scalar_one_or_none()
        return value["entry"] if value else 0

    def set_taken_to(self, journal: str, entry: int) -> None:
        """Remember that number."""
        upsert(self.connection, _STATE, [{"name": _taken(journal), "value": {"entry": entry}}])

    def _first(self, table: Table, condition: Any) -> Row | None:
        row = self.connection.execute(select(table).where(condition)).mappings().first()
        return dict(row) if row else None


def _taken(journal: str) -> str:
    return f"meter_events.{journal}"


class EditStore:
    """Edits, decisions and meter changes for writing (registry.ports.EditRows)."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @contextmanager
    def transaction(self) -> Generator[EditTransaction]:
        """Read, decide and write, alone: leaving the block commits, an exception undoes it all.

        Raises:
            StoreUnavailableError: the database is away.
        """
        with translated(), writing_alone(self._engine) as connection:
            yield EditTransaction(connection, self._clock)
