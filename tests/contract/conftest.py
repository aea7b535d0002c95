"""Stores under contract: one parameter a kind of store, so that a further adapter is one line."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from storage.readings import ReadingsStore, VolumesStore, open_readings, open_volumes
from water.city_time import CityTime
from water.loading import Refused
from water.readings import Reading

ROOT = Path(__file__).parents[2]


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


@pytest.fixture(params=["embedded"])
def open_store(request, tmp_path, city) -> Iterator[Callable[[], ReadingsStore]]:
    """Opens the same readings store again and again, as processes do one after the other."""
    opened: list[ReadingsStore] = []

    def build() -> ReadingsStore:
        opened.append(open_readings(tmp_path / "readings", city, StandingClock()))
        return opened[-1]

    yield build
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store) -> ReadingsStore:
    return open_store()


@pytest.fixture(params=["embedded"])
def volumes(request, tmp_path, city) -> Iterator[VolumesStore]:
    kept = open_volumes(tmp_path / "volumes", city, StandingClock())
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
