"""The figures of the first page, of what the viewer sees."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from storage.registry.cursors import columns_of
from storage.registry.models import (
    AlertRow,
    ArrivalRow,
    CityRateRow,
    MeterRow,
    PlanStatusRow,
    UserRow,
    ZoneDayRow,
    ZoneRow,
)
from storage.registry.sight import (
    alerts_in_sight,
    meters_in_sight,
    users_in_sight,
    zones_in_sight,
)
from water.alerts import AlertState, Severity
from water.meters import MeterRole
from water.pages import Row
from water.viewer import Viewer


def load_home(connection: Connection, viewer: Viewer, today: date) -> Row:
    """See api.ports.RegistryQueries.home; `today` is the city's local day."""
    rates = _newest_rates(connection) if viewer.sees_all else []
    plans = _plan_execution(connection, viewer, today.year)
    instants: list[datetime] = [rate["as_of"] for rate in rates]
    if plans["as_of"] is not None:
        instants.append(plans["as_of"])
    return {
        "users": connection.scalar(
            select(func.count()).select_from(UserRow).where(users_in_sight(viewer))
        ),
        **plans,
        "alerts": _open_alerts(connection, viewer),
        **_supply(connection, viewer, today),
        **_arrival(connection, viewer, today),
        "city_rates": rates,
        "as_of": max(instants, default=None),
    }


def _plan_execution(connection: Connection, viewer: Viewer, year: int) -> Row:
    over = PlanStatusRow.used_m3 > PlanStatusRow.plan_m3
    query = (
        select(
            func.count().filter(over).label("over"),
            func.count().filter(PlanStatusRow.level != "", ~over).label("at_risk"),
            func.sum(PlanStatusRow.used_m3).label("plan_used_m3"),
            func.sum(PlanStatusRow.plan_to_date_m3).label("plan_to_date_m3"),
            func.max(PlanStatusRow.as_of).label("as_of"),
        )
        .join(UserRow, UserRow.id == PlanStatusRow.user_id)
        .where(PlanStatusRow.year == year, users_in_sight(viewer))
    )
    return dict(connection.execute(query).mappings().one())


def _open_alerts(connection: Connection, viewer: Viewer) -> dict[str, int]:
    query = (
        select(AlertRow.severity, func.count().label("open"))
        .where(AlertRow.state != AlertState.RESOLVED, alerts_in_sight(viewer))
        .group_by(AlertRow.severity)
    )
    counts = {row.severity: row.open for row in connection.execute(query)}
    return {str(severity): counts.get(severity, 0) for severity in Severity}


def _supply(connection: Connection, viewer: Viewer, today: date) -> Row:
    day = connection.scalar(
        select(func.max(ZoneDayRow.day))
        .join(ZoneRow, ZoneRow.id == ZoneDayRow.zone_id)
        .where(zones_in_sight(viewer), ZoneDayRow.day < today, ZoneDayRow.inflow_m3.is_not(None))
    )
    if day is None:
        return dict.fromkeys(
            ("day", "day_supply_m3", "day_large_use_m3",
             "month", "month_supply_m3", "month_large_use_m3")
        )  # fmt: skip
    month_end = (day + timedelta(days=1)).replace(day=1) - timedelta(days=1)
    month = month_end.replace(day=1)
    outermost = _outermost(connection, viewer)
    day_supply, day_large_use = _zone_sums(connection, outermost, day, day)
    month_supply, month_large_use = _zone_sums(connection, outermost, month, month_end)
    return {
        "day": day,
        "day_supply_m3": day_supply,
        "day_large_use_m3": day_large_use,
        "month": month,
        "month_supply_m3": month_supply,
        "month_large_use_m3": month_large_use,
    }


def _zone_sums(
    connection: Connection, zone_ids: Sequence[str], first: date, last: date
) -> tuple[float | None, float | None]:
    query = select(func.sum(ZoneDayRow.inflow_m3), func.sum(ZoneDayRow.large_use_m3)).where(
        ZoneDayRow.zone_id.in_(zone_ids), ZoneDayRow.day.between(first, last)
    )
    supply, large_use = connection.execute(query).one()
    return supply, large_use


def _outermost(connection: Connection, viewer: Viewer) -> list[str]:
    """Visible zones with an inlet that lie in no other such: that one's supply holds theirs."""
    zones = connection.execute(select(ZoneRow.id, ZoneRow.parent_id).where(zones_in_sight(viewer)))
    parents = {row.id: row.parent_id for row in zones}
    inlets = select(MeterRow.zone_id).where(MeterRow.role == MeterRole.ZONE_INLET)
    supplied = parents.keys() & set(connection.scalars(inlets.distinct()))
    return [zone for zone in supplied if supplied.isdisjoint(_around(zone, parents))]


def _around(zone_id: str, parents: Mapping[str, str | None]) -> set[str]:
    """The visible zones around a zone, itself not."""
    around = set[str]()
    outer = parents.get(zone_id)
    while outer and outer not in around:
        around.add(outer)
        outer = parents.get(outer)
    return around


def _arrival(connection: Connection, viewer: Viewer, today: date) -> Row:
    seen = select(MeterRow.id).where(meters_in_sight(viewer))
    day = connection.scalar(
        select(func.max(ArrivalRow.day)).where(
            ArrivalRow.day < today, ArrivalRow.meter_id.in_(seen)
        )
    )
    received, expected = connection.execute(
        select(func.sum(ArrivalRow.received), func.sum(ArrivalRow.expected)).where(
            ArrivalRow.day == day, ArrivalRow.meter_id.in_(seen)
        )
    ).one()
    return {"arrival_day": day, "arrival_rate": received / expected if expected else None}


def _newest_rates(connection: Connection) -> list[Row]:
    newest: dict[str, dict[str, Any]] = {}
    for row in connection.execute(
        select(*columns_of(CityRateRow)).order_by(CityRateRow.period)
    ).mappings():
        newest[_kind_of_period(row["period"])] = dict(row)
    return [newest[kind] for kind in ("year", "month", "rolling") if kind in newest]


def _kind_of_period(period: str) -> str:
    if period.startswith("r12:"):
        return "rolling"
    return "month" if "-" in period else "year"
