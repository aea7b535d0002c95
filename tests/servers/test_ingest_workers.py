"""Several ingest processes on one stream, one of them killed: nothing is lost, nothing twice."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.journal import JournalReader, open_journal
from storage import influx
from storage.readings import open_readings
from storage.registry.engine import open_registry
from water.accounting import sum_messages, sum_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.loading import Position

pytestmark = pytest.mark.servers

WORKER = Path(__file__).with_name("ingest_worker.py")
CITY = CityTime(ZoneInfo("Asia/Shanghai"))
METERS = 50
PUBLISHED = 6_000


@pytest.fixture(params=["embedded", "influxdb-postgresql"])
def place(request, tmp_path):
    """Where the workers store: their arguments and environment, and how a test looks into it."""
    if request.param == "embedded":
        yield [], {}, lambda: open_readings(tmp_path / "store", CITY, SystemClock())
        return
    influxdb = request.getfixturevalue("influxdb")
    ledger = request.getfixturevalue("migrated_postgres_url")
    settings = influx.InfluxSettings(
        influxdb.url, influxdb.token, influxdb.organisation, influxdb.make_bucket()
    )
    engine = open_registry(ledger)
    yield (
        ["--ledger", ledger],
        {"INFLUX": json.dumps(asdict(settings))},
        lambda: influx.open_readings(settings, engine, CITY),
    )
    engine.dispose()


@pytest.fixture
def worker(mosquitto, tmp_path, place):
    """Call to start one more ingest process of the group; returns it and the file of its log."""
    started = []
    group = uuid4().hex

    def start(*more):
        log = tmp_path / f"worker{len(started)}.log"
        command = [sys.executable, str(WORKER), "--port", str(mosquitto.port)]
        command += ["--folder", str(tmp_path), "--shared-group", group, *place[0], *more]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, **place[1]}
            )
        started.append(process)
        wait_until(lambda: "broker connected" in log.read_text(), 60, "it is connected")
        return process, log

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_until(holds, seconds, what):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def payload(number, now):
    return b'{"at":%d,"register_m3":%d}' % (now - 900 * (1 + number // METERS), number)


def publish_all(broker):
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(200)
    client.connect(broker.host, broker.port)
    client.loop_start()
    now = int(time.time())
    waiting = [
        client.publish(f"water/v1/north/jieshui/m{n % METERS}/reading", payload(n, now), qos=1)
        for n in range(PUBLISHED)
    ]
    for one in waiting:
        one.wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


def journals(folder):
    return sorted(path for path in folder.glob("journal-*") if path.is_dir())


def size(journal):
    return sum(path.stat().st_size for path in journal.glob("*.journal"))


def read_all(folder):
    """Every entry of a journal that no process has open."""
    journal = open_journal(folder, 1 << 20)
    try:
        reader = JournalReader(folder, journal.marker, journal.committed)
        entries, position = [], Position()
        while True:
            found, position = reader.read(position)
            if not found:
                return entries
            entries += found
    finally:
        journal.close()


def test_two_workers_share_a_stream_and_one_of_them_may_be_killed(
    mosquitto, worker, place, tmp_path
):
    slowly = ("--load-delay", "0.02", "--batch", "200")
    victim, log = worker(*slowly)
    assert "journal=ingest-1" in log.read_text()
    other, log = worker(*slowly)
    assert "journal=ingest-2" in log.read_text()
    time.sleep(0.5)  # both subscriptions stand
    publisher = threading.Thread(target=publish_all, args=(mosquitto,))
    publisher.start()
    first = tmp_path / "journal-1"
    wait_until(lambda: size(first) > 80_000, 60, "the first is in mid-stream")
    victim.kill()
    victim.wait()
    successor, log = worker()
    assert "journal=ingest-1" in log.read_text(), "it takes the dead one's place"
    publisher.join(90)
    with closing(place[2]()) as store:
        wait_until(
            lambda: sum_readings(store.tallies())["north"].stored == PUBLISHED, 90, "all is stored"
        )
        wait_until(lambda: sum_messages(store.tallies())["north"].waiting == 0, 60, "nothing waits")
    for process in (successor, other):
        process.terminate()
        process.wait(20)

    assert [path.name for path in journals(tmp_path)] == ["journal-1", "journal-2"]
    entries = [read_all(path) for path in journals(tmp_path)]
    assert all(entries), "both received"
    received = sum(map(len, entries))
    assert len({entry.payload for journal in entries for entry in journal}) == PUBLISHED
    with closing(place[2]()) as store:
        tallies = store.tallies()
        start = datetime.now(UTC) - timedelta(days=30)
        meters = [f"m{n}" for n in range(METERS)]
        stored = store.load_readings(meters, start, datetime.now(UTC))
    messages, readings = sum_messages(tallies)["north"], sum_readings(tallies)["north"]
    assert messages.balanced
    assert readings.balanced
    assert messages.received == received
    assert (readings.stored, readings.conflict, readings.quarantined) == (PUBLISHED, 0, 0)
    assert readings.duplicate == received - PUBLISHED
    assert sorted(stored["register_m3"]) == list(range(PUBLISHED))
