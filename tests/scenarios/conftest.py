"""A small city behind the API: real registry, accounts, alerts and jobs on SQLite.

Stand-ins: `StandInReadings` (readings and volumes of a few hours) and `StandInIngest` (sums and
quarantine), which are held to their ports elsewhere.
"""

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session
from starlette.exceptions import StarletteDeprecationWarning

from alerts.service import AlertService
from api.app import create_app
from api.ports import Page
from api.settings import ApiSettings
from registry.accounts import Accounts
from storage.registry.accounts import AccountStore
from storage.registry.alerts import AlertStore
from storage.registry.engine import migrate, open_registry
from storage.registry.jobs import JobStore
from storage.registry.models import (
    AlertRow,
    CityRateRow,
    MeterRow,
    PlanStatusRow,
    SupplierRow,
    UserRow,
    ZoneDayRow,
    ZoneNightRow,
    ZoneRow,
)
from storage.registry.queries import RegistryQueries
from water.city_time import CityTime
from water.clock import ScaledClock
from water.viewer import Role

with warnings.catch_warnings():
    # Starlette would rather have httpx2, which is not what the other parts here use.
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from fastapi.testclient import TestClient

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
NOW = datetime(2026, 9, 15, 0, 30, tzinfo=UTC)
HOURS = [datetime(2026, 9, 13, 16, tzinfo=UTC) + timedelta(hours=i) for i in range(3)]
DAYS = [date(2026, 9, 13), date(2026, 9, 14)]
SUPPLIERS = ("north", "south")
SHARES = {"measured_share": 1.0, "estimated_share": 0.0, "missing_share": 0.0}


class StandInReadings:
    """Three hourly readings of every meter, one of them without a flow."""

    def __init__(self, registry):
        self._registry = registry

    def _check(self, viewer, meter_ids):
        visible = self._registry.visible_meters(viewer)
        for meter_id in meter_ids:
            if visible is not None and meter_id not in visible:
                raise KeyError(meter_id)

    def readings(self, viewer, meter_id, start, end, *, after=None, limit=1000):
        self._check(viewer, [meter_id])
        at = [hour for hour in HOURS if start <= hour < end and (after is None or hour > after)]
        frame = pd.DataFrame({"at": pd.to_datetime(at[:limit], utc=True).as_unit("s")})
        flow = [float("nan") if hour == HOURS[1] else 4.0 for hour in at[:limit]]
        return frame.assign(
            meter_id=meter_id, received_at=frame["at"], register_m3=1.5, flow_m3_h=flow,
            pressure_mpa=float("nan"), level_m=float("nan"), quality=0,
        )  # fmt: skip

    def series(self, viewer, meter_id, quantity, start, end, points):
        frame = self.readings(viewer, meter_id, start, end, limit=points)
        return frame[["at", quantity]].rename(columns={quantity: "value"})

    def hourly(self, viewer, meter_ids, start, end):
        self._check(viewer, meter_ids)
        hours = [hour for hour in HOURS if start <= hour < end]
        return _volumes(meter_ids, "start", pd.to_datetime(hours, utc=True).as_unit("s"))

    def daily(self, viewer, meter_ids, first, last):
        self._check(viewer, meter_ids)
        days = [day for day in DAYS if first <= day <= last]
        frame = _volumes(meter_ids, "day", pd.to_datetime(days).as_unit("s"))
        return frame.assign(lowest_hour_m3=float("nan"))


def _volumes(meter_ids, name, times):
    rows = [(meter_id, time, 2.0) for meter_id in meter_ids for time in times]
    return pd.DataFrame(rows, columns=["meter_id", name, "volume_m3"]).assign(**SHARES)


class StandInIngest:
    """Balanced sums of both suppliers, two refused readings of each."""

    def sums(self, viewer):
        messages = {"received": 3, "decoded": 2, "undecodable": 1, "set_aside": 0, "waiting": 0}
        return [
            {"supplier": supplier, "balanced": True, "messages": messages}
            for supplier in _seen(viewer)
        ]

    def quarantine(self, viewer, *, supplier="", reason="", cursor=None, limit=100):
        if cursor is not None and not cursor.isdecimal():
            raise ValueError("not a cursor of quarantine")
        seen = [name for name in _seen(viewer) if supplier in ("", name)]
        rows = [
            {"id": number, "supplier": name, "reason": "future", "at": NOW}
            for number, name in enumerate(sorted(seen * 2))
            if reason in ("", "future")
        ]
        begin = int(cursor or 0)
        left = rows[begin : begin + limit]
        return Page(left, str(begin + limit) if begin + limit < len(rows) else None)


def _seen(viewer):
    return SUPPLIERS if viewer.sees_all else [name for name in SUPPLIERS if name == viewer.scope]


def _seed(engine):
    with Session(engine) as session:
        for number, supplier in enumerate(SUPPLIERS):
            session.add(SupplierRow(id=supplier, name=supplier))
            for i in range(2):
                _seed_user(session, supplier, f"{supplier}-{i}", number * 2 + i + 1)
        session.add(
            CityRateRow(
                period="2026",
                as_of=NOW,
                system_input_m3=10.0,
                authorised_m3=9.0,
                losses_m3=1.0,
                gross_rate=0.1,
                rate=None,
                corrections={"R1": 0.01},
                provisional=True,
            )
        )
        session.commit()


def _seed_user(session, supplier, name, number):
    session.add(ZoneRow(id=f"zone-{name}", name=f"分区 {name}"))
    session.add(UserRow(id=f"user-{name}", name="=HYPERLINK(1)", sector="hotel"))
    session.flush()
    session.add(
        MeterRow(
            id=f"meter-{name}",
            supplier_id=supplier,
            role="customer",
            user_id=f"user-{name}",
            zone_id=f"zone-{name}",
        )
    )
    session.add(
        PlanStatusRow(
            user_id=f"user-{name}",
            year=2026,
            as_of=NOW,
            plan_m3=10.0,
            plan_to_date_m3=7.0,
            used_m3=11.0,
            use_rate=float("inf"),
            projected_m3=None,
            projected_rate=None,
            level="warning",
            **SHARES,
        )
    )
    for day in DAYS:
        session.add(
            ZoneDayRow(zone_id=f"zone-{name}", day=day, inflow_m3=9.0, large_use_m3=1.0, **SHARES)
        )
        session.add(ZoneNightRow(zone_id=f"zone-{name}", day=day, measured_share=0.0))
    session.add(
        AlertRow(
            id=number,
            rule="stopped_meter",
            subject_kind="meter",
            subject_id=f"meter-{name}",
            period="",
            state="firing",
            severity="warning",
            opened_at=NOW,
            fired_at=NOW,
            seen_at=NOW,
            evidence={"figures": {"hours": 96.0}},
        )
    )


@dataclass
class ApiCity:
    """The app over the seeded city, with a key of each role."""

    app: FastAPI
    accounts: Accounts
    metrics: CollectorRegistry
    keys: dict[str, str]

    def client(self, role: str | None = None, **options) -> TestClient:
        """A client with the key of a role ("north", "bureau" …), or without one."""
        headers = {"X-API-Key": self.keys[role]} if role else {}
        return TestClient(self.app, headers=headers, **options)


@pytest.fixture
def open_api_city(tmp_path):
    """Make a city of its own, with settings of the API and checks of /readyz."""
    engines = []

    def make(checks=None, **settings) -> ApiCity:
        engine = open_registry(f"sqlite:///{tmp_path / f'registry-{len(engines)}.db'}")
        engines.append(engine)
        return _make_city(engine, checks, settings)

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture(scope="session")
def api_city(tmp_path_factory):
    """The city that tests read only."""
    engine = open_registry(f"sqlite:///{tmp_path_factory.mktemp('api') / 'registry.db'}")
    yield _make_city(engine, None, {})
    engine.dispose()


def _make_city(engine, checks, settings) -> ApiCity:
    migrate(engine)
    _seed(engine)
    clock = ScaledClock(NOW, NOW, 0)
    registry = RegistryQueries(engine, clock, CITY)
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts = Accounts(AccountStore(engine), clock, hasher=quick)
    metrics = CollectorRegistry()
    app = create_app(
        ApiSettings(secret="a secret of the tests, 32 letters", pages=False, **settings),
        registry=registry,
        readings=StandInReadings(registry),
        ingest=StandInIngest(),
        alerts=AlertService(AlertStore(engine), clock),
        jobs=JobStore(engine, clock),
        accounts=accounts,
        clock=clock,
        city=CITY,
        metrics=metrics,
        checks=checks,
    )
    keys = {
        name: accounts.create_key(name, role, scope, "tests")[1]
        for name, role, scope in (
            ("north", Role.SUPPLIER, "north"),
            ("south", Role.SUPPLIER, "south"),
            ("user", Role.USER, "user-north-0"),
            ("utility", Role.UTILITY, None),
            ("bureau", Role.BUREAU, None),
            ("administrator", Role.ADMINISTRATOR, None),
        )
    }
    return ApiCity(app, accounts, metrics, keys)
