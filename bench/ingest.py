"""How fast ingest drains a backlog, beside mosquitto_sub on the same backlog in the same run.

    python bench/ingest.py [--messages N] [--readings PER_MESSAGE] [--version 5] [--rounds 3]

A Mosquitto of its own queues N QoS 1 messages for two persistent sessions. mosquitto_sub drains
one of them, ingest the other: "acknowledged" is the time until every message stands in the
journal after its group's fdatasync (and is acknowledged), "stored" until the last one is decoded,
checked and committed to the embedded readings store. Ratios are ours / mosquitto_sub.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import structlog
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from ingest.connection import connect, make_client
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


def drain_with_mosquitto_sub(port: int, messages: int, version: str) -> float:
    protocol = "mqttv5" if version == "5" else "mqttv311"
    command = ["mosquitto_sub", "-p", str(port), "-V", protocol, "-q", "1", "-c", "-i", "sub"]
    if version == "5":
        command += ["-x", "3600"]
    began = time.monotonic()
    subprocess.run(
        [*command, "-t", "water/v1/#", "-C", str(messages)], stdout=subprocess.DEVNULL, check=True
    )
    return time.monotonic() - began


def drain_with_ingest(settings: MqttSettings, folder: Path, messages: int) -> tuple[float, float]:
    """Seconds until all is journalled and acknowledged, and until all is stored."""
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
    acknowledged = time.monotonic() - began
    wait_for(lambda: service.progress()[1] >= messages)
    stored = time.monotonic() - began
    stop.set()
    thread.join()
    store.close()
    return acknowledged, stored


def make_settings(port: int, version: str, client_id: str) -> MqttSettings:
    return MqttSettings("127.0.0.1", port, version, client_id)


def run_round(port: int, arguments: argparse.Namespace, folder: Path) -> tuple[float, float, float]:
    ours = make_settings(port, arguments.version, "ingest")
    for settings in (ours, make_settings(port, arguments.version, "sub")):
        make_session(settings)
    publish_backlog(port, arguments.messages, arguments.readings)
    theirs = drain_with_mosquitto_sub(port, arguments.messages, arguments.version)
    return theirs, *drain_with_ingest(ours, folder, arguments.messages)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--readings", type=int, default=1, help="readings in one message")
    parser.add_argument("--version", default="3.1.1", choices=["3.1.1", "5"])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    table = Table(title=f"{arguments.messages} messages of {arguments.readings}, QoS 1, drained")
    for heading in ("round", "mosquitto_sub /s", "acknowledged /s", "ratio", "stored /s", "ratio"):
        table.add_column(heading, justify="right")
    ratios = []
    for number in range(1, arguments.rounds + 1):
        with tempfile.TemporaryDirectory() as name, run_broker(Path(name)) as port:
            theirs, acknowledged, stored = run_round(port, arguments, Path(name))
        ratios.append((theirs / acknowledged, theirs / stored))
        rates = [arguments.messages / seconds for seconds in (theirs, acknowledged, stored)]
        table.add_row(
            str(number), f"{rates[0]:,.0f}", f"{rates[1]:,.0f}", f"{ratios[-1][0]:.2f}",
            f"{rates[2]:,.0f}", f"{ratios[-1][1]:.2f}",
        )  # fmt: skip
    medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
    table.add_row("median", "", "", f"{medians[0]:.2f}", "", f"{medians[1]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
