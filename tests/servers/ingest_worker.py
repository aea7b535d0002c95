"""The ingest process as the crash tests run it: a real service over the real readings store.

Started by path, killed at will. `--load-delay` makes the loader slower than the receiver, so that
a kill finds entries that are journalled and not yet loaded. With `--ledger` readings go to the
InfluxDB that INFLUX (its settings as JSON) describes, else to the embedded store.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "plugins"))

import argparse
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from prometheus_client import CollectorRegistry
from wrapped_store import WrappedStore

from ingest.service import IngestService
from ingest.settings import IngestSettings, JournalSettings, Limits, MqttSettings
from storage.contracts import ReadingsStore
from storage.readings import open_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.meters import KnownMeter
from water.policy import Policy

METERS = 50


class OneSuppliersMeters:
    """A registry with the meters m0 … m49 of the supplier north; south has none."""

    def version(self) -> int:
        return 1

    def suppliers(self) -> frozenset[str]:
        return frozenset({"north", "south"})

    def devices(self):
        return {
            ("north", "jieshui", f"m{n}"): KnownMeter(f"m{n}", "north", None, None, None, None)
            for n in range(METERS)
        }


class NoJobs:
    """A jobs table in which nobody asks for anything."""

    def release(self, *_: object) -> int:
        return 0

    def take(self, *_: object) -> None:
        return None

    def finish(self, *_: object, **__: object) -> None:
        raise AssertionError("no job was given")


class SlowStore(WrappedStore):
    """The real store, with a pause before each commit."""

    def __init__(self, store: ReadingsStore, delay_s: float) -> None:
        super().__init__(store)
        self._delay_s = delay_s

    @contextmanager
    def wrap(self, load: Callable) -> Iterator:
        with load() as load:
            yield load
            time.sleep(self._delay_s)


def open_store(arguments: argparse.Namespace) -> ReadingsStore:
    city = CityTime(ZoneInfo("Asia/Shanghai"))
    if arguments.ledger is None:
        return open_readings(arguments.folder / "store", city, SystemClock())
    from storage import influx  # noqa: PLC0415 (seconds of a start that must be quick)
    from storage.registry.engine import open_registry  # noqa: PLC0415

    settings = influx.InfluxSettings(**json.loads(os.environ["INFLUX"]))
    return influx.open_readings(settings, open_registry(arguments.ledger), city)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--version", default="3.1.1")
    parser.add_argument("--load-delay", type=float, default=0.0)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--shared-group", default="")
    parser.add_argument("--ledger")
    arguments = parser.parse_args()
    store = open_store(arguments)
    settings = IngestSettings(
        MqttSettings("127.0.0.1", arguments.port, arguments.version),
        JournalSettings(arguments.folder / "journal", segment_bytes=1 << 20),
        limits=Limits(batch_readings=arguments.batch),
        shared_group=arguments.shared_group,
    )
    service = IngestService(
        settings,
        SlowStore(store, arguments.load_delay),
        OneSuppliersMeters(),
        NoJobs(),
        SystemClock(),
        Policy(),
        CollectorRegistry(),
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    service.run(stop)
    store.close()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
