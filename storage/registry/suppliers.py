# pyright: standard
# pandas ships no stubs: strict rules about unknown types have nothing to hold on to.
"""What is kept of a supplier's data, day by day: arrivals of its meters, and ingest's counts."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from storage.registry.models import ArrivalRow, MeterRow, SupplierRow, TallyDayRow, table_of
from storage.registry.sight import meters_in_sight
from water.loading import Tally
from water.meters import Meter, MeterRole
from water.pages import Row
from water.viewer import Role, Viewer

_MOST_METER_DAYS = 100_000
"""Delays of more days of meters than these are sampled: their quantiles need no more."""
_IDS_A_STATEMENT = 5_000

_METER, _ARRIVAL, _TALLY_DAY = map(table_of, (MeterRow, ArrivalRow, TallyDayRow))


def load_supplier_days(
    connection: Connection, viewer: Viewer, supplier_id: str, first: date, last: date
) -> Row | None:
    """See api.ports.RegistryQueries.supplier_days."""
    if not (viewer.sees_all or (viewer.role is Role.SUPPLIER and viewer.scope == supplier_id)):
        return None
    supplier = select(SupplierRow.id, SupplierRow.name).where(SupplierRow.id == supplier_id)
    row = connection.execute(supplier).mappings().one_or_none()
    if row is None:
        return None
    before = first - timedelta(days=1)
    whole = _counts_on(connection, supplier_id, last)
    counts = Counter(whole)
    counts.subtract(_counts_on(connection, supplier_id, before))
    meters = _load_meters(connection, supplier_id)
    return {
        **row,
        "meters": meters,
        "arrived": _sum_arrivals(connection, supplier_id, first, last),
        "least_delays": _least_delays(connection, supplier_id, first, last),
        "delays": _load_delays(connection, meters, first, last),
        "counts": {tally: count for tally, count in counts.items() if count},
        "counted_from": _newest_day(connection, supplier_id, before),
        "counted_until": _newest_day(connection, supplier_id, last),
        "counted": whole,
    }


def load_supplier_names(connection: Connection, viewer: Viewer) -> dict[str, str]:
    """See api.ports.RegistryQueries.supplier_names."""
    of_meters = select(MeterRow.supplier_id).where(meters_in_sight(viewer))
    own = viewer.scope if viewer.role is Role.SUPPLIER else None
    query = select(SupplierRow.id, SupplierRow.name)
    if not viewer.sees_all:
        query = query.where(or_(SupplierRow.id == own, SupplierRow.id.in_(of_meters)))
    return {row.id: row.name for row in connection.execute(query)}


def _load_meters(connection: Connection, supplier_id: str) -> list[Meter]:
    query = select(_METER).where(_METER.c.supplier_id == supplier_id).order_by(_METER.c.id)
    rows = connection.execute(query).mappings()
    return [Meter(**{**row, "role": MeterRole(row["role"])}) for row in rows]


def _sum_arrivals(
    connection: Connection, supplier_id: str, first: date, last: date
) -> dict[str, int]:
    names = ("expected", "received", "valid")
    of = [func.coalesce(func.sum(_ARRIVAL.c[name]), 0).label(name) for name in names]
    query = select(*of).select_from(_ARRIVAL.join(_METER)).where(_within(supplier_id, first, last))
    return {name: int(count) for name, count in connection.execute(query).mappings().one().items()}


def _least_delays(connection: Connection, supplier_id: str, first: date, last: date) -> list[float]:
    least = func.min(_ARRIVAL.c.least_delay_s)
    query = select(least).select_from(_ARRIVAL.join(_METER)).group_by(_ARRIVAL.c.meter_id)
    query = query.where(_within(supplier_id, first, last)).having(least.is_not(None))
    return [float(delay) for delay in connection.execute(query).scalars()]


def _load_delays(
    connection: Connection, meters: Sequence[Meter], first: date, last: date
) -> pd.DataFrame:
    """Delays of the meters' days; of very many, those of every so-manieth meter."""
    step = -(-len(meters) * ((last - first).days + 1) // _MOST_METER_DAYS)
    chosen = [meter.id for meter in meters[:: max(1, step)]]
    of = _ARRIVAL.c
    names = ("received", "least_delay_s", "median_delay_s", "p95_delay_s", "most_delay_s")
    rows: list[Sequence[float]] = []
    for i in range(0, len(chosen), _IDS_A_STATEMENT):
        query = select(*(of[name] for name in names)).where(
            of.meter_id.in_(chosen[i : i + _IDS_A_STATEMENT]),
            of.day.between(first, last),
            of.least_delay_s.is_not(None),
        )
        rows += map(tuple, connection.execute(query))
    return pd.DataFrame(rows, columns=list(names), dtype="float64")


def _within(supplier_id: str, first: date, last: date) -> ColumnElement[bool]:
    return and_(_METER.c.supplier_id == supplier_id, _ARRIVAL.c.day.between(first, last))


def _counts_on(connection: Connection, supplier_id: str, day: date) -> dict[Tally, int]:
    """What each count had come to as of a local day's last evaluation.

    A count that did not move was not kept anew.
    """
    of = _TALLY_DAY.c
    key = (of.supplier, of.ledger, of.account, of.reason)
    newest = (
        select(*key, func.max(of.day).label("day"))
        .where(of.supplier == supplier_id, of.day <= day)
        .group_by(*key)
        .subquery()
    )
    same = and_(of.day == newest.c.day, *(column == newest.c[column.name] for column in key))
    rows = connection.execute(select(*key, of.count).join(newest, same))
    return {Tally(*tally): count for *tally, count in rows}


def _newest_day(connection: Connection, supplier_id: str, day: date) -> date | None:
    """The newest day until then of which counts are kept."""
    of = _TALLY_DAY.c
    query = select(func.max(of.day)).where(of.supplier == supplier_id, of.day <= day)
    return connection.execute(query).scalar_one()
