"""The only place where adapters meet the ports of the rooms."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from alerts.delivery import Delivery
from alerts.service import AlertService
from api.app import create_app
from api.settings import ApiSettings
from ingest.service import IngestService
from ingest.settings import IngestSettings, JournalSettings, Limits, MqttSettings, Source
from jieshui.calendar import ChineseCalendar
from jieshui.config import Settings
from registry.accounts import Accounts
from runs.service import AnalysisService
from storage.readings import ReadingsStore, VolumesStore, open_readings, open_volumes
from storage.readings.queries import IngestQueries, ReadingQueries
from storage.registry.accounts import AccountStore
from storage.registry.alerts import AlertStore
from storage.registry.engine import migrate, open_registry
from storage.registry.figures import FigureStore
from storage.registry.jobs import JobStore
from storage.registry.queries import RegistryQueries
from storage.registry.state import RunStateStore
from storage.registry.store import RegistryStore
from water.clock import Clock


@dataclass(frozen=True)
class Stores:
    """Every store, opened once a process."""

    engine: Engine
    readings: ReadingsStore
    volumes: VolumesStore
    clock: Clock

    @property
    def registry(self) -> RegistryStore:
        """Users, meters, zones, plans."""
        return RegistryStore(self.engine, self.clock)

    @property
    def accounts(self) -> Accounts:
        """People and keys, with their rules."""
        return Accounts(AccountStore(self.engine), self.clock)

    @property
    def jobs(self) -> JobStore:
        """What one process asks of another."""
        return JobStore(self.engine, self.clock)


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open every store of an installation, migrated to this version; closed on the way out."""
    folder = settings.store.folder
    folder.mkdir(parents=True, exist_ok=True)
    clock, city = settings.make_clock(), settings.city_time()
    engine = open_registry(settings.registry_url)
    migrate(engine)
    readings = open_readings(folder / "readings", city, clock)
    volumes = open_volumes(folder / "volumes", city, clock)
    try:
        yield Stores(engine, readings, volumes, clock)
    finally:
        volumes.close()
        readings.close()
        engine.dispose()
