# pyright: standard
# pandas ships no stubs: strict rules about unknown types have nothing to hold on to.
"""What is kept of a supplier's data, day by day: arrivals of its meters, and ingest's counts."""

from collections import Counter
from datetime import date, timedelta

import pandas as pd
from sqlalchemy import Connection, and_, func, select

from storage.registry.models import ArrivalRow, MeterRow, SupplierRow, TallyDayRow, table_of
from water.loading import Tally
from water.meters import Meter, MeterRole
from water.pages import Row
from water.viewer import Role, Viewer

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
    counts = Counter(_counts_on(connection, supplier_id, last))
    counts.subtract(_counts_on(connection, supplier_id, before))
    return {
        **row,
        "meters": _load_meters(connection, supplier_id),
        "arrivals": _load_arrivals(connection, supplier_id, first, last),
        "counts": {tally: count for tally, count in counts.items() if count},
        "counted_from": _newest_day(connection, supplier_id, before),
    }


def _load_meters(connection: Connection, supplier_id: str) -> list[Meter]:
    query = select(_METER).where(_METER.c.supplier_id == supplier_id).order_by(_METER.c.id)
    rows = connection.execute(query).mappings()
    return [Meter(**{**row, "role": MeterRole(row["role"])}) for row in rows]


def _load_arrivals(
    connection: Connection, supplier_id: str, first: date, last: date
) -> pd.DataFrame:
    query = (
        select(_ARRIVAL)
        .join(_METER, _METER.c.id == _ARRIVAL.c.meter_id)
        .where(_METER.c.supplier_id == supplier_id, _ARRIVAL.c.day.between(first, last))
    )
    rows = connection.execute(query).all()
    frame = pd.DataFrame(
        [tuple(row) for row in rows], columns=[column.name for column in _ARRIVAL.c]
    )
    numbers = [name for name in frame.columns if name not in {"meter_id", "day"}]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def _counts_on(connection: Connection, supplier_id: str, day: date) -> dict[Tally, int]:
    """What each count had come to at the end of a day; one that did not move was not kept anew."""
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
