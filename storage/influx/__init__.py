"""Readings and kept volumes in InfluxDB 2; ingest's ledger beside the registry."""

from sqlalchemy import Engine

from storage.contracts import ReadingsStore, VolumesStore
from storage.influx.client import InfluxClient
from storage.influx.settings import InfluxSettings
from storage.influx.setup import prepare, verify
from storage.influx.store import InfluxReadings
from storage.influx.volumes import InfluxVolumes
from water.city_time import CityTime

__all__ = ["InfluxSettings", "open_readings", "open_volumes", "prepare"]


def open_readings(settings: InfluxSettings, engine: Engine, city: CityTime) -> ReadingsStore:
    """Open the readings store; `engine` is the registry's, migrated: the ledger lies there.

    Raises:
        StoreError: a setting is wrong; a server that is away is none of that.
    """
    client = InfluxClient(settings)
    verify(client)
    return InfluxReadings(client, engine, city)


def open_volumes(settings: InfluxSettings) -> VolumesStore:
    """Open the store of kept volumes.

    Raises:
        StoreError: a setting is wrong; a server that is away is none of that.
    """
    client = InfluxClient(settings)
    verify(client)
    return InfluxVolumes(client)
