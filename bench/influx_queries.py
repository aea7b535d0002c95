"""What analysis and the API ask of InfluxDB, beside the fastest form of the question in bare Flux.

    python bench/influx_queries.py [--meters 2000] [--days 30] [--repeat 5] [--quick]

Starts an influxd for itself and gives it what bench/store.py gives the embedded store: readings
every 15 minutes and their kept volumes. Then each question is asked three ways in turn: bare Flux
(the fastest form that is known, its answer read as bytes and no further), through the store (to
the frame that its callers get), and through the embedded store. Both frames must be equal.
Ratios are ours / bare and ours / embedded.
"""

# ruff: noqa: E402 - the script's own folder must first stop hiding the packages of the same names

import sys
from pathlib import Path

sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(__file__).parent]

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from bench import store
from jieshui.demo.servers import InfluxDB, find_influxd
from storage.contracts import VolumesStore
from storage.edges import Edges
from storage.frames import to_seconds
from storage.influx import InfluxSettings, open_volumes
from storage.influx.answers import InfluxAnswers
from storage.influx.client import InfluxClient
from storage.influx.lines import format_readings, transpose, write_lines

BAR = 1.5
_KEEP = ' |> keep(columns: ["_time", "_value", "_field", "meter_id"])'


@dataclass(frozen=True)
class City:
    """The same data in both stores."""

    answers: InfluxAnswers
    volumes: VolumesStore
    client: InfluxClient
    year: store.Year

    @property
    def span(self) -> tuple[datetime, datetime]:
        """All days, from local midnight to local midnight."""
        days = self.year.days
        return store.CITY.day_start(days[0]), store.CITY.day_start(days[-1] + timedelta(days=1))

    @property
    def day(self) -> tuple[datetime, datetime]:
        """One local day in the middle."""
        return store.CITY.day_bounds(self.year.days[len(self.year.days) // 2])

    @property
    def meters(self) -> list[str]:
        """Every meter."""
        return store.names_of(self.year.meters)

    def flux(self, span: tuple[datetime, datetime], *conditions: str) -> str:
        """The beginning of a bare question: range and filter."""
        start, end = (int(edge.timestamp()) for edge in span)
        wanted = " and ".join(('r._measurement == "reading"', *conditions))
        bucket = self.client.settings.bucket
        return (
            f'from(bucket: "{bucket}") |> range(start: {start}, stop: {end}) '
            f"|> filter(fn: (r) => {wanted})"
        )


@dataclass(frozen=True)
class Question:
    """One question asked three ways: `bare` are scripts asked one after the other."""

    name: str
    bare: Callable[[City], list[str]]
    ours: Callable[[City], object]
    embedded: Callable[[City], object]


REGISTER = 'r._field == "register_m3"'
ONE = 'r.meter_id == "m000042"'
EVER = (datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(4_000_000_000, UTC))


def midnights(city: City) -> list[datetime]:
    days = city.year.days
    return [store.CITY.day_start(day) for day in [*days, days[-1] + timedelta(days=1)]]


def beside_midnights(city: City) -> list[str]:
    """The last reading before each midnight with its time, and the first one after it."""
    windows = f"{city.flux(city.span, REGISTER)} |> window(every: 8h)"
    return [f"{windows} |> last(){_KEEP}", f"{windows} |> first(){_KEEP}"]


def day_with_neighbours(city: City) -> list[str]:
    start, end = city.day
    return [
        city.flux(city.day) + _KEEP,
        f"{city.flux((EVER[0], start))} |> last(){_KEEP}",
        f"{city.flux((end, EVER[1]))} |> first(){_KEEP}",
    ]


def by_window(every: str, pick: str) -> Callable[[City], list[str]]:
    window = f"aggregateWindow(every: {every}, fn: {pick}, createEmpty: false)"
    keep = 'keep(columns: ["_time", "_value", "meter_id"])'
    return lambda city: [f"{city.flux(city.span, REGISTER)} |> {window} |> {keep}"]


QUESTIONS = (
    Question(
        "a day's readings",
        lambda city: [city.flux(city.day) + _KEEP],
        lambda city: city.answers.load_readings(city.meters, *city.day),
        lambda city: city.year.readings.load_readings(city.meters, *city.day),
    ),
    Question(
        "a day with its neighbours",
        day_with_neighbours,
        lambda city: city.answers.load_readings(city.meters, *city.day, neighbours=True),
        lambda city: city.year.readings.load_readings(city.meters, *city.day, neighbours=True),
    ),
    Question(
        "both sides of every midnight",
        beside_midnights,
        lambda city: city.answers.load_edges(None, midnights(city)),
        lambda city: city.year.readings.load_edges(None, midnights(city)),
    ),
    Question(
        "newest readings",
        lambda city: [f"{city.flux(EVER)} |> last(){_KEEP}"],
        lambda city: city.answers.newest()[["meter_id", "at"]],
        lambda city: city.year.readings.newest()[["meter_id", "at"]],
    ),
    Question(
        "a page of one meter's readings",
        lambda city: [city.flux(city.span, ONE) + _KEEP],
        lambda city: city.answers.load_page("m000042", *city.span, after=None, limit=10**6),
        lambda city: city.year.readings.load_page("m000042", *city.span, after=None, limit=10**6),
    ),
    Question(
        "one meter's series for a chart",
        lambda city: [city.flux(city.span, ONE, REGISTER) + _KEEP],
        lambda city: ends(city.answers.load_series("m000042", "register_m3", *city.span, 500)),
        lambda city: ends(
            city.year.readings.load_series("m000042", "register_m3", *city.span, 500)
        ),
    ),
    Question(
        "hourly volumes",
        by_window("1h", "last"),
        lambda city: city.volumes.load_hourly(None, *city.span),
        lambda city: city.year.volumes.load_hourly(None, *city.span),
    ),
    Question(
        "daily volumes",
        by_window("8h", "last"),
        lambda city: city.volumes.load_daily(None, city.year.days[0], city.year.days[-1]),
        lambda city: city.year.volumes.load_daily(None, city.year.days[0], city.year.days[-1]),
    ),
)


def ends(series: pd.DataFrame) -> pd.DataFrame:
    """Of a thinned series what every way of thinning keeps."""
    value = series["value"]
    return pd.DataFrame(
        {"at": [series["at"].iloc[0], series["at"].iloc[-1]], "value": [value.min(), value.max()]}
    )


def fill(city: City) -> int:
    """Write what the embedded store holds into InfluxDB, day by day; how many readings."""
    readings = 0
    for midnight in midnights(city):
        next_midnight = midnight + timedelta(days=1)
        frame = city.year.readings.load_readings(city.meters, midnight, next_midnight)
        readings += len(frame)
        rows = zip(
            frame["meter_id"].tolist(),
            to_seconds(frame["at"]).tolist(),
            to_seconds(frame["received_at"]).tolist(),
            frame["register_m3"].tolist(),
            strict=True,
        )
        lines = format_readings(transpose([(*row, None, None, None, 0) for row in rows]))
        if write_lines(city.client, lines):
            sys.exit("bench/influx_queries.py: the server refuses readings")
        day = store.CITY.day_of(midnight)
        city.volumes.save(
            city.year.volumes.load_hourly(None, midnight, next_midnight),
            city.year.volumes.load_daily(None, day, day),
        )
    return readings


def check(question: Question, found: object, expected: object) -> None:
    """Refuse answers that differ."""
    if isinstance(found, Edges) and isinstance(expected, Edges):
        np.testing.assert_array_equal(found.interpolate(), expected.interpolate(), question.name)
    elif isinstance(found, pd.DataFrame) and isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    else:
        raise TypeError(question.name)


def seconds(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def run(city: City, repeat: int) -> tuple[Table, bool]:
    """The table of medians, and whether every ratio stays within the bar."""
    table = Table(title="Questions to InfluxDB, milliseconds")
    for heading in ("", "bare Flux", "ours", "embedded", "ours / bare", "ours / embedded"):
        table.add_column(heading, justify="right" if heading else "left")
    within = True
    for question in QUESTIONS:
        check(question, question.ours(city), question.embedded(city))
        ways: tuple[Callable[[], object], ...] = (
            lambda q=question: [city.client.csv(script) for script in q.bare(city)],
            lambda q=question: q.ours(city),
            lambda q=question: q.embedded(city),
        )
        times = [[seconds(way) for way in ways] for _ in range(repeat)]
        bare, ours, embedded = (statistics.median(column) for column in zip(*times, strict=True))
        within &= ours / bare <= BAR
        table.add_row(
            question.name,
            *(f"{median * 1000:,.0f}" for median in (bare, ours, embedded)),
            f"{ours / bare:.2f}",
            f"{ours / embedded:.1f}",
        )
    return table, within


@contextmanager
def open_city(folder: Path, server: InfluxDB, meters: int, days: int) -> Iterator[City]:
    """Both stores, filled; closed on the way out."""
    settings = InfluxSettings(server.url, server.token, server.organisation, server.bucket)
    with ExitStack() as opened:
        year = store.fill(folder / "embedded", meters, days)
        opened.callback(year.readings.close)
        opened.callback(year.volumes.close)
        client = InfluxClient(settings)
        opened.callback(client.close)
        volumes = open_volumes(settings)
        opened.callback(volumes.close)
        yield City(InfluxAnswers(client), volumes, client, year)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--meters", type=int, default=2_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="200 meters, 5 days, each once")
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.meters, chosen.days, chosen.repeat = 200, 5, 1
    program = find_influxd()
    if program is None:
        sys.exit("bench/influx_queries.py needs influxd (make servers)")
    with tempfile.TemporaryDirectory() as name, ExitStack() as started:
        server = InfluxDB(program, Path(name) / "influxd")
        server.start()
        started.callback(server.stop)
        city = started.enter_context(open_city(Path(name), server, chosen.meters, chosen.days))
        began = time.perf_counter()
        count = fill(city)
        print(f"{count:,} readings and their volumes in {time.perf_counter() - began:.0f} s")
        table, within = run(city, chosen.repeat)
    Console().print(table)
    print(f"bar: ours <= {BAR} x bare Flux: {'held' if within else 'NOT HELD'}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
