"""Stores under contract: every test that asks for one runs on every kind of store.

A test marked `embedded` is about the embedded store alone, one marked `influxdb` about the others.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from storage import influx
from storage.contracts import ReadingsStore, VolumesStore
from storage.influx import InfluxSettings
from storage.readings import open_readings, open_volumes
from storage.registry.engine import migrate, open_registry
from water.city_time import CityTime
from water.loading import Refused
from water.readings import Reading

ROOT = Path(__file__).parents[2]

EMBEDDED = "embedded"
INFLUXDB = pytest.param("influxdb", marks=pytest.mark.servers)
INFLUXDB_POSTGRESQL = pytest.param("influxdb-postgresql", marks=pytest.mark.servers)

_TIERS = [pytest.param(EMBEDDED, tier, id=f"embedded-{tier}") for tier in ("hot", "cold", "mixed")]
_INFLUXDB_TIER = pytest.param("influxdb", "hot", id="influxdb", marks=pytest.mark.servers)
"""Answers must not depend on what was compacted; InfluxDB compacts by itself."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run a kind of store; volumes have no ledger that could lie elsewhere."""
    if "store_kind" not in metafunc.fixturenames:
        return
    kinds: list[object] = []
    if metafunc.definition.get_closest_marker("influxdb") is None:
        kinds.append(EMBEDDED)
    if metafunc.definition.get_closest_marker("embedded") is None:
        kinds.append(INFLUXDB)
        if "open_store" in metafunc.fixturenames:
            kinds.append(INFLUXDB_POSTGRESQL)
    if "tier" in metafunc.fixturenames:
        further = [_INFLUXDB_TIER] if INFLUXDB in kinds else []
        metafunc.parametrize(("store_kind", "tier"), [*_TIERS, *further])
    else:
        metafunc.parametrize("store_kind", kinds)


class StandingClock:
    """A clock that shows the demo's present."""

    def now(self) -> datetime:
        return datetime(2026, 9, 14, 16, tzinfo=UTC)


@pytest.fixture(scope="session")
def city() -> CityTime:
    return CityTime(ZoneInfo("Asia/Shanghai"))


@pytest.fixture(scope="session")
def instant(city) -> Callable[..., datetime]:
    """Local wall time of 2026: instant(month, day, hour, minute)."""

    def build(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
        return datetime(2026, month, day, hour, minute, tzinfo=city.zone)

    return build


@pytest.fixture(scope="session")
def reading(instant) -> Callable[..., Reading]:
    """A reading of 2026-01-`day`, local: reading("m1", 2, 10, register_m3=5)."""

    def build(meter: str, day: int, hour: float = 0, **fields: float) -> Reading:
        at = int((instant(1, day) + timedelta(hours=hour)).timestamp())
        return Reading(meter, at, at + 5, **fields)  # type: ignore[arg-type] - quality is an int

    return build


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory) -> Path:
    """A migrated SQLite registry database, to be copied."""
    path = tmp_path_factory.mktemp("registry") / "registry.db"
    engine = open_registry(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture
def influx_settings(influxdb) -> InfluxSettings:
    """A bucket of this test's own."""
    return InfluxSettings(
        influxdb.url, influxdb.token, influxdb.organisation, influxdb.make_bucket()
    )


@pytest.fixture
def ledger_url(request, store_kind, tmp_path) -> str:
    """The migrated registry database that holds the ledger of a store in InfluxDB."""
    if store_kind == "influxdb-postgresql":
        return request.getfixturevalue("migrated_postgres_url")
    copy = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "registry.db")
    return f"sqlite:///{copy}"


@pytest.fixture
def open_store(request, store_kind, tmp_path, city) -> Iterator[Callable[[], ReadingsStore]]:
    """Opens the same readings store again and again, as processes do one after the other."""
    with ExitStack() as opened:

        def open_embedded() -> ReadingsStore:
            store = open_readings(tmp_path / "readings", city, StandingClock())
            opened.callback(store.close)
            return store

        def open_influx() -> ReadingsStore:
            engine = open_registry(ledger_url)
            opened.callback(engine.dispose)
            store = influx.open_readings(influx_settings, engine, city)
            opened.callback(store.close)
            return store

        if store_kind == EMBEDDED:
            yield open_embedded
        else:
            ledger_url = request.getfixturevalue("ledger_url")
            influx_settings = request.getfixturevalue("influx_settings")
            yield open_influx


@pytest.fixture
def store(open_store) -> ReadingsStore:
    return open_store()


@pytest.fixture
def volumes(request, store_kind, tmp_path, city) -> Iterator[VolumesStore]:
    if store_kind == EMBEDDED:
        kept = open_volumes(tmp_path / "volumes", city, StandingClock())
    else:
        settings = request.getfixturevalue("influx_settings")
        kept = influx.open_volumes(settings)
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def load() -> Callable[[ReadingsStore, Sequence[Reading]], list[int]]:
    """Load readings in one transaction; an outcome each."""

    def run(store: ReadingsStore, readings: Sequence[Reading]) -> list[int]:
        with store.load() as transaction:
            outcomes = transaction.add_readings(readings)
        return [0] * len(readings) if outcomes is None else [int(o) for o in outcomes]

    return run


@pytest.fixture(scope="session")
def in_process() -> Callable[..., "subprocess.Popen[str]"]:
    """Start a Python script in a process of its own: in_process(script, *arguments)."""

    def start(script: str, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", script, *map(str, arguments)]
        return subprocess.Popen(
            command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    return start


@pytest.fixture(scope="session")
def refused() -> Callable[..., Refused]:
    """A refused reading of supplier s1, reason future, unless said otherwise."""

    def build(**fields: object) -> Refused:
        given = Refused("s1", "future", "3 h ahead", "jieshui", "m1", 5, 100, 1, 0, 0)
        return given._replace(**fields)  # type: ignore[arg-type] - a test's own fields

    return build
