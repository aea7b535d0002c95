"""Readings and kept volumes in InfluxDB 2; ingest's ledger beside the registry."""

from sqlalchemy import Engine

from storage.contracts import ReadingsStore, VolumesStore
from storage.influx.settings import InfluxSettings
from water.city_time import CityTime
from water.clock import Clock

__all__ = ["InfluxSettings", "open_readings", "open_volumes"]


def open_readings(
    settings: InfluxSettings, engine: Engine, city: CityTime, clock: Clock
) -> ReadingsStore:
    """Open the readings store; `engine` is the registry's, migrated: the ledger lies there."""
    raise NotImplementedError(settings, engine, city, clock)


def open_volumes(settings: InfluxSettings, city: CityTime, clock: Clock) -> VolumesStore:
    """Open the store of kept volumes."""
    raise NotImplementedError(settings, city, clock)
