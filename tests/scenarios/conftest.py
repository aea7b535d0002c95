"""A small city behind the API, on the embedded stores."""

import contextlib
import itertools
import shutil
import threading
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
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
from api.settings import ApiSettings
from ingest.door import Door
from ingest.service import IngestService
from ingest.settings import IngestSettings, JournalSettings, MqttSettings
from registry.accounts import Accounts
from registry.edits import Edits
from registry.meter_changes import MeterChanges
from storage.queries import IngestQueries, ReadingQueries
from storage.readings import ReadingsStore, VolumesStore, open_readings, open_volumes
from storage.registry.accounts import AccountStore
from storage.registry.alerts import AlertStore
from storage.registry.edit_queries import EditQueries
from storage.registry.edits import EditStore
from storage.registry.engine import migrate, open_registry
from storage.registry.jobs import JobStore
from storage.registry.models import (
    AlertRow,
    BillingReadRow,
    CityRateRow,
    EditRow,
    MeterEventRow,
    MeterRow,
    PlanStatusRow,
    SupplierRow,
    UserRow,
    ZoneDayRow,
    ZoneNightRow,
    ZoneRow,
)
from storage.registry.queries import RegistryQueries
from storage.registry.store import RegistryStore
from water.city_time import CityTime
from water.clock import ScaledClock
from water.loading import Refused, Tally
from water.policy import Policy
from water.readings import Reading
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


def _fill_readings(readings, volumes):
    """Three hourly readings of every meter, each contradicted later, one without a flow; sums;
    two refusals a supplier.
    """
    meters = [f"meter-{supplier}-{i}" for supplier in SUPPLIERS for i in range(2)]
    with readings.load() as load:
        for hour in HOURS:
            flow_m3_h = None if hour == HOURS[1] else 4.0
            at = int(hour.timestamp())
            load.add_readings([Reading(meter, at, at, 1.5, flow_m3_h) for meter in meters])
            load.add_readings([Reading(meter, at, at + 9, 2.5) for meter in meters])
        for supplier in SUPPLIERS:
            load.add_refused(
                Refused(supplier, "future", "", "jieshui", f"a-{supplier}", 1, 1, 0, 0, part)
                for part in range(2)
            )
            load.add_tallies(
                {
                    Tally(supplier, "messages", "received"): 3,
                    Tally(supplier, "messages", "decoded"): 2,
                    Tally(supplier, "messages", "undecodable", "malformed"): 1,
                    Tally(supplier, "readings", "decoded"): 8,
                    Tally(supplier, "readings", "stored"): 6,
                    Tally(supplier, "readings", "quarantined", "future"): 2,
                }
            )
    hourly = _volumes(meters, "start", pd.to_datetime(HOURS, utc=True).as_unit("s"))
    daily = _volumes(meters, "day", pd.to_datetime(DAYS).as_unit("s"))
    volumes.save(hourly, daily.assign(lowest_hour_m3=float("nan")))


def _volumes(meter_ids, name, times):
    rows = [(meter_id, time, 2.0) for meter_id in meter_ids for time in times]
    frame = pd.DataFrame(rows, columns=["meter_id", name, "volume_m3"]).assign(**SHARES)
    return frame.astype({name: times.dtype})


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
    session.flush()
    said = {"author": "li", "made_at": NOW, "evidence": "", "reason": "人工抄表"}
    for hour in HOURS:
        session.add(
            EditRow(
                meter_id=f"meter-{name}", at=hour, version=1, kind="manual",
                state="approved", register_m3=1.5, approved_at=NOW, **said,
            )
        )  # fmt: skip
    for day in DAYS:
        session.add(
            BillingReadRow(meter_id=f"meter-{name}", first=day, last=day, billed_m3=9.0, note="")
        )
    session.add(
        MeterEventRow(
            supplier_id=supplier, state="open", meter_id=f"meter-{name}", at=NOW, count=1,
            received_at=NOW, old_final_m3=9.0, new_initial_m3=0.0,
        )
    )  # fmt: skip
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


@dataclass
class Stores:
    """What cities share: the readings, and a seeded registry to copy."""

    readings: ReadingsStore
    volumes: VolumesStore
    registry_file: Path


@pytest.fixture(scope="session")
def api_stores(tmp_path_factory):
    """Filled stores that no test of the API writes to."""
    folder = tmp_path_factory.mktemp("api-stores")
    engine = open_registry(f"sqlite:///{folder / 'registry.db'}")
    migrate(engine)
    _seed(engine)
    engine.dispose()
    clock = ScaledClock(NOW, NOW, 0)
    readings = open_readings(folder / "readings", CITY, clock)
    volumes = open_volumes(folder / "volumes", CITY, clock)
    _fill_readings(readings, volumes)
    yield Stores(readings, volumes, folder / "registry.db")
    volumes.close()
    readings.close()


@pytest.fixture
def open_api_city(api_stores, tmp_path):
    """Make a city with a registry of its own, with settings of the API and checks of /readyz."""
    with contextlib.ExitStack() as stack:
        numbers = itertools.count()

        def make(checks=None, door=None, **settings) -> ApiCity:
            file = tmp_path / f"registry-{next(numbers)}.db"
            return stack.enter_context(_city(api_stores, file, checks, settings, door))

        yield make


@pytest.fixture(scope="session")
def api_city(api_stores, tmp_path_factory):
    """The city that tests read only."""
    with _city(api_stores, tmp_path_factory.mktemp("api") / "registry.db", None, {}) as city:
        yield city


@pytest.fixture
def door(api_stores, tmp_path):
    """A door for pushed readings, with a journal and a readings store of its own."""
    engine = open_registry(f"sqlite:///{api_stores.registry_file}")
    clock = ScaledClock(NOW, NOW, 0)
    readings = open_readings(tmp_path / "pushed", CITY, clock)
    opened, stop = Door(64 * 1024), threading.Event()
    service = IngestService(
        IngestSettings(MqttSettings(), JournalSettings(tmp_path / "journal")),
        readings, RegistryStore(engine, clock), JobStore(engine, clock), clock, Policy(),
        CollectorRegistry(), opened,
    )  # fmt: skip
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    while not service.health()["ready"]:
        time.sleep(0.01)
    opened.readings = readings
    yield opened
    stop.set()
    thread.join()
    readings.close()
    engine.dispose()


@contextlib.contextmanager
def _city(stores, file, checks, settings, door=None):
    shutil.copy(stores.registry_file, file)
    engine = open_registry(f"sqlite:///{file}")
    yield _wire(engine, stores, checks, settings, door)
    engine.dispose()


def _wire(engine, stores, checks, settings, door) -> ApiCity:
    clock = ScaledClock(NOW, NOW, 0)
    registry = RegistryQueries(engine, clock, CITY)
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts = Accounts(AccountStore(engine), clock, hasher=quick)
    metrics = CollectorRegistry()
    app = create_app(
        ApiSettings(secret="a secret of the tests, 32 letters", pages=False, **settings),
        registry=registry,
        readings=ReadingQueries(stores.readings, stores.volumes, registry.visible_meters),
        ingest=IngestQueries(stores.readings),
        alerts=AlertService(AlertStore(engine), clock),
        edits=EditQueries(engine),
        editing=Edits(EditStore(engine, clock), clock),
        changes=MeterChanges(EditStore(engine, clock), clock),
        jobs=JobStore(engine, clock),
        accounts=accounts,
        clock=clock,
        city=CITY,
        metrics=metrics,
        checks=checks,
        door=door,
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
