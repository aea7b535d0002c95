"""The embedded stores of readings and of kept volumes: SQLite, Parquet and DuckDB in memory."""

from pathlib import Path

from storage.errors import StoreError, StoreUnavailableError
from storage.readings.store import ReadingsStore
from storage.readings.volumes import VolumesStore
from water.city_time import CityTime
from water.clock import Clock

__all__ = [
    "ReadingsStore",
    "StoreError",
    "StoreUnavailableError",
    "VolumesStore",
    "open_readings",
    "open_volumes",
]


def open_readings(path: Path, city: CityTime, clock: Clock) -> ReadingsStore:
    """Open (or make) the readings store in the folder `path`; close it when done."""
    return ReadingsStore(path, city, clock)


def open_volumes(path: Path, city: CityTime, clock: Clock) -> VolumesStore:
    """Open (or make) the store of kept volumes in the folder `path`; close it when done."""
    return VolumesStore(path, city, clock)
