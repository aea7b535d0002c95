"""Answers of InfluxDB beside those of the embedded store: any names, any gaps, any spans."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from storage.influx import InfluxSettings, flux
from storage.influx.answers import InfluxAnswers
from storage.influx.client import InfluxClient
from storage.influx.lines import format_readings, transpose, write_lines
from storage.readings import open_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.readings import Reading

pytestmark = pytest.mark.servers

START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
DAY = 86_400
NAMES = [
    "m1",
    "m2",
    "a b,c=d",
    'say "m"',
    "back\\slash",
    "a/b",
    "m.",
    "${m}",
    "水表",
    "\\x41",
    "p1",
]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, UTC)


@pytest.fixture(scope="module")
def make_answers(influxdb) -> Iterator:
    """Call with readings for the answers about them, in a bucket of their own."""
    clients: list[InfluxClient] = []

    def make(readings: list[Reading]) -> InfluxAnswers:
        settings = InfluxSettings(
            influxdb.url, influxdb.token, influxdb.organisation, influxdb.make_bucket()
        )
        clients.append(InfluxClient(settings))
        assert not write_lines(clients[-1], format_readings(transpose(readings)))
        return InfluxAnswers(clients[-1])

    yield make
    for client in clients:
        client.close()


def random_readings(seed: int, days: int) -> list[Reading]:
    """Meters with names of every kind and gaps of every length; p1 never has a register."""
    rng = np.random.default_rng(seed)
    readings: dict[tuple[str, int], Reading] = {}
    for name in NAMES:
        gap_s = rng.choice([900, 3_600, DAY, 5 * DAY])
        instants = START + np.cumsum(rng.integers(1, 2 * gap_s, int(days * DAY / gap_s)))
        instants[::3] = instants[::3] // 3600 * 3600
        for instant in instants.tolist():
            values = [round(float(v), 3) if rng.random() < 0.6 else None for v in rng.random(4)]
            if name == "p1":
                values[0] = None
            if any(value is not None for value in values):
                late_s = int(rng.integers(0, 2 * DAY))
                quality = int(rng.choice([0, 0, 0, 1, 5]))
                reading = Reading(name, instant, instant + late_s, *values, quality)
                readings[name, instant] = reading
    return list(readings.values())


@pytest.fixture(scope="module", params=[1, 2])
def both(request, make_answers, tmp_path_factory):
    """The same random readings in InfluxDB and in the embedded store."""
    readings = random_readings(request.param, days=12)
    folder, zone = tmp_path_factory.mktemp("embedded"), CityTime(UTC)  # type: ignore[arg-type]
    embedded = open_readings(folder, zone, SystemClock())
    with embedded.load() as transaction:
        assert transaction.add_readings(readings) is None
    yield make_answers(readings), embedded
    embedded.close()


SPANS = [(-2, 20), (3, 4), (3.5, 3.5), (6.01, 6.02), (20, 21), (-5, -4)]


@pytest.mark.parametrize(("start", "end"), SPANS)
@pytest.mark.parametrize("neighbours", [False, True])
def test_readings_are_those_of_the_embedded_store(both, start, end, neighbours):
    asked = ([*NAMES, "nobody"], at(start * DAY), at(end * DAY))
    found, expected = (store.load_readings(*asked, neighbours=neighbours) for store in both)
    pd.testing.assert_frame_equal(found, expected)


def test_the_newest_readings_are_those_of_the_embedded_store(both):
    for asked in (None, NAMES[3:6], [], ["nobody"]):
        found, expected = (store.newest(asked) for store in both)
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_those_of_the_embedded_store(both, name):
    for after, limit in [(None, 3), (at(2 * DAY), 7), (at(99 * DAY), 5), (None, 100_000)]:
        asked = (name, at(DAY), at(9 * DAY))
        found, expected = (store.load_page(*asked, after=after, limit=limit) for store in both)
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("quantity", ["register_m3", "level_m"])
@pytest.mark.parametrize("points", [20, 100_000])
def test_a_series_is_whole_or_has_the_ends_and_extremes_of_the_whole(both, quantity, points):
    answers, embedded = both
    for name in NAMES:
        asked = (name, quantity, at(DAY), at(11 * DAY))
        found = answers.load_series(*asked, points)
        whole = embedded.load_series(*asked, 100_000)
        if len(whole) <= points:
            pd.testing.assert_frame_equal(found, whole)
        else:
            assert len(found) <= points
            assert found.merge(whole)["at"].equals(found["at"]), "each point stands at its own time"
            assert list(found["at"].iloc[[0, -1]]) == list(whole["at"].iloc[[0, -1]])
            assert list(found["value"].agg(["min", "max"])) == list(
                whole["value"].agg(["min", "max"])
            )


def test_a_series_too_long_to_be_sent_keeps_its_extremes(make_answers):
    values = [5.0] * 20_000
    values[123], values[17_777] = 90.0, -3.0
    readings = [Reading("m1", START + 60 * i, START, flow_m3_h=v) for i, v in enumerate(values)]
    answers = make_answers(readings)
    found = answers.load_series("m1", "flow_m3_h", at(0), at(20 * DAY), 40)
    assert len(found) <= 40
    seen = dict(zip(found["at"], found["value"], strict=True))
    assert (seen[at(60 * 123)], seen[at(60 * 17_777)]) == (90, -3)
    assert (found["at"].iloc[0], found["at"].iloc[-1]) == (at(0), at(60 * 19_999))


@pytest.mark.parametrize("gap_h", [1, 24, 60])
@pytest.mark.parametrize("asked", [None, NAMES[2:5]])
def test_edges_are_those_of_the_embedded_store(both, gap_h, asked):
    instants = [at(-DAY + h * 3600) for h in range(0, 14 * 24, gap_h)]
    found, expected = (store.load_edges(asked, instants) for store in both)
    assert found.meter_ids == expected.meter_ids
    for side in ("before_at", "before_m3", "after_at", "after_m3"):
        np.testing.assert_array_equal(getattr(found, side), getattr(expected, side), side)


def test_a_name_finds_that_meter_and_no_other(both):
    answers, _ = both
    for name in NAMES:
        found = answers.load_readings([name], at(0), at(20 * DAY))
        assert set(found["meter_id"]) == {name}
    assert answers.load_readings(["m", "m.*", ".*", "A"], at(0), at(20 * DAY)).empty


def test_more_meters_than_one_question_holds(make_answers, monkeypatch):
    names = [f"n{i:05d}" for i in range(2_500)]
    answers = make_answers([Reading(n, START, START + 1, register_m3=1.5) for n in names])
    found = answers.load_readings(names[::-1], at(0), at(1), neighbours=True)
    assert list(found["meter_id"]) == names
    assert list(answers.newest(names)["meter_id"]) == names
    scripts, ask = [], answers._client.csv
    monkeypatch.setattr(answers._client, "csv", lambda s: scripts.append(s) or ask(s))
    edges = answers.load_edges(names[::-1], [at(0), at(60)])
    assert edges.meter_ids == names
    assert edges.before_m3.tolist() == [[1.5, 1.5]] * 2_500
    assert max(script.count("|n") for script in scripts) < 1_000


@pytest.mark.parametrize("character", ["\0", "\n"])
def test_a_name_that_no_meter_has_hides_no_other(both, character):
    answers, _ = both
    found = answers.newest(["m1", f"m{character}1", character])
    assert list(found["meter_id"]) == ["m1"]
    assert answers.load_page(character, at(0), at(DAY), after=None, limit=1).empty


def test_a_neighbour_is_whole_though_other_readings_hide_it(make_answers):
    answers = make_answers(
        [
            Reading("m1", START, START + 7, register_m3=1, flow_m3_h=2, quality=1),
            Reading("m1", START + 60, START + 61, pressure_mpa=0.3),
            Reading("m1", START + 5 * DAY, START + 5 * DAY + 1, level_m=1),
            Reading("m1", START + 6 * DAY, START + 6 * DAY + 9, register_m3=3, level_m=2),
        ]
    )
    found = answers.load_readings(["m1"], at(DAY), at(2 * DAY), neighbours=True)
    assert list(found["at"]) == [at(0), at(6 * DAY)]
    assert list(found["received_at"]) == [at(7), at(6 * DAY + 9)]
    assert found["flow_m3_h"].tolist()[0] == 2
    assert found["level_m"].tolist()[1] == 2
    assert list(found["quality"]) == [1, 0]


def test_a_literal_of_flux_holds_any_text():
    assert flux.quote('a "b" \\ ${c} 水') == '"a \\"b\\" \\\\ \\${c} 水"'


def test_a_question_filters_by_whole_names():
    asked = flux.select("water", 1, 2, meter_ids=["b/c", "a."], field="level_m")
    assert asked.endswith(
        'r._measurement == "reading" and r._field == "level_m" '
        "and r.meter_id =~ /^(?:a\\.|b\\/c)$/)"
    )
