"""The readings store is away while millions of readings arrive; then it is back.

    python tests/endurance/backlog.py [--readings 20000000] [--store embedded|influxdb]

A hundred readings a message, of up to 200,000 meters. Away is, for InfluxDB, its process stopped;
for the embedded store, another process's write lock. Nobody tells ingest that it is back. Every
reading must then be stored once, with memory flat all the while. Exit 1 when this doesn't hold.
"""

import argparse
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from installation import Installation, make_broker
from measures import Memory, measure_folder, say_bytes
from raw_mqtt import Publisher

from water import columns
from water.accounting import sum_messages, sum_readings

SUPPLIER = "north"
METERS = 200_000
A_MESSAGE = 100
STEP_S = 900
"""Seconds between two readings of a meter."""
AT_ONCE_S = 5 * STEP_S
"""How long a stretch is asked for at once in the end: a million readings."""
PATIENCE_S = 3_600


class Load(NamedTuple):
    """`steps` readings of each of `meters` meters, the first at epoch second `base`."""

    meters: list[str]
    steps: int
    base: int

    @property
    def readings(self) -> int:
        return len(self.meters) * self.steps

    @property
    def messages(self) -> int:
        return self.readings // A_MESSAGE

    @property
    def end(self) -> int:
        return self.base + self.steps * STEP_S

    def payloads(self) -> Generator[bytes]:
        """A register is the number of its step."""
        for step in range(self.steps):
            said = f'","at":{self.base + step * STEP_S},"register_m3":{step}}}'
            for first in range(0, len(self.meters), A_MESSAGE):
                rows = (
                    f'{{"meter":"{meter}{said}' for meter in self.meters[first : first + A_MESSAGE]
                )
                yield f"[{','.join(rows)}]".encode()


def make_load(readings: int) -> Load:
    """As many meters as there are, and as many steps as that takes."""
    meters = min(METERS, readings) // A_MESSAGE * A_MESSAGE
    steps = readings // meters
    base = int(time.time()) // STEP_S * STEP_S - (steps + 1) * STEP_S
    return Load([f"m{n}" for n in range(meters)], steps, base)


@contextmanager
def store_away(place: Installation) -> Generator[None]:
    """In the block the store takes no load."""
    if place.influxd:
        place.influxd.stop()
        yield
        place.influxd.start()
        return
    path = place.folder / "var/readings/readings.sqlite"
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def publish(port: int, load: Load) -> None:
    topic = f"water/v1/{SUPPLIER}/jieshui/-/reading".encode()
    with Publisher(port, SUPPLIER, "") as publisher:
        for payload in load.payloads():
            publisher.publish(topic, payload)
        publisher.flush(0)


def wait(place: Installation, holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if place.ingest.ended:
            sys.exit("FAILED: ingest has ended by itself")
        if time.monotonic() > deadline:
            sys.exit(f"FAILED: not within {PATIENCE_S} s: {what}")
        time.sleep(0.2)


def check(place: Installation, load: Load) -> list[str]:
    """What is wrong with what is stored."""
    readings = place.stores.readings
    tallies = readings.tallies()
    messages, sums = sum_messages(tallies)[SUPPLIER], sum_readings(tallies)[SUPPLIER]
    right = {
        f"messages add up: {messages}": messages.balanced,
        f"every message is received once: {messages}": messages.received == load.messages,
        f"readings add up: {sums}": sums.balanced,
        f"every reading is counted as stored: {sums}": sums.stored == load.readings,
    }
    problems = [what for what, holds in right.items() if not holds]
    rows, registers = count_stored(place, load)
    if rows != load.readings:
        problems.append(f"{rows} readings stand in the store")
    if registers != len(load.meters) * sum(range(load.steps)):
        problems.append(f"the registers in the store sum up to {registers}")
    return problems


def count_stored(place: Installation, load: Load) -> tuple[int, float]:
    """Readings that the store gives, each (meter, second) counted once, and their sum."""
    rows, registers = 0, 0.0
    for first in range(load.base, load.end, AT_ONCE_S):
        span = [datetime.fromtimestamp(at, UTC) for at in (first, first + AT_ONCE_S)]
        found = place.stores.readings.load_readings(load.meters, *span)
        rows += len(found.drop_duplicates([columns.METER_ID, columns.AT]))
        registers += float(found[columns.REGISTER_M3].sum())
    return rows, registers


def run(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Away, back, checked; what is wrong."""
    load = make_load(arguments.readings)
    influxdb = arguments.store == "influxdb"
    with ExitStack() as stack:
        place = stack.enter_context(
            Installation(
                folder, {SUPPLIER: load.meters}, influxdb=influxdb,
                broker=make_broker(folder / "broker"),
            )
        )  # fmt: skip
        print(f"{load.readings} readings of {len(load.meters)} meters, {load.messages} messages")
        memory = stack.enter_context(Memory(place.ingest.pid))
        with store_away(place):
            began = time.monotonic()
            with memory.span("while the store is away"):
                publish(place.broker.port, load)
                wait(place, lambda: place.ask_health()["journal_waiting"] >= load.messages,
                     "everything is journalled")  # fmt: skip
            seconds = time.monotonic() - began
            print(
                f"store away: all journalled after {seconds / 60:.1f} min "
                f"({load.readings / seconds:.0f} readings a second), the journal takes "
                f"{say_bytes(measure_folder(place.journal))}",
                flush=True,
            )
            time.sleep(arguments.longer)
        began = time.monotonic()
        with memory.span("while it drains"):
            wait(place, lambda: place.ask_health()["journal_waiting"] == 0, "everything is loaded")
        seconds = time.monotonic() - began
        readings = place.folder / ("influxdb/engine" if influxdb else "var/readings")
        print(
            f"store back: all loaded after {seconds / 60:.1f} min "
            f"({load.readings / seconds:.0f} readings a second), the readings take "
            f"{say_bytes(measure_folder(readings))}",
            flush=True,
        )
        return [*check(place, load), *memory.judge()]


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--readings", type=int, default=20_000_000)
    parser.add_argument("--store", choices=["embedded", "influxdb"], default="embedded")
    parser.add_argument("--longer", type=float, default=60, help="seconds it stays away after that")
    parser.add_argument("--folder", type=Path, help="kept, for a look after a failure")
    arguments = parser.parse_args(given)
    with tempfile.TemporaryDirectory(prefix="jieshui-backlog-") as name:
        Path(name).chmod(0o755)  # user postgres must be able to pass
        problems = run(arguments, arguments.folder or Path(name))
    for problem in problems:
        print(f"FAILED: {problem}")
    if not problems:
        print("drained by itself, every reading stored once")
    return 1 if problems else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # servers end with us
    sys.exit(main())
