"""Where adapters meet the ports of the rooms; those of ingest in `ingest_wiring`."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, Engine, make_url

from alerts.delivery import Delivery
from alerts.service import AlertService
from api.app import create_app
from api.settings import ApiSettings
from api.sso import SignOnSettings, SingleSignOn
from ingest.door import Door
from jieshui import config
from jieshui.calendar import ChineseCalendar
from jieshui.config import Influx, Settings
from jieshui.errors import JieshuiError
from jieshui.secret_files import read_secret
from registry.accounts import Accounts
from registry.edits import Edits
from registry.meter_changes import MeterChanges
from runs.ports import Turn
from runs.service import AnalysisService
from runs.settings import RunSettings
from storage.contracts import ReadingsStore, VolumesStore
from storage.influx import InfluxSettings
from storage.influx import open_readings as open_influx_readings
from storage.influx import open_volumes as open_influx_volumes
from storage.locks import FileLock
from storage.queries import IngestQueries, ReadingQueries
from storage.readings import open_readings, open_volumes
from storage.registry.accounts import AccountStore
from storage.registry.alerts import AlertStore
from storage.registry.edit_queries import EditQueries
from storage.registry.edits import EditStore
from storage.registry.engine import migrate, open_registry
from storage.registry.figures import FigureStore
from storage.registry.jobs import JobStore
from storage.registry.locks import ANALYSIS_LOCK, AdvisoryLock
from storage.registry.queries import RegistryQueries
from storage.registry.state import RunStateStore
from storage.registry.store import RegistryStore
from water.clock import Clock
from water.loading import Tally

UNFINISHED_RESTORE = "restore-unfinished"
"""The mark in the store's folder while a backup is restored, and after a restore that broke off."""


@dataclass(frozen=True)
class Stores:
    """Every store of an installation, opened once a process."""

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

    @property
    def alerts(self) -> AlertStore:
        """Alerts and the outbox."""
        return AlertStore(self.engine)

    @property
    def meter_changes(self) -> MeterChanges:
        """Meter changes one by one, with their rules."""
        return MeterChanges(EditStore(self.engine, self.clock), self.clock)

    @property
    def state(self) -> RunStateStore:
        """Where the runs stand."""
        return RunStateStore(self.engine)


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open every store, migrated to this version; closed on the way out."""
    folder = settings.store.folder
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise JieshuiError(f"the store's folder can't be made: {error}") from None
    if (folder / UNFINISHED_RESTORE).exists():
        raise JieshuiError(
            f"a restore into {folder} has not ended: wait for it, or, where it broke off, empty "
            "this folder, the database and the bucket and restore again"
        )
    clock = settings.make_clock()
    engine = open_registry(registry_address(settings))
    migrate(engine)
    readings = open_readings_store(settings, engine, clock)
    volumes = _open_volumes(settings, clock)
    try:
        yield Stores(engine, readings, volumes, clock)
    finally:
        volumes.close()
        readings.close()
        engine.dispose()


def registry_address(settings: Settings) -> URL:
    """Where the registry's database is, with its password when that is in a file of its own."""
    url = make_url(settings.registry_url)
    file = settings.store.registry_password_file
    return url.set(password=read_secret(file)) if file else url


def open_readings_store(settings: Settings, engine: Engine, clock: Clock) -> ReadingsStore:
    """The store of readings: InfluxDB where one is configured, else embedded."""
    city = settings.city_time()
    if settings.influx is None:
        return open_readings(settings.store.folder / "readings", city, clock)
    return open_influx_readings(influx_settings(settings.influx), engine, city)


def _open_volumes(settings: Settings, clock: Clock) -> VolumesStore:
    """The store of volumes, of the same kind."""
    if settings.influx is None:
        return open_volumes(settings.store.folder / "volumes", settings.city_time(), clock)
    return open_influx_volumes(influx_settings(settings.influx))


def influx_settings(influx: Influx) -> InfluxSettings:
    """How to reach InfluxDB."""
    return InfluxSettings(
        url=influx.url,
        token=read_secret(influx.token_file),
        organisation=influx.organisation,
        bucket=influx.bucket,
        ca_file=influx.ca_file,
        retention_days=influx.retention_days,
        timeout_s=influx.timeout_s,
    )


def build_analysis(
    settings: Settings, stores: Stores, metrics: CollectorRegistry
) -> AnalysisService:
    """The computing side; what it finds goes to alerts."""
    return AnalysisService(
        stores.readings, stores.volumes, stores.registry, FigureStore(stores.engine),
        stores.state, RefusedLedger(stores.readings), AlertService(stores.alerts, stores.clock),
        policy=settings.policy(), city=settings.city_time(), calendar=ChineseCalendar(),
        clock=stores.clock, jobs=stores.jobs, metrics=metrics,
        turn=_turn(settings, stores.engine),
        settings=RunSettings(poll_s=settings.analysis.pause_s),
    )  # fmt: skip


def _turn(settings: Settings, engine: Engine) -> Turn:
    """Over all machines where they share PostgreSQL, else over this machine's processes."""
    if engine.dialect.name == "postgresql":
        return AdvisoryLock(engine, ANALYSIS_LOCK)
    return FileLock(settings.store.folder / "analysis.lock")


def build_delivery(settings: Settings, stores: Stores) -> Delivery:
    """The sending of notices to the addresses of the configuration."""
    return Delivery(stores.alerts, settings.notify.audiences(), stores.clock)


def build_api(
    settings: Settings, stores: Stores, metrics: CollectorRegistry,
    checks: Mapping[str, Callable[[], None]], door: Door | None = None,
) -> FastAPI:  # fmt: skip
    """HTTP and the dashboard."""
    city = settings.city_time()
    registry = RegistryQueries(stores.engine, stores.clock, city)
    return create_app(
        ApiSettings(
            secret=session_secret(settings.store.folder),
            title=f"{settings.city.name}节水",
            secure_cookies=settings.api.secure_cookies,
            loss_rate_target=settings.policy().loss_rate_target,
        ),
        registry=registry,
        readings=ReadingQueries(stores.readings, stores.volumes, registry.visible_meters),
        ingest=IngestQueries(stores.readings),
        alerts=AlertService(stores.alerts, stores.clock),
        edits=EditQueries(stores.engine),
        editing=Edits(EditStore(stores.engine, stores.clock), stores.clock),
        changes=stores.meter_changes,
        jobs=stores.jobs,
        accounts=stores.accounts,
        clock=stores.clock,
        city=city,
        metrics=metrics,
        checks=checks,
        sso=_single_sign_on(settings.sso) if settings.sso else None,
        door=door,
    )


def _single_sign_on(sso: config.SingleSignOn) -> SingleSignOn:
    """The provider of the configuration; it is asked when somebody signs on."""
    return SingleSignOn(
        SignOnSettings(
            issuer=sso.issuer,
            client_id=sso.client_id,
            client_secret=read_secret(sso.client_secret_file),
            public_url=sso.public_url,
            login_claim=sso.login_claim,
            label=sso.label,
            ca_file=sso.ca_file,
        )
    )


def session_secret(folder: Path) -> str:
    """The secret that signs sessions: made once, kept beside the stores, readable by us alone."""
    path = folder / "session-secret"
    if not path.exists():
        # Whole or not at all, and the first of two processes wins: a link never replaces.
        with tempfile.NamedTemporaryFile("w", dir=folder, encoding="ascii") as aside:
            aside.write(secrets.token_urlsafe(48))
            aside.flush()
            os.fsync(aside.fileno())
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(aside.name)
    return path.read_text(encoding="ascii")


class RefusedLedger:
    """runs.ports.Ledger over the counts that ingest keeps in the readings store."""

    def __init__(self, readings: ReadingsStore) -> None:
        self._readings = readings

    def refused_counts(self) -> dict[str, dict[str, int]]:
        """Supplier → {decoded, undecodable, quarantined, stored} since the beginning."""
        counts: dict[str, dict[str, int]] = {}
        for tally, count in self._readings.tallies().items():
            of = counts.setdefault(
                tally.supplier, {"decoded": 0, "undecodable": 0, "quarantined": 0, "stored": 0}
            )
            if (tally.ledger, tally.account) in _REFUSED_TERMS:
                of[tally.account] += count
        return counts

    def tallies(self) -> dict[Tally, int]:
        """Every count since the beginning."""
        return self._readings.tallies()


_REFUSED_TERMS = {
    ("readings", "decoded"),
    ("messages", "undecodable"),
    ("readings", "quarantined"),
    ("readings", "stored"),
}
