"""How fast ingest takes what a broker has, beside mosquitto_sub and plain paho in the same run.

    python bench/ingest.py [--messages N] [--readings PER_MESSAGE] [--rounds 3] [--tls] [--api]

Each contender has a Mosquitto of its own and a persistent session, and receives the same N QoS 1
messages (three numbers a reading): as a backlog that waits (drain), and while they are published by
a program that does not limit (live). The clock runs from the moment the broker accepts the session
(drain), or the publisher begins (live). jieshui is what `jieshui serve ingest` runs, receipts and
all, with the embedded store; "acknowledged": every message is durable in the journal and
acknowledged; "stored": every reading is counted as stored and can be queried. `--tls` lets the
contenders speak TLS, `--api` lets somebody ask `jieshui serve api` 50 times a second meanwhile.

Ratios are of messages a second, to mosquitto_sub; that of "executemany" is readings a second of
jieshui, stored, to bare inserts into the same kind of table, 20,000 a transaction.
"""

# ruff: noqa: E402 - the script's own folder must first stop hiding the package of the same name

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

import argparse
import math
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from typing import NamedTuple
from zoneinfo import ZoneInfo

import structlog
from rich.console import Console
from rich.table import Table

from bench.brokers import CLIENT_ID, FILTER, Broker, Publisher
from bench.publish import METERS
from bench.running import HOST, count, cpu_seconds, need, peak_mib, wait_for, write_registry
from jieshui.broker import free_port
from storage.readings.partitions import LocalDays
from storage.readings.tier import readings_tier
from water.city_time import CityTime

HERE = Path(__file__).parent

JIESHUI = """
[city]
name = "bench"
[store]
folder = "{folder}"
[mqtt]
host = "127.0.0.1"
port = {port}
protocol = "3.1.1"
client_id = "contender"
{tls}
[ingest]
port = {health}
[api]
port = {api}
"""


class Figures(NamedTuple):
    """What a contender came to until something was reached."""

    seconds: float
    cpu_s: float
    peak_mib: float


Reached = dict[str, Figures]
"""What was reached ("received", "acknowledged", "stored") → figures."""


class Task(NamedTuple):
    """What a contender is given; `asked`: how long the API took for each answer, None = no API."""

    folder: Path
    broker: Broker
    messages: int
    each: int
    asked: list[float] | None


class Contender(NamedTuple):
    """How a contender is started, and what it reaches: name → whether it has."""

    command: Callable[[Task], list[str]]
    marks: Callable[[Task, subprocess.Popen[bytes]], dict[str, Callable[[], bool]]]


def run_mosquitto_sub(task: Task) -> list[str]:
    command = [need(shutil.which("mosquitto_sub"), "mosquitto_sub"), "-h", HOST, "-q", "1", "-c"]
    command += ["-p", str(task.broker.contender_port), "-i", CLIENT_ID, "-t", FILTER]
    command += ["-C", str(task.messages)]
    return command + (["--cafile", str(task.broker.ca_file)] if task.broker.ca_file else [])


def run_paho(task: Task) -> list[str]:
    command = [sys.executable, str(HERE / "receive_paho.py"), str(task.broker.contender_port)]
    command += [CLIENT_ID, str(task.messages)]
    return command + ([str(task.broker.ca_file)] if task.broker.ca_file else [])


def run_jieshui(task: Task) -> list[str]:
    return [sys.executable, "-m", "jieshui", "serve", "ingest", "--config", str(configure(task))]


def configure(task: Task) -> Path:
    """A configuration beside a registry that knows the meters."""
    config = task.folder / "jieshui.toml"
    tls = f'ca_file = "{task.broker.ca_file}"' if task.broker.ca_file else ""
    config.write_text(
        JIESHUI.format(
            folder=task.folder / "store", port=task.broker.contender_port, tls=tls,
            health=HEALTH_PORT, api=API_PORT,
        )
    )  # fmt: skip
    registry = write_registry(task.folder / "registry", METERS)
    command = [sys.executable, "-m", "jieshui", "import", str(registry), "--config", str(config)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return config


def ends(_: Task, process: subprocess.Popen[bytes]) -> dict[str, Callable[[], bool]]:
    return {"received": lambda: process.poll() is not None}


def counts(task: Task, _: subprocess.Popen[bytes]) -> dict[str, Callable[[], bool]]:
    return {
        "acknowledged": lambda: count(HEALTH_PORT, "messages", "received") >= task.messages,
        "stored": lambda: count(HEALTH_PORT, "readings", "stored") >= task.messages * task.each,
    }


HEALTH_PORT, API_PORT = free_port(), free_port()
CONTENDERS = {
    "mosquitto_sub": Contender(run_mosquitto_sub, ends),
    "paho": Contender(run_paho, ends),
    "jieshui": Contender(run_jieshui, counts),
}
"""The yardstick first."""


def receive(contender: Contender, task: Task, *, live: bool) -> Reached:
    """One contender on one stream."""
    task.broker.make_session()
    publisher = Publisher(task.broker.port, task.messages, task.each)
    if not live:
        publisher.begin()
        publisher.finish()
    command = contender.command(task)
    with ExitStack() as held:
        if task.asked is not None and contender.command is run_jieshui:
            held.enter_context(asking_the_api(task.folder, task.asked))
        process = held.enter_context(running(command, task.folder / "contender.log"))
        wait_for(lambda: process.poll() is not None or task.broker.accepted())
        at_first = cpu_seconds(process.pid) if process.poll() is None else 0.0
        if live:
            publisher.begin()
        reached = watch(contender.marks(task, process), process, at_first)
        if live:
            publisher.finish()
        return reached


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def watch(
    marks: dict[str, Callable[[], bool]], process: subprocess.Popen[bytes], at_first: float
) -> Reached:
    began, reached = time.monotonic(), dict[str, Figures]()
    cpu = peak = 0.0
    for name, holds in marks.items():
        while not holds():
            time.sleep(0.02 if len(marks) > 1 else 0.002)
            if process.poll() is None:
                cpu = cpu_seconds(process.pid) - at_first
                peak = max(peak, peak_mib(process.pid))
        reached[name] = Figures(time.monotonic() - began, cpu, peak)
    return reached


@contextmanager
def asking_the_api(folder: Path, seconds: list[float]) -> Iterator[None]:
    """While the block runs somebody asks 50 times a second; how long each answer took."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.wait(0.02):
            began = time.monotonic()
            if ask_api() == HTTPStatus.OK:
                seconds.append(time.monotonic() - began)
            else:
                seconds.append(math.inf)

    command = [sys.executable, "-m", "jieshui", "serve", "api"]
    command += ["--config", str(folder / "jieshui.toml")]
    with running(command, folder / "api.log"):
        wait_for(lambda: ask_api() == HTTPStatus.OK, 0.1)
        asker = threading.Thread(target=ask)
        asker.start()
        try:
            yield
        finally:
            ended.set()
            asker.join()


def ask_api() -> int:
    connection = HTTPConnection(HOST, API_PORT, timeout=30)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def insert_bare(folder: Path, readings: int) -> float:
    """Seconds that inserts of as many readings into the table of the embedded store take."""
    tier = readings_tier(LocalDays(CityTime(ZoneInfo("Asia/Shanghai"))))
    rows = [
        (900 * (n // METERS), n % METERS, 1, n / 8, 0.5, 0.3125, None, 0) for n in range(readings)
    ]
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(tier.create)
    began = time.monotonic()
    for first in range(0, readings, 20_000):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(tier.insert("IGNORE"), rows[first : first + 20_000])
        connection.execute("COMMIT")
    took = time.monotonic() - began
    connection.close()
    return took


def run_round(
    arguments: argparse.Namespace, *, live: bool, asked: list[float]
) -> dict[tuple[str, str], Figures]:
    """Every contender once."""
    figures: dict[tuple[str, str], Figures] = {}
    for name, contender in CONTENDERS.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            broker = Broker(folder / "broker", tls=arguments.tls)
            task = Task(
                folder, broker, arguments.messages, arguments.readings,
                asked if arguments.api else None,
            )  # fmt: skip
            try:
                for reached, found in receive(contender, task, live=live).items():
                    figures[name, reached] = found
            finally:
                broker.stop()
    with tempfile.TemporaryDirectory() as place:
        seconds = insert_bare(Path(place), arguments.messages * arguments.readings)
        figures["executemany", "stored"] = Figures(seconds, 0.0, 0.0)
    return figures


def tabulate(title: str, rounds: list[dict[tuple[str, str], Figures]], messages: int) -> Table:
    table = Table(title=title)
    for heading in ("", "until", "messages/s", "lowest", "highest", "ratio", "CPU µs", "peak MiB"):
        table.add_column(heading, justify="left" if heading in {"", "until"} else "right")
    yardstick = next(iter(rounds[0]))
    for measured in rounds[0]:
        rates = [messages / figures[measured].seconds for figures in rounds]
        ratio = statistics.median(
            figures[yardstick].seconds / figures[measured].seconds for figures in rounds
        )
        shown = [f"{figure:,.0f}" for figure in (statistics.median(rates), min(rates), max(rates))]
        own = statistics.median(figures[measured].cpu_s for figures in rounds)
        peak = max(figures[measured].peak_mib for figures in rounds)
        cpu = f"{own / messages * 1e6:.1f}" if own else ""
        table.add_row(*measured, *shown, f"{ratio:.2f}", cpu, f"{peak:.0f}" if peak else "")
    bare = statistics.median(
        figures["executemany", "stored"].seconds / figures["jieshui", "stored"].seconds
        for figures in rounds
    )
    table.caption = f"jieshui, stored, to executemany: {bare:.2f}"
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--readings", type=int, default=1, help="readings in one message")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tls", action="store_true", help="the contenders speak TLS")
    parser.add_argument("--api", action="store_true", help="somebody asks the API meanwhile")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    console = Console(width=100)
    for kind in ("drain", "live"):
        asked: list[float] = []
        live = kind == "live"
        rounds = [run_round(arguments, live=live, asked=asked) for _ in range(arguments.rounds)]
        title = f"{kind}: {arguments.messages:,} messages of {arguments.readings}, QoS 1"
        title += ", TLS" if arguments.tls else ""
        console.print(tabulate(title, rounds, arguments.messages))
        if asked:
            p95 = statistics.quantiles(asked, n=20)[-1]
            console.print(f"/readyz asked {len(asked)} times, P95 {p95 * 1000:.0f} ms")


if __name__ == "__main__":
    main()
