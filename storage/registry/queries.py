"""What people and programs ask of the registry, each row within the viewer's sight.

An id that does not exist and an id out of sight look the same: None, or an empty list.
"""

from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    or_,
    select,
)
from sqlalchemy.orm import QueryableAttribute

from storage.registry.cursors import columns_of, fetch_page
from storage.registry.engine import for_reading
from storage.registry.home import load_home
from storage.registry.models import (
    AlertEventRow,
    AlertRow,
    CityRateRow,
    DeviceRow,
    MeterChangeRow,
    MeterRow,
    NoticeRow,
    PlanRow,
    PlanStatusRow,
    UserRow,
    VerdictRow,
    ZoneDayRow,
    ZoneNightRow,
    ZoneRow,
)
from storage.registry.sight import (
    alerts_in_sight,
    meters_in_sight,
    users_in_sight,
    zones_in_sight,
)
from storage.registry.suppliers import load_supplier_days, load_supplier_names
from storage.registry.zones import with_gross_loss, zones_query
from water.alerts import AlertState
from water.city_time import CityTime
from water.clock import Clock
from water.pages import Page, Row
from water.viewer import Viewer

RECENT_VERDICTS = 100
"""Verdicts shown with a meter, the newest ones."""


class RegistryQueries:
    """The registry as api.ports.RegistryQueries asks it."""

    def __init__(self, engine: Engine, clock: Clock, city: CityTime) -> None:
        self._engine = for_reading(engine)
        self._clock = clock
        self._city = city

    def users(
        self,
        viewer: Viewer,
        *,
        text: str = "",
        sector: str = "",
        level: str = "",
        year: int | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Users by id with their plan status of a year, the city's present year by default."""
        year = self._today().year if year is None else year
        status = and_(PlanStatusRow.user_id == UserRow.id, PlanStatusRow.year == year)
        query = (
            select(*columns_of(UserRow), *columns_of(PlanStatusRow, "user_id", "year"))
            .outerjoin(PlanStatusRow, status)
            .where(users_in_sight(viewer), *_level_condition(level))
        )
        if text:
            query = query.where(_any_contains(text, UserRow.id, UserRow.name, UserRow.credit_code))
        if sector:
            query = query.where(UserRow.sector == sector)
        with self._engine.connect() as connection:
            page = fetch_page(connection, query, "users", [UserRow.id], cursor=cursor, limit=limit)
        return Page([row | {"year": year} for row in page.rows], page.next)

    def user(self, viewer: Viewer, user_id: str) -> Row | None:
        """A user with `meters`, `plans` and `plan_status`."""
        with self._engine.connect() as connection:
            query = select(*columns_of(UserRow)).where(
                UserRow.id == user_id, users_in_sight(viewer)
            )
            user = _one(connection, query)
            if user is None:
                return None
            meters = (
                select(*columns_of(MeterRow))
                .where(MeterRow.user_id == user_id, meters_in_sight(viewer))
                .order_by(MeterRow.id)
            )
            plans = (
                select(*columns_of(PlanRow, "user_id"))
                .where(PlanRow.user_id == user_id)
                .order_by(PlanRow.year.desc(), PlanRow.version.desc())
            )
            status = (
                select(*columns_of(PlanStatusRow, "user_id"))
                .where(PlanStatusRow.user_id == user_id)
                .order_by(PlanStatusRow.year.desc())
            )
            return user | {
                "meters": _all(connection, meters),
                "plans": [
                    plan | {"year_m3": sum(plan["months_m3"])} for plan in _all(connection, plans)
                ],
                "plan_status": _all(connection, status),
            }

    def zones(self, viewer: Viewer, *, cursor: str | None = None, limit: int = 100) -> Page:
        """Zones by id with their latest night and the gross loss share of their last days."""
        query = zones_query(viewer, self._today())
        with self._engine.connect() as connection:
            page = fetch_page(connection, query, "zones", [ZoneRow.id], cursor=cursor, limit=limit)
        return Page([with_gross_loss(row) for row in page.rows], page.next)

    def zone(self, viewer: Viewer, zone_id: str) -> Row | None:
        """One row of `zones`."""
        with self._engine.connect() as connection:
            row = _one(connection, zones_query(viewer, self._today()).where(ZoneRow.id == zone_id))
        return None if row is None else with_gross_loss(row)

    def zone_days(self, viewer: Viewer, zone_id: str, first: date, last: date) -> list[Row]:
        """Days of a zone from `first` to `last`, both included."""
        return self._zone_rows(viewer, ZoneDayRow, zone_id, (first, last))

    def zone_nights(self, viewer: Viewer, zone_id: str, first: date, last: date) -> list[Row]:
        """Nights of a zone from `first` to `last`, both included."""
        return self._zone_rows(viewer, ZoneNightRow, zone_id, (first, last))

    def meters(
        self,
        viewer: Viewer,
        *,
        text: str = "",
        role: str = "",
        user_id: str = "",
        zone_id: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Meters by id."""
        query = select(*columns_of(MeterRow)).where(meters_in_sight(viewer))
        if text:
            query = query.where(_any_contains(text, MeterRow.id, MeterRow.serial))
        wanted = ((MeterRow.role, role), (MeterRow.user_id, user_id), (MeterRow.zone_id, zone_id))
        query = query.where(*(column == value for column, value in wanted if value))
        with self._engine.connect() as connection:
            return fetch_page(
                connection, query, "meters", [MeterRow.id], cursor=cursor, limit=limit
            )

    def meter(self, viewer: Viewer, meter_id: str) -> Row | None:
        """A meter with `devices`, `changes` and its newest `verdicts`."""
        with self._engine.connect() as connection:
            query = select(*columns_of(MeterRow)).where(
                MeterRow.id == meter_id, meters_in_sight(viewer)
            )
            meter = _one(connection, query)
            if meter is None:
                return None
            devices = select(*columns_of(DeviceRow, "meter_id")).where(
                DeviceRow.meter_id == meter_id
            )
            changes = (
                select(*columns_of(MeterChangeRow, "meter_id"))
                .where(MeterChangeRow.meter_id == meter_id)
                .order_by(MeterChangeRow.at.desc())
            )
            verdicts = (
                select(*columns_of(VerdictRow, "meter_id"))
                .where(VerdictRow.meter_id == meter_id)
                .order_by(VerdictRow.at.desc())
                .limit(RECENT_VERDICTS)
            )
            return meter | {
                "devices": _all(connection, devices.order_by(DeviceRow.dialect, DeviceRow.address)),
                "changes": _all(connection, changes),
                "verdicts": _all(connection, verdicts),
            }

    def alerts(
        self,
        viewer: Viewer,
        *,
        state: str = "open",
        rule: str = "",
        subject_id: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Alerts, newest first; `state` "open", "all" or one state."""
        query = select(*columns_of(AlertRow)).where(alerts_in_sight(viewer))
        if state == "open":
            query = query.where(AlertRow.state != AlertState.RESOLVED)
        elif state != "all":
            query = query.where(AlertRow.state == state)
        wanted = ((AlertRow.rule, rule), (AlertRow.subject_id, subject_id))
        query = query.where(*(column == value for column, value in wanted if value))
        key = [AlertRow.opened_at, AlertRow.id]
        with self._engine.connect() as connection:
            return fetch_page(
                connection, query, "alerts", key, cursor=cursor, limit=limit, newest_first=True
            )

    def alert(self, viewer: Viewer, alert_id: int) -> Row | None:
        """An alert with `events` and, for those who see all, `notices`."""
        with self._engine.connect() as connection:
            query = select(*columns_of(AlertRow)).where(
                AlertRow.id == alert_id, alerts_in_sight(viewer)
            )
            alert = _one(connection, query)
            if alert is None:
                return None
            events, notices = (
                select(*columns_of(table, "alert_id"))
                .where(table.alert_id == alert_id)
                .order_by(table.id)
                for table in (AlertEventRow, NoticeRow)
            )
            return alert | {
                "events": _all(connection, events),
                "notices": _all(connection, notices) if viewer.sees_all else [],
            }

    def city_rates(self, viewer: Viewer) -> list[Row]:
        """Loss rates of the city by period; none for suppliers and users."""
        if not viewer.sees_all:
            return []
        with self._engine.connect() as connection:
            query = select(*columns_of(CityRateRow)).order_by(CityRateRow.period)
            return _all(connection, query)

    def home(self, viewer: Viewer) -> Row:
        """The figures of the first page."""
        with self._engine.connect() as connection:
            return load_home(connection, viewer, self._today())

    def supplier_names(self, viewer: Viewer) -> dict[str, str]:
        """Names of the suppliers in sight by id: of its own meters, for those who don't see all."""
        with self._engine.connect() as connection:
            return load_supplier_names(connection, viewer)

    def supplier_days(
        self, viewer: Viewer, supplier_id: str, first: date, last: date
    ) -> Row | None:
        """A supplier with what is kept of its data on local days; None out of sight."""
        with self._engine.connect() as connection:
            return load_supplier_days(connection, viewer, supplier_id, first, last)

    def visible_meters(self, viewer: Viewer) -> frozenset[str] | None:
        """Ids of the meters a viewer may see; None = all."""
        if viewer.sees_all:
            return None
        with self._engine.connect() as connection:
            found = connection.scalars(select(MeterRow.id).where(meters_in_sight(viewer)))
            return frozenset(found)

    def _today(self) -> date:
        return self._city.day_of(self._clock.now())

    def _zone_rows(
        self,
        viewer: Viewer,
        table: type[ZoneDayRow] | type[ZoneNightRow],
        zone_id: str,
        days: tuple[date, date],
    ) -> list[Row]:
        seen = select(ZoneRow.id).where(ZoneRow.id == zone_id, zones_in_sight(viewer))
        query = (
            select(*columns_of(table))
            .where(table.zone_id.in_(seen), table.day.between(*days))
            .order_by(table.day)
        )
        with self._engine.connect() as connection:
            return _all(connection, query)


def _level_condition(level: str) -> list[ColumnElement[bool]]:
    if not level:
        return []
    if level == "any":
        return [PlanStatusRow.level != ""]
    if level == "over":
        return [PlanStatusRow.used_m3 > PlanStatusRow.plan_m3]
    return [PlanStatusRow.level == level]


def _any_contains(text: str, *columns: QueryableAttribute[str]) -> ColumnElement[bool]:
    return or_(*(column.icontains(text, autoescape=True) for column in columns))


def _one(connection: Connection, query: Select[Any]) -> Row | None:
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _all(connection: Connection, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]
