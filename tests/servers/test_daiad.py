"""Real registers with all their defects, through the real broker, against a plain recomputation.

DAIAD: 92 households of Alicante, about hourly registers of a year, litres (CC BY-SA 4.0). Three of
four come as a utility's head-end sends them, a day a message; the others as radio telegrams, one a
message. `DAIAD_HOUSEHOLDS=all` takes every household, else a few with every kind of defect.
"""

import json
import os
import subprocess
import sys
import time
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import groupby, pairwise
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
import pandas as pd
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.orm import Session

from jieshui.broker import free_port
from jieshui.config import load_settings
from jieshui.wiring import build_analysis, open_stores
from storage.registry.models import (
    ArrivalRow,
    DeviceRow,
    MeterRow,
    SupplierRow,
    UserRow,
    VerdictRow,
)
from water.accounting import sum_messages, sum_readings

pytestmark = pytest.mark.servers

FILE = "daiad_alicante_registers_raw.parquet"
FOLDER = Path(
    os.environ.get("JIESHUI_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data"
)
SOME = ("1de2cf65", "9348c9bb", "12913a45", "0e7d65c2")
SUPPLIERS = ("utility", "radio")
WALL_CLOCK = timezone(timedelta(hours=1))
"""The loggers' clock: its stamps have no zone, and one hour of October twice."""
Q3_M3_H = 2.5
"""What a household's DN 15 meter has."""
TOLERANCE_L, INTERVAL_S = 10, 3_600
CONFIGURATION = """
[city]
timezone = "Etc/GMT-1"
[store]
folder = "var"
[clock]
anchor = 2017-03-01T00:05:00+01:00
shown = 2017-03-01T00:05:00+01:00
speed = 0
[mqtt]
host = "{host}"
port = {port}
[ingest]
port = {health}
"""


# ---------------------------------------------------------------- what the file says


@pytest.fixture(scope="module")
def households(missing):
    """Household → its readings as the file has them: (epoch second, litres)."""
    path = FOLDER / FILE
    if not path.exists():
        missing(f"{FILE} is not in {FOLDER} (JIESHUI_SHARED_DATA)")
    everything = os.environ.get("DAIAD_HOUSEHOLDS") == "all"
    chosen = None if everything else [("user", "in", SOME)]
    frame = pd.read_parquet(path, filters=chosen, columns=["user", "time_local", "register_l"])
    stamps = frame["time_local"].dt.tz_localize(WALL_CLOCK)
    frame["second"] = (stamps - pd.Timestamp(0, tz=UTC)) // pd.Timedelta(seconds=1)
    return {
        str(user): list(zip(rows["second"], rows["register_l"], strict=True))
        for user, rows in frame.groupby("user")
    }


class Plain:
    """One household worked out in plain Python from what the file says."""

    def __init__(self, rows):
        self.rows = rows
        values = {}
        for second, litres in rows:
            values.setdefault(second, []).append(litres)
        self.contested = {second for second, said in values.items() if len(set(said)) > 1}
        self.duplicates = sum(len(said) - len(set(said)) for said in values.values())
        self.conflicts = sum(len(set(said)) - 1 for said in values.values())
        self.stamps = sorted(values)
        first = [(second, values[second][0]) for second in self.stamps]
        self.steps_back = [b - a for (_, a), (_, b) in pairwise(first) if b < a]
        self.gaps = sum(b - a > 7_200 for a, b in pairwise(self.stamps))
        self.kept = [row for row in first if row[0] not in self.contested]
        self.wrong = self._drop_wrong()

    def _drop_wrong(self):
        """Leave out readings until no step goes back; how many those were.

        Of the two at a step back the one is wrong that more of the fifty readings on the far side
        of the step contradict.
        """
        kept, wrong, i = self.kept, 0, 1
        while i < len(kept):
            high, low = kept[i - 1][1], kept[i][1]
            if low >= high - TOLERANCE_L:
                i += 1
                continue
            against_high = sum(v < high - TOLERANCE_L for _, v in kept[i : i + 50])
            against_low = sum(v > low + TOLERANCE_L for _, v in kept[max(0, i - 50) : i])
            i = i - 1 if against_high > against_low else i
            del kept[i]
            wrong, i = wrong + 1, max(1, i - 1)
        return wrong

    def days(self):
        """Day → (m³, share measured, share estimated), from the first to the last stamp."""
        at, litres = [second for second, _ in self.kept], [value for _, value in self.kept]
        last = day_of(self.stamps[-1])
        day, found = day_of(self.stamps[0]), {}
        while day <= last:
            begin = int(datetime.combine(day, datetime.min.time(), WALL_CLOCK).timestamp())
            end = begin + 86_400
            used = register(at, litres, end) - register(at, litres, begin)
            first, beyond = max(0, bisect_right(at, begin) - 1), bisect_left(at, end) + 1
            seconds = Counter()
            for a, b in pairwise(at[first:beyond]):
                is_measured = b - a <= 2.5 * INTERVAL_S
                seconds[is_measured] += max(0, min(b, end) - max(a, begin))
            found[day] = (used / 1000, seconds[True] / 86_400, seconds[False] / 86_400)
            day += timedelta(days=1)
        return found


def day_of(second):
    return datetime.fromtimestamp(second, WALL_CLOCK).date()


def register(at, litres, second):
    """Litres on the dial at an instant, along the straight line between two readings."""
    after = bisect_right(at, second)
    if after == 0 or after == len(at):
        return litres[0] if after == 0 else litres[-1]
    share = (second - at[after - 1]) / (at[after] - at[after - 1])
    return litres[after - 1] + share * (litres[after] - litres[after - 1])


# ---------------------------------------------------------------- the way through


def register_households(stores, households):
    with Session(stores.engine) as session, session.begin():
        session.add_all(SupplierRow(id=supplier, name=supplier) for supplier in SUPPLIERS)
        session.add_all(UserRow(id=user, name=user, sector="residential") for user in households)
        session.flush()
        for number, user in enumerate(households):
            session.add(
                MeterRow(
                    id=user, supplier_id=supplier_of(number), role="customer", user_id=user,
                    q3_m3_h=Q3_M3_H, interval_s=INTERVAL_S,
                )
            )  # fmt: skip
        session.flush()
        for number, user in enumerate(households):
            address = {"supplier_id": "radio", "dialect": "wmbusmeters", "address": user}
            if supplier_of(number) == "radio":
                session.add(DeviceRow(meter_id=user, **address))


def supplier_of(number):
    return "radio" if number % 4 == 3 else "utility"


def messages(number, user, rows):
    """Topic and payload of everything that one household's supplier sends."""
    if supplier_of(number) == "radio":
        for second, litres in rows:
            heard = f"{datetime.fromtimestamp(second, UTC):%FT%TZ}"
            telegram = {
                "_": "telegram", "media": "water", "meter": "iperl", "name": user, "id": user,
                "total_m3": litres / 1000, "timestamp": heard,
            }  # fmt: skip
            yield f"water/v1/radio/wmbusmeters/{user}", telegram
        return
    for _, day in groupby(rows, key=lambda row: day_of(row[0])):
        sent = [
            {"at": datetime.fromtimestamp(second, WALL_CLOCK).isoformat(), "register_m3": v / 1000}
            for second, v in day
        ]
        yield f"water/v1/utility/jieshui/{user}/reading", {"readings": sent}


def publish(broker, households):
    """Send everything, one household after the other; how many messages."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="alicante")
    client.max_inflight_messages_set(500)
    client.connect(broker.host, broker.port)
    client.loop_start()
    count, waiting = 0, deque()
    for number, (user, rows) in enumerate(households.items()):
        for topic, payload in messages(number, user, rows):
            waiting.append(client.publish(topic, json.dumps(payload), qos=1))
            count += 1
            if len(waiting) > 2_000:
                waiting.popleft().wait_for_publish(60)
    for one in waiting:
        one.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()
    return count


def is_ready(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


class Ingest:
    """`jieshui serve ingest` as a process."""

    def __init__(self, configuration):
        program = Path(sys.executable).with_name("jieshui")
        self._log = configuration.with_name("ingest.log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "serve", "ingest"], stdout=log, stderr=log,
                env={**os.environ, "JIESHUI_CONFIG": str(configuration)},
            )  # fmt: skip

    def wait(self, holds, seconds):
        deadline = time.monotonic() + seconds
        while not holds():
            assert self._process.poll() is None, self._log.read_text("utf-8")
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.2)

    def end(self):
        self._process.terminate()
        self._process.wait(30)


@pytest.fixture(scope="module")
def plain(households):
    return {user: Plain(rows) for user, rows in households.items()}


@pytest.fixture(scope="module")
def came_through(tmp_path_factory, households, mosquitto):
    """The stores after everything has come through the broker, ingest and the analysis."""
    path = tmp_path_factory.mktemp("daiad") / "jieshui.toml"
    health = free_port()
    place = {"host": mosquitto.host, "port": mosquitto.port, "health": health}
    path.write_text(CONFIGURATION.format(**place), encoding="utf-8")
    configuration = load_settings(path)
    with open_stores(configuration) as stores:
        register_households(stores, households)
        ingest = Ingest(path)
        try:
            ingest.wait(lambda: is_ready(health), 90)
            count = publish(mosquitto, households)

            def is_all_loaded():
                every = sum_messages(stores.readings.tallies())
                sums = [every[supplier] for supplier in SUPPLIERS if supplier in every]
                loaded = sum(one.received - one.waiting for one in sums)
                return loaded == count

            ingest.wait(is_all_loaded, 60 + count / 500)
        finally:
            ingest.end()
        analyse(configuration, stores)
        yield stores


def analyse(configuration, stores):
    service = build_analysis(configuration, stores, CollectorRegistry())
    assert service._turn.take()
    try:
        while not service.run_once().idle:
            pass
    finally:
        service._turn.release()


# ---------------------------------------------------------------- the same by both ways


def rows_of(stores, table):
    with Session(stores.engine) as session:
        return list(session.scalars(select(table)))


def test_every_reading_of_the_file_is_accounted_for(came_through, plain):
    sums = sum_readings(came_through.readings.tallies())
    assert all(one.balanced for one in sums.values())
    counts = Counter()
    for tally, count in came_through.readings.tallies().items():
        counts[tally.account] += count if tally.ledger == "readings" else 0
    households = plain.values()
    assert counts["decoded"] == sum(len(one.rows) for one in households)
    assert counts["duplicate"] == sum(one.duplicates for one in households)
    assert counts["conflict"] == sum(one.conflicts for one in households) > 0
    assert counts["stored"] == sum(len(one.stamps) for one in households)
    assert counts["quarantined"] == 0


def test_steps_back_spikes_and_conflicts_are_told_and_nothing_else(came_through, plain):
    told = Counter((row.meter_id, row.verdict) for row in rows_of(came_through, VerdictRow))
    expected = Counter()
    for user, one in plain.items():
        expected[user, "spike"] = one.wrong
        expected[user, "conflict"] = len(one.contested)
    assert told == +expected
    assert sum(one.wrong for one in plain.values()) > 0
    households = plain.values()
    back = [step for one in households for step in one.steps_back]
    print(
        f"\n{len(plain)} households, {sum(len(one.rows) for one in households)} readings: "
        f"{len(back)} steps back, {sum(step < -TOLERANCE_L for step in back)} beyond 10 l; "
        f"{sum(one.wrong for one in households)} wrong readings that come back; "
        f"{sum(one.duplicates for one in households)} duplicates, "
        f"{sum(one.conflicts for one in households)} conflicts; "
        f"{sum(one.gaps for one in households)} gaps over 2 h"
    )


def test_readings_received_and_valid_are_counted_a_day(came_through, plain):
    arrived = Counter()
    invalid = Counter()
    for row in rows_of(came_through, ArrivalRow):
        arrived[row.meter_id, row.day] = row.received
        invalid[row.meter_id] += row.received - row.valid
    expected = Counter((user, day_of(at)) for user, one in plain.items() for at in one.stamps)
    assert +arrived == expected
    assert +invalid == +Counter({u: one.wrong + len(one.contested) for u, one in plain.items()})


def test_volumes_and_shares_of_every_day_are_those_of_the_recomputation(came_through, plain):
    first, last = date(2016, 1, 1), date(2017, 12, 31)
    daily = came_through.volumes.load_daily(sorted(plain), first, last)
    found = {
        (row.meter_id, row.day.date()): (row.volume_m3, row.measured_share, row.estimated_share)
        for row in daily.itertuples()
    }
    expected = {(u, day): said for u, one in plain.items() for day, said in one.days().items()}
    assert found.keys() == expected.keys()
    wrong = {
        key: (found[key], said)
        for key, said in expected.items()
        if found[key] != pytest.approx(said, abs=1e-6)
    }
    assert wrong == {}
    assert sum(said[2] > 0 for said in expected.values()) > 10, "days with gaps"
