"""How fast a journal is loaded into InfluxDB, beside bare POSTs of the very same lines.

    python bench/influx.py [--readings N] [--rounds 3] [--batch N] [--batches N]

Starts an influxd for itself. Three contenders in turn, each into a new bucket: the lines in bodies
of 5,000 over one kept connection, nothing else; a journal of one reading a message; a journal of
100 readings a message. A load counts as done once its position is committed; then the server is
asked whether every point is there. Ratios are ours / bare.
"""

# ruff: noqa: E402 - the script's own folder must first stop hiding the package of the same name

import sys
from pathlib import Path

sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).parent]

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import structlog
import urllib3
from rich.console import Console
from rich.table import Table

from ingest.batch import Rules
from ingest.checks import make_directory
from ingest.journal import JournalReader, JournalWriter, Message, open_journal
from ingest.loader import Loader
from ingest.settings import Limits
from jieshui.demo.servers import InfluxDB, find_influxd
from jieshui.processes import spare_the_collector
from storage.influx import InfluxSettings, open_readings
from storage.influx.client import InfluxClient
from storage.influx.lines import format_readings, transpose
from storage.influx.setup import prepare
from storage.registry.engine import migrate, open_registry
from water.city_time import CityTime
from water.loading import Position
from water.meters import KnownMeter
from water.policy import Policy
from water.readings import Reading

CITY = CityTime(ZoneInfo("Asia/Shanghai"))
METERS, INTERVAL_S, BODY_LINES = 2_000, 900, 5_000
NOW = int(time.time()) // INTERVAL_S * INTERVAL_S
DEVICES = {
    ("north", "jieshui", f"m{n}"): KnownMeter(f"m{n}", "north", None, None, None, None)
    for n in range(METERS)
}
RULES = Rules((), Policy(), make_directory(1, frozenset({"north"}), DEVICES))


def make_readings(count: int) -> list[Reading]:
    """Every meter once a quarter of an hour, in order of time; register, flow and pressure."""
    slots = -(-count // METERS)
    return [
        Reading(
            f"m{n % METERS}",
            NOW - INTERVAL_S * (slots - n // METERS),
            NOW,
            1e4 + n // METERS / 8,
            n % 97 / 8,
            0.3125,
        )
        for n in range(count)
    ]


def write_journal(folder: Path, readings: Sequence[Reading], each: int) -> JournalWriter:
    """A journal that holds the readings, `each` in one message."""
    journal = open_journal(folder, 64 << 20, after=Position(), received={})
    messages = list(make_messages(readings, each))
    for first in range(0, len(messages), 1_000):
        journal.append(messages[first : first + 1_000])
    return journal


def make_messages(readings: Sequence[Reading], each: int) -> Iterator[Message]:
    for first in range(0, len(readings), each):
        part = readings[first : first + each]
        items = [
            f'{{"meter":"{meter}","at":"{datetime.fromtimestamp(at, UTC).isoformat()}",'
            f'"register_m3":{register},"flow_m3_h":{flow},"pressure_mpa":{pressure}}}'
            for meter, at, _, register, flow, pressure, _, _ in part
        ]
        text = items[0] if each == 1 else f"[{','.join(items)}]"
        meter = part[0].meter_id if each == 1 else "-"
        yield Message("north", f"water/v1/north/jieshui/{meter}/reading", text.encode(), NOW * 1000)


def post_lines(settings: InfluxSettings, bodies: Sequence[bytes]) -> float:
    """Seconds that bare POSTs of these bodies take."""
    pool = urllib3.PoolManager()
    address = f"{settings.url}/api/v2/write?org={settings.organisation}"
    address += f"&bucket={settings.bucket}&precision=s"
    head = {"Authorization": f"Token {settings.token}"}
    began = time.monotonic()
    for body in bodies:
        answer = pool.request("POST", address, body=body, headers=head)
        if answer.status != 204:
            sys.exit(f"bench/influx.py: {answer.status} {answer.data.decode()}")
    return time.monotonic() - began


def load_journal(
    settings: InfluxSettings, folder: Path, journal: JournalWriter, limits: Limits
) -> float:
    """Seconds until the journal is loaded, its ledger in SQLite."""
    engine = open_registry(f"sqlite:///{folder / settings.bucket}.sqlite")
    migrate(engine)
    store = open_readings(settings, engine, CITY)
    reader = JournalReader(journal._folder, journal.marker, journal.committed)  # noqa: SLF001 - the bench's own
    loader = Loader(
        "ingest", reader, journal.received, store, lambda: RULES, limits, lambda *_: None
    )
    stop = threading.Event()
    began = time.monotonic()
    while loader.load_next(stop):
        pass
    took = time.monotonic() - began
    store.close()
    engine.dispose()
    return took


def count_points(settings: InfluxSettings) -> int:
    """Readings that the server gives back."""
    flux = (
        f'from(bucket: "{settings.bucket}") |> range(start: 0, stop: 2100-01-01T00:00:00Z)'
        ' |> filter(fn: (r) => r._field == "register_m3") |> count() |> group() |> sum()'
    )
    client = InfluxClient(settings)
    try:
        return int(client.csv(flux).split(b",")[-1])
    finally:
        client.close()


def run_rounds(folder: Path, server: InfluxDB, arguments: argparse.Namespace) -> Table:
    readings = make_readings(arguments.readings)
    lines = format_readings(transpose(readings)).to_pylist()
    spans = range(0, len(lines), BODY_LINES)
    bodies = ["".join(lines[first : first + BODY_LINES]).encode() for first in spans]
    journals = {each: write_journal(folder / f"journal{each}", readings, each) for each in (1, 100)}
    limits = Limits(batch_readings=arguments.batch, batches=arguments.batches)
    whole = InfluxSettings(server.url, server.token, server.organisation)
    contenders: dict[str, Callable[[InfluxSettings], float]] = {
        "bare POST": lambda settings: post_lines(settings, bodies),
        "1 a message": lambda settings: load_journal(settings, folder, journals[1], limits),
        "100 a message": lambda settings: load_journal(settings, folder, journals[100], limits),
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(arguments.rounds):
        for name, contender in contenders.items():
            settings = replace(whole, bucket=f"{name.replace(' ', '-')}-{number}")
            prepare(settings)
            rates[name].append(len(readings) / contender(settings))
            if (found := count_points(settings)) != len(readings):
                sys.exit(f"bench/influx.py: {name}: {found} points of {len(readings)}")
    return tabulate(rates)


def tabulate(rates: dict[str, list[float]]) -> Table:
    bare, *_ = medians = {name: statistics.median(column) for name, column in rates.items()}
    table = Table(title="Journal → InfluxDB, readings a second")
    for heading in ("", "median", "lowest", "highest", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, column in rates.items():
        numbers = (f"{n:,.0f}" for n in (medians[name], min(column), max(column)))
        table.add_row(name, *numbers, f"{medians[name] / medians[bare]:.2f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--readings", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=Limits().batch_readings, help="in one request")
    parser.add_argument("--batches", type=int, default=5, help="at most in one load")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    spare_the_collector(threading.Event())
    program = find_influxd()
    if program is None:
        sys.exit("bench/influx.py needs influxd (make servers)")
    with tempfile.TemporaryDirectory() as name:
        server = InfluxDB(program, Path(name) / "influxd")
        server.start()
        try:
            table = run_rounds(Path(name), server, arguments)
        finally:
            server.stop()
    Console().print(table)


if __name__ == "__main__":
    main()
