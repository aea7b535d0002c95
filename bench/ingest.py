"""How fast ingest drains a backlog, beside mosquitto_sub on the same backlog in the same run.

    python bench/ingest.py [--messages N] [--readings PER_MESSAGE] [--version 5] [--rounds 3]

A Mosquitto of its own queues N QoS 1 messages for a persistent session each of: mosquitto_sub; the
receiver alone with its own reading (fast) and with paho's (stock); the whole process. "journalled"
is the time until every message stands in the journal after its group's fdatasync and is
acknowledged; "stored" until the last one is decoded, checked and committed to the embedded readings
store as well. Ratios are ours / mosquitto_sub.
"""

# ruff: noqa: E402 - the script's own folder must first stop hiding the package of the same name

import sys
from pathlib import Path

sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).parent]

import argparse
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import structlog
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from ingest.connection import connect, make_client
from ingest.groups import Group
from ingest.journal import open_journal
from ingest.mqtt import Receiver
from ingest.service import IngestService
from ingest.settings import IngestSettings, JournalSettings, MqttSettings
from storage.readings import open_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.meters import KnownMeter
from water.policy import Policy

METERS = 2_000
TOPIC = "water/v1/north/jieshui/-/reading"
_MOST = 50_000
"""Lines that one mosquitto_pub is given: it reads ahead, and packet ids end at 65,535."""


class Registry:
    """One supplier with its meters; nobody asks for a job."""

    def version(self) -> int:
        return 1

    def suppliers(self) -> frozenset[str]:
        return frozenset({"north"})

    def devices(self) -> dict[tuple[str, str, str], KnownMeter]:
        return {
            ("north", "jieshui", f"m{n}"): KnownMeter(f"m{n}", "north", None, None, None, None)
            for n in range(METERS)
        }

    def release(self, kinds: Sequence[str]) -> int:
        return 0

    def take(self, kinds: Sequence[str]) -> None:
        return None

    def ask(self, kind: str, arguments: Mapping[str, object], asked_by: str) -> int:
        return 0

    def finish(self, job_id: int, outcome: Mapping[str, object], *, failed: bool = False) -> None:
        return None


@contextmanager
def run_broker(folder: Path) -> Iterator[int]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None or shutil.which("mosquitto_sub") is None:
        sys.exit("bench/ingest.py needs mosquitto, mosquitto_pub and mosquitto_sub (make servers)")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
        "max_inflight_messages 1000\npersistence false\n"
    )
    broker = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: can_connect(port))
        yield port
    finally:
        broker.terminate()
        broker.wait()


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def wait_for(holds, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            sys.exit("bench/ingest.py: nothing moves any more")
        time.sleep(0.005)


def make_session(settings: MqttSettings) -> None:
    """Leave a persistent session with our subscription at the broker."""
    client = make_client(settings, settings.client_id)
    subscribed = threading.Event()
    client.on_connect = lambda *_: client.subscribe("water/v1/#", 1) and None
    client.on_subscribe = lambda *_: subscribed.set()
    connect(client, settings)
    client.loop_start()
    subscribed.wait(10)
    client.disconnect()
    client.loop_stop()


def publish_backlog(port: int, messages: int, readings: int) -> None:
    now = int(time.time()) // 900 * 900
    lines, number = [], 0
    for _ in range(messages):
        items = []
        for _ in range(readings):
            meter, step = number % METERS, number // METERS
            items.append(
                f'{{"meter":"m{meter}","at":{now - 900 * step},"register_m3":{1e4 - step / 8}}}'
            )
            number += 1
        lines.append(items[0] if readings == 1 else f"[{','.join(items)}]")
    command = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", TOPIC, "-l"]
    for first in range(0, messages, _MOST):
        part = "\n".join(lines[first : first + _MOST])
        subprocess.run(command, input=part.encode() + b"\n", check=True)


Drain = Callable[[MqttSettings, Path, int], dict[str, float]]
"""Empties a session of so many messages; what was reached after how many seconds."""


def drain_with_mosquitto_sub(settings: MqttSettings, _: Path, messages: int) -> dict[str, float]:
    protocol = "mqttv5" if settings.version == "5" else "mqttv311"
    command = ["mosquitto_sub", "-p", str(settings.port), "-V", protocol, "-q", "1", "-c"]
    command += ["-i", settings.client_id, "-t", "water/v1/#", "-C", str(messages)]
    if settings.version == "5":
        command += ["-x", "3600"]
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return {"printed": time.monotonic() - began}


def ignore(_: object) -> None:
    return None


def drain_with_receiver(settings: MqttSettings, folder: Path, messages: int) -> dict[str, float]:
    journal = open_journal(folder / "journal", 64 << 20)
    group = Group(
        journal, JournalSettings(folder), 1 << 18, str, SystemClock(),
        journalled=ignore, observe_sync=ignore,
    )  # fmt: skip
    stop = threading.Event()
    receiver = Receiver(settings, ["water/v1/#"], group)
    thread = threading.Thread(target=receiver.run, args=(stop,))
    began = time.monotonic()
    thread.start()
    wait_for(lambda: journal.committed().entry >= messages)
    journalled = time.monotonic() - began
    stop.set()
    thread.join()
    journal.close()
    return {"journalled": journalled}


def drain_with_ingest(settings: MqttSettings, folder: Path, messages: int) -> dict[str, float]:
    store = open_readings(folder / "store", CityTime(ZoneInfo("Asia/Shanghai")), SystemClock())
    registry = Registry()
    service = IngestService(
        IngestSettings(settings, JournalSettings(folder / "journal")),
        store, registry, registry, SystemClock(), Policy(), CollectorRegistry(),
    )  # fmt: skip
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    began = time.monotonic()
    thread.start()
    wait_for(lambda: service.progress()[0] >= messages)
    journalled = time.monotonic() - began
    wait_for(lambda: service.progress()[1] >= messages)
    stored = time.monotonic() - began
    stop.set()
    thread.join()
    store.close()
    return {"journalled": journalled, "stored": stored}


DRAINS: dict[str, tuple[Drain, bool]] = {
    "mosquitto_sub": (drain_with_mosquitto_sub, True),
    "receiver, stock": (drain_with_receiver, False),
    "receiver, fast": (drain_with_receiver, True),
    "ingest, stock": (drain_with_ingest, False),
    "ingest, fast": (drain_with_ingest, True),
}
"""What is measured, the yardstick first; whether it reads fast."""


def run_round(arguments: argparse.Namespace) -> dict[tuple[str, str], float]:
    """Messages a second of everything that is measured."""
    rates: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as name, run_broker(Path(name)) as port:
        settings = {
            drain: MqttSettings(
                "127.0.0.1", port, arguments.version, f"drain-{number}", fast=DRAINS[drain][1]
            )
            for number, drain in enumerate(DRAINS)
        }
        for each in settings.values():
            make_session(each)
        publish_backlog(port, arguments.messages, arguments.readings)
        for drain, (empty, _) in DRAINS.items():
            folder = Path(name) / settings[drain].client_id
            for reached, seconds in empty(settings[drain], folder, arguments.messages).items():
                rates[drain, reached] = arguments.messages / seconds
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--readings", type=int, default=1, help="readings in one message")
    parser.add_argument("--version", default="3.1.1", choices=["3.1.1", "5"])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    rounds = [run_round(arguments) for _ in range(arguments.rounds)]
    table = Table(
        title=f"{arguments.messages:,} messages of {arguments.readings}, QoS 1, drained; "
        f"medians of {arguments.rounds}"
    )
    for heading in ("", "until", "messages/s", "lowest", "highest", "ratio"):
        table.add_column(heading, justify="left" if heading in {"", "until"} else "right")
    yardstick = next(iter(rounds[0]))
    for measured in rounds[0]:
        rates = [rates[measured] for rates in rounds]
        ratio = statistics.median(rates[measured] / rates[yardstick] for rates in rounds)
        figures = (statistics.median(rates), min(rates), max(rates))
        table.add_row(*measured, *(f"{figure:,.0f}" for figure in figures), f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
