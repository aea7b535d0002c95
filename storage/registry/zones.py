"""Zones with the figures that a list of them shows."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, Subquery, and_, func, select

from storage.registry.cursors import columns_of
from storage.registry.models import ZoneDayRow, ZoneNightRow, ZoneRow
from storage.registry.sight import zones_in_sight
from water.pages import Row
from water.viewer import Viewer

ZONE_BALANCE_DAYS = 30
"""Days before today of which those that are wholly known make a zone's gross loss share."""


def zones_query(viewer: Viewer, today: date) -> Select[Any]:
    """Zones in sight with their newest measured night and the days before `today`."""
    newest = (
        select(ZoneNightRow.zone_id, func.max(ZoneNightRow.day).label("day"))
        .where(ZoneNightRow.minimum_night_flow_m3_h.is_not(None))
        .group_by(ZoneNightRow.zone_id)
        .subquery()
    )
    balance = _zone_balance(today)
    night = and_(ZoneNightRow.zone_id == ZoneRow.id, ZoneNightRow.day == newest.c.day)
    return (
        select(
            *columns_of(ZoneRow),
            ZoneNightRow.day.label("night_day"),
            ZoneNightRow.minimum_night_flow_m3_h,
            ZoneNightRow.night_use_m3_h,
            ZoneNightRow.net_night_flow_m3_h,
            ZoneNightRow.baseline_m3_h,
            balance.c.inflow_m3,
            balance.c.large_use_m3,
            balance.c.gross_loss_days,
        )
        .outerjoin(newest, newest.c.zone_id == ZoneRow.id)
        .outerjoin(ZoneNightRow, night)
        .outerjoin(balance, balance.c.zone_id == ZoneRow.id)
        .where(zones_in_sight(viewer))
    )


def _zone_balance(today: date) -> Subquery:
    # A day on which an inlet or a large user is partly unknown would look like a gain or a loss.
    first, last = today - timedelta(days=ZONE_BALANCE_DAYS), today - timedelta(days=1)
    return (
        select(
            ZoneDayRow.zone_id,
            func.sum(ZoneDayRow.inflow_m3).label("inflow_m3"),
            func.sum(ZoneDayRow.large_use_m3).label("large_use_m3"),
            func.count().label("gross_loss_days"),
        )
        .where(
            ZoneDayRow.day.between(first, last),
            ZoneDayRow.inflow_m3.is_not(None),
            ZoneDayRow.large_use_m3.is_not(None),
            ZoneDayRow.missing_share == 0,
        )
        .group_by(ZoneDayRow.zone_id)
        .subquery()
    )


def with_gross_loss(zone: Row) -> Row:
    """The zone with gross_loss_share = (inflow − large use) / inflow of `gross_loss_days` days."""
    inflow_m3, large_use_m3 = zone["inflow_m3"], zone["large_use_m3"]
    share = (inflow_m3 - large_use_m3) / inflow_m3 if inflow_m3 else None
    return zone | {"gross_loss_share": share, "gross_loss_days": zone["gross_loss_days"] or 0}
