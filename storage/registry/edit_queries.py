"""Edits, decisions, suppliers' meter changes and billing reads, as people and programs ask."""

from datetime import date, datetime

from sqlalchemy import ColumnElement, Engine, Select, false, select, true

from storage.registry.cursors import columns_of, fetch_page
from storage.registry.engine import for_reading
from storage.registry.models import (
    BillingReadRow,
    ConflictDecisionRow,
    EditRow,
    MeterEventRow,
    MeterRow,
)
from storage.registry.sight import meters_in_sight
from water.edits import EditState
from water.pages import Page, Row
from water.viewer import Role, Viewer


class EditQueries:
    """Implements api.ports.EditQueries: of the meters in a viewer's sight, newest first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = for_reading(engine)

    def edits(
        self,
        viewer: Viewer,
        *,
        meter_id: str = "",
        state: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Edits of any state; "" = any."""
        query = select(*columns_of(EditRow)).where(EditRow.meter_id.in_(_meters(viewer)))
        wanted = ((EditRow.meter_id, meter_id), (EditRow.state, state))
        query = query.where(*(column == value for column, value in wanted if value))
        with self._engine.connect() as connection:
            return fetch_page(
                connection, query, "edits", [EditRow.id], cursor=cursor, limit=limit,
                newest_first=True,
            )  # fmt: skip

    def edit(self, viewer: Viewer, edit_id: int) -> Row | None:
        """An edit."""
        query = select(*columns_of(EditRow)).where(
            EditRow.id == edit_id, EditRow.meter_id.in_(_meters(viewer))
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else dict(row)

    def decisions(self, viewer: Viewer, start: datetime, end: datetime) -> list[Row]:
        """What was decided about conflicts with start <= at < end, and holds.

        A conflict whose correction was withdrawn is open again.
        """
        query = (
            select(*columns_of(ConflictDecisionRow))
            .outerjoin(EditRow, EditRow.id == ConflictDecisionRow.edit_id)
            .where(
                ConflictDecisionRow.meter_id.in_(_meters(viewer)),
                ConflictDecisionRow.at >= start,
                ConflictDecisionRow.at < end,
                EditRow.id.is_(None) | (EditRow.state == EditState.APPROVED),
            )
        )
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def billing_reads(self, viewer: Viewer, first: date, last: date) -> list[Row]:
        """Billing reads of which a day lies within first to last, by meter and first day."""
        query = (
            select(*columns_of(BillingReadRow))
            .where(
                BillingReadRow.meter_id.in_(_meters(viewer)),
                BillingReadRow.first <= last,
                BillingReadRow.last >= first,
            )
            .order_by(BillingReadRow.meter_id, BillingReadRow.first)
        )
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def meter_events(
        self, viewer: Viewer, *, state: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page:
        """Meter changes that suppliers sent; suppliers see their own, users none."""
        query = select(*columns_of(MeterEventRow)).where(_events_in_sight(viewer))
        if state:
            query = query.where(MeterEventRow.state == state)
        with self._engine.connect() as connection:
            return fetch_page(
                connection, query, "meter-events", [MeterEventRow.id], cursor=cursor, limit=limit,
                newest_first=True,
            )  # fmt: skip


def _meters(viewer: Viewer) -> Select[str]:
    return select(MeterRow.id).where(meters_in_sight(viewer))


def _events_in_sight(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.sees_all:
        return true()
    if viewer.role is Role.SUPPLIER:
        return MeterEventRow.supplier_id == viewer.scope
    return false()
