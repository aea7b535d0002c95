"""Which rows a viewer may see, as conditions of a query; the only place that says so in SQL.

A supplier sees its own meters, the users of those meters and the zones in which they lie or which
they feed; a user sees itself and its meters. Water group, bureau and administrator see all.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select, true
from sqlalchemy.orm import QueryableAttribute

from storage.registry.models import AlertRow, MeterRow, UserRow, ZoneRow
from water.findings import SubjectKind
from water.viewer import Role, Viewer

Condition = ColumnElement[bool]


def meters_in_sight(viewer: Viewer) -> Condition:
    """Condition on MeterRow."""
    if viewer.sees_all:
        return true()
    if viewer.role is Role.SUPPLIER:
        return MeterRow.supplier_id == viewer.scope
    if viewer.role is Role.USER:
        return MeterRow.user_id == viewer.scope
    return false()


def users_in_sight(viewer: Viewer) -> Condition:
    """Condition on UserRow."""
    if viewer.sees_all:
        return true()
    if viewer.role is Role.SUPPLIER:
        return _of_its_meters(viewer, UserRow.id, MeterRow.user_id)
    if viewer.role is Role.USER:
        return UserRow.id == viewer.scope
    return false()


def zones_in_sight(viewer: Viewer) -> Condition:
    """Condition on ZoneRow."""
    if viewer.sees_all:
        return true()
    if viewer.role is Role.SUPPLIER:
        return _of_its_meters(viewer, ZoneRow.id, MeterRow.zone_id)
    return false()


def alerts_in_sight(viewer: Viewer) -> Condition:
    """Condition on AlertRow: those of visible meters, and of the supplier or user itself."""
    if viewer.sees_all:
        return true()
    own = {Role.SUPPLIER: SubjectKind.SUPPLIER, Role.USER: SubjectKind.USER}.get(viewer.role)
    if own is None:
        return false()
    return or_(
        and_(AlertRow.subject_kind == own, AlertRow.subject_id == viewer.scope),
        and_(
            AlertRow.subject_kind == SubjectKind.METER,
            _of_its_meters(viewer, AlertRow.subject_id, MeterRow.id),
        ),
    )


def _of_its_meters(
    viewer: Viewer, column: QueryableAttribute[Any], of_meter: QueryableAttribute[Any]
) -> Condition:
    of_meters = select(of_meter).where(meters_in_sight(viewer), of_meter.is_not(None))
    return column.in_(of_meters)
