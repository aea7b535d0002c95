"""Suppliers, users, meters, zones, plans and returns, as the other rooms read them."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, func, or_, select

from storage.registry.engine import for_reading, writing_alone
from storage.registry.imports import DIRECTORY_VERSION, RegistryTransaction
from storage.registry.models import (
    ConflictDecisionRow,
    DeviceRow,
    EditRow,
    MeterChangeRow,
    MeterRow,
    MonthlyReturnRow,
    PlanRow,
    RunStateRow,
    SupplierRow,
    UserRow,
    WorksRow,
    ZoneRow,
    table_of,
)
from water.clock import Clock
from water.edits import Decision, Edit, EditKind, EditState
from water.meters import KnownMeter, Meter, MeterChange, MeterRole
from water.plans import MonthlyReturn, Plan
from water.users import Sector, WaterUser
from water.zones import Works, WorksKind, Zone

_SUPPLIER, _USER, _ZONE = table_of(SupplierRow), table_of(UserRow), table_of(ZoneRow)
_METER, _DEVICE, _CHANGE = table_of(MeterRow), table_of(DeviceRow), table_of(MeterChangeRow)
_PLAN, _RETURN, _WORKS = table_of(PlanRow), table_of(MonthlyReturnRow), table_of(WorksRow)
_STATE = table_of(RunStateRow)
_EDIT, _DECISION = table_of(EditRow), table_of(ConflictDecisionRow)


class RegistryStore:
    """The registry for reading (runs.ports.Registry, ingest.ports.MeterDirectory) and importing.

    Every list is sorted by its key. `transaction()` is the write side that the registry room uses.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._reading = for_reading(engine)
        self._clock = clock

    # ------------------------------------------------------------ as analysis sees it

    def meters(self) -> list[Meter]:
        """Every meter."""
        rows = self._rows(select(_METER).order_by(_METER.c.id))
        return [Meter(**_as(row, "role", MeterRole)) for row in rows]

    def meter_changes(self) -> list[MeterChange]:
        """Every meter change, by meter and time."""
        query = select(_CHANGE).order_by(_CHANGE.c.meter_id, _CHANGE.c.at)
        return [MeterChange(**row) for row in self._rows(query)]

    def edits(self) -> list[Edit]:
        """Every edit that counts or once counted, by meter, time and version."""
        query = select(*(_EDIT.c[field.name] for field in fields(Edit)))
        query = query.where(_EDIT.c.approved_at.is_not(None))
        rows = self._rows(query.order_by(_EDIT.c.meter_id, _EDIT.c.at, _EDIT.c.version))
        return [Edit(**_as(_as(row, "kind", EditKind), "state", EditState)) for row in rows]

    def decided_conflicts(self) -> frozenset[tuple[str, datetime, str, float]]:
        """Conflicts that a person decided, and that are: meter, instant, quantity, offered value.

        Where the correction that took the offered value was withdrawn, the conflict is open again.
        """
        of = _DECISION.c
        query = select(of.meter_id, of.at, of.quantity, of.offered).outerjoin(_EDIT)
        kept = of.decision == Decision.KEEP
        query = query.where(or_(kept, _EDIT.c.state == EditState.APPROVED))
        with self._reading.connect() as connection:
            return frozenset(tuple(row) for row in connection.execute(query))

    def users(self) -> list[WaterUser]:
        """Every water user."""
        rows = self._rows(select(_USER).order_by(_USER.c.id))
        return [WaterUser(**_as(row, "sector", Sector)) for row in rows]

    def zones(self) -> list[Zone]:
        """Every zone."""
        return [Zone(**row) for row in self._rows(select(_ZONE).order_by(_ZONE.c.id))]

    def works(self) -> list[Works]:
        """All works, by their beginning."""
        columns = [column for column in _WORKS.c if column.name != "id"]
        rows = self._rows(select(*columns).order_by(_WORKS.c.begins, _WORKS.c.zone_id))
        return [Works(**_as(row, "kind", WorksKind)) for row in rows]

    def plans(self, year: int) -> list[Plan]:
        """The plans in force of a year: the highest version of each user."""
        newest = (
            select(_PLAN.c.user_id, func.max(_PLAN.c.version).label("version"))
            .where(_PLAN.c.year == year)
            .group_by(_PLAN.c.user_id)
            .subquery()
        )
        in_force = (_PLAN.c.user_id == newest.c.user_id) & (_PLAN.c.version == newest.c.version)
        query = select(_PLAN).join(newest, in_force).where(_PLAN.c.year == year)
        rows = self._rows(query.order_by(_PLAN.c.user_id))
        return [Plan(**_as(row, "months_m3", tuple)) for row in rows]

    def monthly_returns(self) -> list[MonthlyReturn]:
        """Every monthly return, by month."""
        query = select(_RETURN).order_by(_RETURN.c.month)
        return [MonthlyReturn(**row) for row in self._rows(query)]

    # ------------------------------------------------------------ as ingest sees it

    def version(self) -> int:
        """A number that moves with every change of suppliers, meters or devices."""
        query = select(_STATE.c.value).where(_STATE.c.name == DIRECTORY_VERSION)
        with self._reading.connect() as connection:
            value = connection.execute(query).scalar_one_or_none()
        return value["version"] if value else 0

    def suppliers(self) -> frozenset[str]:
        """Every supplier's id."""
        with self._reading.connect() as connection:
            return frozenset(connection.execute(select(_SUPPLIER.c.id)).scalars())

    def devices(self) -> Mapping[tuple[str, str, str], KnownMeter]:
        """(supplier of the device, dialect, address) → meter.

        Each meter also answers to its own id in its own supplier's dialect "jieshui".
        """
        known_meter = (
            _METER.c.id, _METER.c.supplier_id, _METER.c.modulus_m3, _METER.c.q3_m3_h,
            _METER.c.in_service_from, _METER.c.in_service_to,
        )  # fmt: skip
        addresses = select(
            _DEVICE.c.supplier_id, _DEVICE.c.dialect, _DEVICE.c.address, _DEVICE.c.meter_id
        )
        with self._reading.connect() as connection:
            meters = {row[0]: _known(*row) for row in connection.execute(select(*known_meter))}
            listed = connection.execute(addresses).all()
        found = {(m.supplier_id, "jieshui", m.meter_id): m for m in meters.values()}
        found.update({(row[0], row[1], row[2]): meters[row[3]] for row in listed})
        return found

    # ------------------------------------------------------------ as the registry room writes it

    @contextmanager
    def transaction(self) -> Generator[RegistryTransaction]:
        """Read, decide and write, alone: leaving the block commits, an exception undoes it all."""
        with writing_alone(self._engine) as connection:
            yield RegistryTransaction(connection, self._clock)

    def _rows(self, query: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _as(row: dict[str, Any], field: str, word: Callable[[Any], Any]) -> dict[str, Any]:
    return {**row, field: word(row[field])}


def _known(
    meter_id: str,
    supplier_id: str,
    modulus_m3: float | None,
    q3_m3_h: float | None,
    begin: datetime | None,
    end: datetime | None,
) -> KnownMeter:
    return KnownMeter(
        meter_id,
        supplier_id,
        modulus_m3,
        None if q3_m3_h is None else 1.25 * q3_m3_h,  # Q4 = 1.25 Q3, GB/T 778.1-2018, 4.1.2
        None if begin is None else int(begin.timestamp()),
        None if end is None else int(end.timestamp()),
    )
