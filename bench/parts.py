"""CPU time a reading, part by part: from the packets of the broker to the request to InfluxDB.

    python bench/parts.py [--readings N] [--rounds 5]

One thread and no server: packets are made in memory, a client that throws requests away stands for
InfluxDB, the ledger is SQLite. Microseconds of CPU (user and system) a reading, the lowest of the
rounds, with one reading a message and with 100. What other programs of the machine do hardly moves
them. They leave out broker, server, TLS, and what threads lose to each other.
"""

# ruff: noqa: E402 - the script's own folder must first stop hiding the package of the same name

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

import argparse
import struct
import tempfile
import threading
import time
from collections import defaultdict, deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import structlog
from rich.console import Console
from rich.table import Table

from bench.influx import CITY, RULES, make_messages, make_readings
from ingest.batch import Batch
from ingest.broker.packets import PacketBuffer
from ingest.broker.receipts import describe_journalled, describe_loaded
from ingest.groups import Group
from ingest.journal import JournalReader, JournalWriter, Message, open_journal
from ingest.loader import Loader
from ingest.settings import JournalSettings, Limits
from jieshui.processes import spare_the_collector
from storage.influx.client import InfluxClient
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxReadings
from storage.readings import open_readings
from storage.registry.engine import migrate, open_registry
from water.clock import SystemClock
from water.loading import Position
from water.readings import Reading

CHUNK = 256 * 1024

Spent = dict[str, float]
"""Part → CPU seconds."""


@contextmanager
def timing(spent: Spent, part: str) -> Generator[None]:
    began = time.process_time()
    yield
    spent[part] += time.process_time() - began


class NoServer:
    """An InfluxClient that takes every line, and to which no meter has a reading yet."""

    settings = InfluxSettings("http://nowhere", "", "")

    def write(self, lines: object) -> None:
        pass

    def csv(self, flux: str) -> bytes:
        return b""

    def close(self) -> None:
        pass


def make_packets(messages: Sequence[Message]) -> bytes:
    """PUBLISH packets of QoS 1, as a broker sends them (MQTT 3.1.1, 3.3)."""
    packets: list[bytes] = []
    for number, message in enumerate(messages):
        topic = message.topic.encode()
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", number % 65_535 + 1)
        length, encoded = len(body) + len(message.payload), bytearray()
        while length > 127:
            encoded.append(length & 127 | 128)
            length >>= 7
        encoded.append(length)
        packets.append(b"".join((b"\x32", encoded, body, message.payload)))
    return b"".join(packets)


def receive(spent: Spent, folder: Path, messages: Sequence[Message]) -> JournalWriter:
    """Packets → journal; the receipts of what is durable."""
    journal = open_journal(folder, 64 << 20)
    durable: list[Sequence[Message]] = []
    settings = JournalSettings(folder)
    group = Group(
        journal, settings, 1 << 18, lru_cache(lambda _: "north"), SystemClock(),
        journalled=durable.append, observe_sync=lambda _: None,
    )  # fmt: skip
    packets, buffer = make_packets(messages), PacketBuffer(properties=False)
    for first in range(0, len(packets), CHUNK):
        chunk = packets[first : first + CHUNK]
        with timing(spent, "packets and groups"):
            group.take(buffer.feed(chunk)[0])
        if group.full or first + CHUNK >= len(packets):
            with timing(spent, "journal, written"):
                group.commit()
    with timing(spent, "receipts, journalled"):
        for messages in durable:
            msgspec.json.encode(describe_journalled(messages))
    return journal


def judge(spent: Spent, journal: JournalWriter, folder: Path) -> list[Batch]:
    reader, position, batches = follow(journal, folder), Position(), list[Batch]()
    while True:
        with timing(spent, "journal, read"):
            entries, position = reader.read(position)
        if not entries:
            return batches
        batch = Batch(RULES)
        with timing(spent, "decoded and checked"):
            batch.take(deque(entries))
        batches.append(batch)


def follow(journal: JournalWriter, folder: Path) -> JournalReader:
    return JournalReader(folder, journal.marker, journal.committed)


def describe(spent: Spent, batches: Sequence[Batch]) -> None:
    with timing(spent, "receipts, loaded"):
        for batch in batches:
            msgspec.json.encode(describe_loaded(batch, None))


def store(spent: Spent, part: str, readings: InfluxReadings | Any, offered: list[Reading]) -> None:
    size = Limits().batch_readings
    with timing(spent, part):
        for first in range(0, len(offered), size):
            with readings.load() as load:
                load.add_readings(offered[first : first + size])
                load.set_position("ingest", Position(1, first, first))


def load_whole(spent: Spent, part: str, journal: JournalWriter, folder: Path, sink: Any) -> None:
    """What the loader's thread does, altogether."""
    loader = Loader(
        "ingest", follow(journal, folder), journal.received, sink, lambda: RULES, Limits(),
        lambda *_: None,
    )  # fmt: skip
    with timing(spent, part):
        while loader.load_next(cast("Any", SimpleNamespace(is_set=lambda: False))):
            pass


@contextmanager
def influx_store(folder: Path, name: str) -> Generator[InfluxReadings]:
    engine = open_registry(f"sqlite:///{folder / name}.sqlite")
    migrate(engine)
    try:
        yield InfluxReadings(cast("InfluxClient", NoServer()), engine, CITY)
    finally:
        engine.dispose()


def measure(folder: Path, readings: list[Reading], each: int) -> Spent:
    """One round."""
    spent: Spent = defaultdict(float)
    messages = list(make_messages(readings, each))
    journal = receive(spent, folder / "journal", messages)
    batches = judge(spent, journal, folder / "journal")
    describe(spent, batches)
    offered = [reading for batch in batches for reading in batch.readings]
    if [(*row[:2], *row[3:]) for row in offered] != [(*row[:2], *row[3:]) for row in readings]:
        sys.exit("bench/parts.py: other readings come out than went in")
    with influx_store(folder, "alone") as sink:
        store(spent, "lines, look-ups and ledger", sink, offered)
    with influx_store(folder, "whole") as sink:
        load_whole(spent, "loader's thread, InfluxDB", journal, folder / "journal", sink)
    embedded = open_readings(folder / "embedded", CITY, SystemClock())
    load_whole(spent, "loader's thread, embedded", journal, folder / "journal", embedded)
    embedded.close()
    journal.close()
    return spent


def run_rounds(arguments: argparse.Namespace) -> dict[int, Spent]:
    readings = make_readings(arguments.readings)
    lowest: dict[int, Spent] = {}
    for each in (1, 100):
        rounds: list[Spent] = []
        for _ in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as name:
                rounds.append(measure(Path(name), readings, each))
        lowest[each] = {part: min(spent[part] for spent in rounds) for part in rounds[0]}
    return lowest


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--readings", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    spare_the_collector(threading.Event())
    lowest = run_rounds(arguments)
    table = Table(title=f"{arguments.readings:,} readings, CPU µs a reading")
    for heading in ("", *(f"{each} a message" for each in lowest)):
        table.add_column(heading, justify="right" if heading else "left")
    for part in lowest[1]:
        figures = (spent[part] / arguments.readings * 1e6 for spent in lowest.values())
        table.add_row(part, *(f"{figure:.2f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    main()
