"""Loads into InfluxDB that die half-way, and loads of several workers: every count stays exact."""

import random
import threading
from collections import Counter
from contextlib import suppress

import pytest
from sqlalchemy import text

from storage.errors import StoreUnavailableError
from storage.readings import open_readings
from storage.registry.engine import open_registry
from water.loading import Outcome, Position, Tally

STORED, DUPLICATE, CONFLICT = Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT

pytestmark = pytest.mark.influxdb


class LoadDiedError(Exception):
    """What ends a load half-way."""


DIES_BEFORE_IT_COUNTS = """
import os, sys
from datetime import datetime
from zoneinfo import ZoneInfo
from storage.influx import InfluxSettings, open_readings
from storage.registry.engine import open_registry
from water.city_time import CityTime
from water.readings import Reading

url, organisation, bucket, ledger = sys.argv[1:]
settings = InfluxSettings(url, sys.stdin.readline().strip(), organisation, bucket)
zone = ZoneInfo("Asia/Shanghai")
store = open_readings(settings, open_registry(ledger), CityTime(zone))
first = int(datetime(2026, 1, 1, tzinfo=zone).timestamp())
with store.load() as load:
    load.add_readings([Reading("m1", first + 3600 * h, first + 3600 * h + 5, h) for h in range(10)])
    os._exit(9)
"""


@pytest.fixture
def dead_load(open_store, reading):
    """A loader has written ten readings of m1 and died before it counted them."""
    die(open_store(), hours(reading, 0, 10))


def die(store, batch):
    """Write a batch and end before it is counted."""
    with suppress(LoadDiedError), store.load() as transaction:
        transaction.add_readings(batch)
        raise LoadDiedError


def hours(reading, first, end, **fields):
    return [reading("m1", 1, h, register_m3=h, **fields) for h in range(first, end)]


def test_a_process_that_is_killed_leaves_readings_that_count_when_they_come_again(
    in_process, influx_settings, ledger_url, open_store, load, reading, instant
):
    settings = influx_settings
    died = in_process(
        DIES_BEFORE_IT_COUNTS, settings.url, settings.organisation, settings.bucket, ledger_url
    )
    died.communicate(settings.token, timeout=60)
    assert died.returncode == 9
    store = open_store()
    assert len(store.load_readings(["m1"], instant(1, 1), instant(1, 2))) == 10
    assert store.touched_days(0, 10).mark == 0
    for outcome in (STORED, DUPLICATE):
        assert load(store, hours(reading, 0, 10)) == [outcome] * 10


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_what_a_dead_load_wrote_is_stored_once_however_it_is_cut(
    dead_load, store, load, reading, instant, batch
):
    again = hours(reading, 0, 12)
    for outcome in (STORED, DUPLICATE):
        for first in range(0, 12, batch):
            part = again[first : first + batch]
            assert load(store, part) == [outcome] * len(part)
    assert len(store.load_readings(["m1"], instant(1, 1), instant(1, 2))) == 12


def test_another_worker_that_has_it_too_counts_it_and_the_dead_one_does_not(
    dead_load, open_store, load, reading
):
    other, restarted = open_store(), open_store()
    assert load(other, hours(reading, 4, 6)) == [STORED] * 2
    assert load(restarted, hours(reading, 3, 7)) == [STORED, DUPLICATE, DUPLICATE, STORED]


def test_a_quantity_that_another_worker_adds_leaves_the_dead_ones_uncounted(
    dead_load, open_store, load, reading, instant
):
    other, restarted = open_store(), open_store()
    assert load(other, [reading("m1", 1, 4, pressure_mpa=0.3)]) == [STORED]
    assert load(restarted, hours(reading, 4, 5)) == [STORED]
    assert load(restarted, hours(reading, 4, 5)) == [DUPLICATE]
    row = restarted.load_readings(["m1"], instant(1, 1, 4), instant(1, 1, 5)).iloc[0]
    assert (row["register_m3"], row["pressure_mpa"]) == (4, 0.3)


def test_a_reading_in_the_place_of_a_dead_loads_has_its_own_quality(
    open_store, load, reading, instant
):
    die(open_store(), hours(reading, 4, 5, quality=5))
    other = open_store()
    assert load(other, hours(reading, 4, 5)) == [STORED]
    row = other.load_readings(["m1"], instant(1, 1, 4), instant(1, 1, 5)).iloc[0]
    assert (row["register_m3"], row["quality"]) == (4, 0)


def test_a_load_whose_request_never_arrived_is_stored_when_it_comes_again(
    store, load, reading, monkeypatch
):
    def away(lines):
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(store._client, "write", away)
        with pytest.raises(OSError, match="away"):
            load(store, hours(reading, 0, 3))
    assert load(store, hours(reading, 0, 3)) == [STORED] * 3
    assert load(store, hours(reading, 0, 3)) == [DUPLICATE] * 3


def test_an_outage_with_many_tries_leaves_one_unsettled_row(
    store, load, reading, monkeypatch, ledger_url
):
    def away(lines):
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(store._client, "write", away)
        for _ in range(5):
            with suppress(OSError):
                load(store, hours(reading, 0, 3))
    assert count_unsettled(ledger_url) == 1
    assert load(store, hours(reading, 0, 3)) == [STORED] * 3
    assert count_unsettled(ledger_url) == 0


def count_unsettled(ledger_url):
    engine = open_registry(ledger_url)
    with engine.connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM ledger_unsettled")).scalar_one()
    engine.dispose()
    return count


def test_workers_meet_each_others_readings(open_store, load, reading):
    one, two = open_store(), open_store()
    assert load(one, hours(reading, 0, 2)) == [STORED] * 2
    assert load(two, hours(reading, 0, 3)) == [DUPLICATE, DUPLICATE, STORED]
    assert load(one, [reading("m1", 1, 2, register_m3=99)]) == [CONFLICT]
    assert load(two, [reading("m1", 1, 2, flow_m3_h=1)]) == [STORED]
    assert load(one, [reading("m1", 1, 2, flow_m3_h=1)]) == [DUPLICATE]


def test_a_worker_knows_what_others_stored_also_after_loads_are_folded(
    open_store, load, reading, instant
):
    one, two = open_store(), open_store()
    load(one, hours(reading, 0, 1))
    for h in range(3):
        load(two, [reading(f"m{h}", 1, h, register_m3=1)])
    two.compact(instant(1, 5).date())
    assert load(one, [reading("m2", 1, 2, register_m3=1)]) == [DUPLICATE]


def test_a_second_load_waits_for_the_first(open_store, reading):
    one, two = open_store(), open_store()
    order = []

    def load_second():
        with two.load() as transaction:
            order.append("second")
            transaction.set_position("j", Position(1, 1, 1))

    with one.load() as transaction:
        thread = threading.Thread(target=load_second)
        thread.start()
        thread.join(0.3)
        order.append("first")
        transaction.set_position("j", Position(2, 2, 2))
    thread.join(10)
    assert order == ["first", "second"]
    assert one.position("j") == Position(1, 1, 1)


@pytest.mark.parametrize("seed", [1, 2])
def test_two_workers_that_die_now_and_then_count_like_one_embedded_store(
    open_store, load, reading, instant, city, tmp_path, seed
):
    """The oracle is the embedded store, which undoes a dead load altogether."""
    chance = random.Random(seed)
    oracle = open_readings(tmp_path / "oracle", city, None)  # type: ignore[arg-type] - never asks
    workers = [open_store(), open_store()]
    lost = []
    for _ in range(30):
        batch = [_any_reading(chance, reading) for _ in range(chance.randint(1, 6))]
        if chance.random() < 0.3:
            die(workers[chance.randrange(2)], batch)
            workers[chance.randrange(2)] = open_store()
            lost += batch
            continue
        if lost and chance.random() < 0.3:
            batch, lost = lost[:4], lost[4:]
        assert load(chance.choice(workers), batch) == load(oracle, batch)
    assert load(workers[0], lost) == load(oracle, lost)
    span = (instant(1, 1), instant(1, 4))
    meters = ["m0", "m1", "m2"]
    assert workers[1].load_readings(meters, *span).equals(oracle.load_readings(meters, *span))
    assert workers[1].conflicts(*span).equals(oracle.conflicts(*span))
    assert _days(workers[1]) == _days(oracle)
    oracle.close()


def _any_reading(chance, reading):
    fields = chance.choice(["register_m3", "flow_m3_h", "pressure_mpa"])
    made = reading(
        f"m{chance.randrange(3)}", 1, chance.randrange(30), **{fields: float(chance.randrange(2))}
    )
    return made._replace(quality=chance.randrange(3), received_at=chance.randrange(100, 110))


def _days(store):
    days = store.touched_days(0, 1000).days
    return set(zip(days["meter_id"], days["day"], strict=True))


def test_tallies_of_two_workers_add_up(open_store):
    tally = Tally("s1", "messages", "decoded")
    workers = [open_store(), open_store()]
    for worker in workers * 3:
        with worker.load() as transaction:
            transaction.add_tallies(Counter({tally: 2}))
    assert workers[0].tallies() == {tally: 12}
