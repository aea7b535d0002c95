"""A real broker, the real store: from what a supplier publishes to what is counted and kept."""

import errno
import json
import os
import subprocess
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry, generate_latest

from ingest.agreements import Agreements
from ingest.errors import JournalError
from ingest.identity import receipt_id
from ingest.journal import Message, open_journal, writer
from ingest.service import IngestService
from ingest.settings import IngestSettings, JournalSettings, MqttSettings, Source
from ingest.signatures import Signing
from jieshui.broker import Mosquitto, find_mosquitto, free_port
from simulators.publish import sign
from storage.readings import open_readings
from water.accounting import sum_messages, sum_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.jobs import Job
from water.loading import Tally
from water.meters import KnownMeter
from water.policy import Policy

pytestmark = pytest.mark.servers

SHANGHAI = ZoneInfo("Asia/Shanghai")
STARTED = int(time.time())


class Registry:
    """Two suppliers, meters m1 (north) and s1 (south); more can be registered."""

    def __init__(self):
        self.meters = {"m1": "north", "s1": "south"}

    def version(self):
        return len(self.meters)

    def suppliers(self):
        return frozenset({"north", "south"})

    def devices(self):
        known = {
            (supplier, "jieshui", meter): KnownMeter(meter, supplier, 100_000.0, 12.5, None, None)
            for meter, supplier in self.meters.items()
        }
        return {**known, ("north", "wmbusmeters", "33225544"): known["north", "jieshui", "m1"]}


class Jobs:
    def __init__(self):
        self.waiting, self.outcomes = [], {}

    def release(self, kinds):
        return len(kinds) * 0

    def take(self, kinds):
        return self.waiting.pop(0) if self.waiting and self.waiting[0].kind in kinds else None

    def finish(self, job_id, outcome, *, failed=False):
        self.outcomes[job_id] = (failed, dict(outcome))


class Ingest:
    """A running service and what can be seen of it."""

    def __init__(self, port, folder, version="3.1.1", **settings):
        self.port, self.folder, self.version = port, folder, version
        self.store = open_readings(folder / "store", CityTime(SHANGHAI), SystemClock())
        self.registry, self.jobs = Registry(), Jobs()
        self.metrics = CollectorRegistry()
        self.settings = settings
        self.stop = threading.Event()
        self.start()

    def start(self):
        mqtt_settings = MqttSettings(
            "127.0.0.1", self.port, self.version, f"ingest-{self.folder.name}"
        )
        self.service = IngestService(
            IngestSettings(
                mqtt_settings, JournalSettings(self.folder / "journal"), **self.settings
            ),
            self.store, self.registry, self.jobs, SystemClock(), Policy(), self.metrics,
        )  # fmt: skip
        self.thread = threading.Thread(target=self.service.run, args=(self.stop,))
        self.thread.start()

    def end(self):
        self.stop.set()
        self.thread.join(15)
        self.store.close()

    def wait(self, holds, what, seconds=15):
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.thread.is_alive(), "ingest ended"
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.02)

    def wait_connected(self):
        self.wait(lambda: self.service.health()["subscribed"], "connected and subscribed")

    def count(self, *tally):
        return self.store.tallies().get(Tally(*tally), 0)

    def wait_stored(self, count, supplier="north"):
        self.wait(
            lambda: self.count(supplier, "readings", "stored") == count, f"{count} are stored"
        )

    def registers(self):
        start, end = datetime.now(UTC) - timedelta(days=2), datetime.now(UTC) + timedelta(days=2)
        frame = self.store.load_readings(["m1", "s1"], start, end)
        return sorted(frame["register_m3"])


@pytest.fixture
def ingest(tmp_path):
    started = []

    def start(port, *more, **settings):
        started.append(Ingest(port, tmp_path, *more, **settings))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def supplier():
    clients = []

    def connect(broker):
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.connect(broker.host, broker.port)
        client.loop_start()
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.disconnect()
        client.loop_stop()


def ago(seconds):
    return STARTED - seconds


def reading(seconds_ago, register, **more):
    return json.dumps({"at": ago(seconds_ago), "register_m3": register, **more}).encode()


def send(client, payload, topic="water/v1/north/jieshui/m1/reading", *, retain=False):
    client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)


NAIVE = datetime.now().replace(microsecond=0).isoformat()  # noqa: DTZ005 (the missing zone is the case)

BAD = [
    ("garbage", "m1", b"\x00\xff\x13", "messages", "undecodable", "not_utf8"),
    ("half a JSON", "m1", b'{"at":1767', "messages", "undecodable", "malformed"),
    ("1 MB", "m1", b'{"at":1,"x":"' + b"x" * 1_000_000 + b'"}', "messages", "undecodable",
     "too_large"),
    ("unknown meter", "m404", reading(60, 1), "readings", "quarantined", "unknown_meter"),
    ("another supplier's meter", "s1", reading(60, 1), "readings", "quarantined",
     "other_suppliers_meter"),
    ("in the future", "m1", reading(-7_200, 1), "readings", "quarantined", "future"),
    ("no zone", "m1", b'{"at":"%s","register_m3":1}' % NAIVE.encode(), "readings", "quarantined",
     "time_without_zone"),
    ("NaN", "m1", b'{"at":%d,"register_m3":NaN}' % ago(60), "readings", "quarantined",
     "not_finite"),
    ("negative register", "m1", reading(60, -1), "readings", "quarantined", "negative_register"),
    ("simulated", "m1", reading(60, 1, simulated=True), "messages", "set_aside", "simulated"),
    ("last will", "m1", b"offline", "messages", "set_aside", "last_will"),
]  # fmt: skip


def test_each_bad_message_has_its_own_reason_and_everything_after_it_is_stored(
    mosquitto, ingest, supplier
):
    client = supplier(mosquitto)
    send(client, reading(9_000, 1), retain=True)
    running = ingest(mosquitto.port)
    running.wait_connected()
    running.wait(
        lambda: running.count("north", "messages", "set_aside", "retained") == 1, "the replay"
    )
    send(client, b"", retain=True)
    for number, (_, meter, payload, *_) in enumerate(BAD):
        send(client, payload, f"water/v1/north/jieshui/{meter}/reading")
        send(client, reading(8_000 - number, 100 + number))
    send(client, b"?", "water/v1/nobody/jieshui/m1/reading")
    send(client, b"?", "water/v1/north")
    send(client, reading(5_000, 999))
    running.wait_stored(len(BAD) + 1)
    for name, _, _, ledger, account, reason in BAD:
        assert running.count("north", ledger, account, reason) == 1, name
    assert running.count("?", "messages", "undecodable", "unknown_supplier") == 1
    assert running.count("?", "messages", "undecodable", "unknown_topic") == 1
    tallies = running.store.tallies()
    assert all(each.balanced and not each.waiting for each in sum_messages(tallies).values())
    assert all(each.balanced for each in sum_readings(tallies).values())
    assert running.registers() == [*range(100, 100 + len(BAD)), 999]
    assert running.store.quarantine_depth() == {"north": 6}


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_reading_becomes_stored_with_what_it_said(mosquitto, ingest, supplier, version):
    running = ingest(mosquitto.port, version)
    running.wait_connected()
    client = supplier(mosquitto)
    send(client, reading(900, 12.5, flow_m3_h=1.25))
    send(client, reading(900, 12.5, flow_m3_h=1.25))
    send(client, json.dumps([json.loads(reading(900 * n, n)) for n in range(2, 50)]))
    running.wait_stored(49)
    running.wait(lambda: running.count("north", "readings", "duplicate") == 1, "the repeat")
    assert running.registers() == sorted([12.5, *range(2, 50)])


def test_what_is_agreed_with_a_supplier_is_kept_by_the_running_service(mosquitto, ingest, supplier):
    key, topic = "k" * 32, "water/v1/north/jieshui/m1/reading"
    signatures = {"north": Signing((key.encode(),))}
    running = ingest(mosquitto.port, agreements=Agreements(signatures=signatures))
    running.wait_connected()
    client = supplier(mosquitto)
    send(client, reading(900, 1))
    send(client, sign(key, topic, reading(901, 2), int(time.time())))
    send(client, sign(key, topic, reading(902, 3), int(time.time()) - 400))
    send(client, reading(903, 4), "water/v1/south/jieshui/s1/reading")
    running.wait_stored(1)
    running.wait_stored(1, "south")
    for reason in ("unsigned", "signature_expired"):
        assert running.count("north", "messages", "undecodable", reason) == 1
    assert running.registers() == [2, 4]


def test_the_packaged_broker_serves_as_well(embedded_broker, ingest, supplier):
    running = ingest(embedded_broker.port)
    running.wait_connected()
    send(supplier(embedded_broker), reading(900, 7))
    running.wait_stored(1)


def test_a_broker_that_is_away_at_the_start_and_again_later_is_waited_for(
    make_mosquitto, ingest, supplier
):
    broker = make_mosquitto()
    running = ingest(broker.port)
    running.wait(lambda: running.service.health()["trouble"], "the refusal is said")
    broker.start()
    running.wait_connected()
    send(supplier(broker), reading(900, 1))
    running.wait_stored(1)
    broker.stop()
    running.wait(lambda: not running.service.health()["connected"], "the loss is seen")
    broker.start()
    running.wait_connected()
    send(supplier(broker), reading(901, 2))
    running.wait_stored(2)


def test_a_broker_that_has_forgotten_the_session_is_told_of(tmp_path, missing, ingest):
    program = find_mosquitto() or missing("Mosquitto is not on this machine (make servers)")
    first = Mosquitto(program, tmp_path / "first", free_port())
    first.start()
    running = ingest(first.port)
    running.wait_connected()
    for folder, lost in (("first", 0), ("without what the first kept", 1)):
        first.stop()
        running.wait(lambda: not running.service.health()["connected"], "the loss is seen")
        first = Mosquitto(program, tmp_path / folder, first.port)
        first.start()
        running.wait_connected()
        assert running.service.health()["sessions_lost"] == lost
    first.stop()


def test_a_full_disk_stops_the_acknowledging_and_is_got_over(
    mosquitto, ingest, supplier, monkeypatch
):
    running = ingest(mosquitto.port)
    running.wait_connected()
    client = supplier(mosquitto)
    send(client, reading(1_000, 0))
    running.wait_stored(1)
    write = os.pwrite

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer.os, "pwrite", full)
    for number in range(1, 30):
        send(client, reading(1_000 + number, number))
    running.wait(lambda: running.service.health()["journal_unwritable"], "it is said")
    health = running.service.health()
    assert "No space left" in health["trouble"]
    assert not health["connected"]
    assert not health["ready"]
    assert health["journal_waiting"] == 0
    monkeypatch.setattr(writer.os, "pwrite", write)
    running.wait_stored(30)
    running.wait_connected()
    assert not running.service.health()["journal_unwritable"]
    assert running.registers() == list(range(30))


@pytest.fixture
def small_disk(tmp_path, missing):
    """A file system of 24 MiB that holds nothing but the journal and the store."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        missing("only root may mount a small file system, and not in every container")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_really_full_holds_everything_up_and_loses_nothing(
    mosquitto, small_disk, supplier
):
    running = Ingest(mosquitto.port, small_disk)
    try:
        running.wait_connected()
        client = supplier(mosquitto)
        send(client, reading(1_000, 0))
        running.wait_stored(1)
        ballast = small_disk / "ballast"
        free = os.statvfs(small_disk)
        ballast.write_bytes(bytes(free.f_bavail * free.f_frsize - (1 << 20)))
        for number in range(1, 30):
            send(client, reading(1_000 + number, number, padding="x" * 100_000))
        running.wait(lambda: running.service.health()["journal_unwritable"], "it is said")
        health = running.service.health()
        assert "No space left on device" in health["trouble"]
        assert not health["ready"]
        ballast.unlink()
        running.wait_stored(30)
        running.wait_connected()
        assert not running.service.health()["journal_unwritable"]
        assert running.registers() == list(range(30))
        sums = sum_messages(running.store.tallies())["north"]
        assert sums.balanced
    finally:
        running.end()


def test_what_arrives_while_ingest_is_down_is_stored_when_it_is_back(mosquitto, ingest, supplier):
    running = ingest(mosquitto.port)
    running.wait_connected()
    running.stop.set()
    running.thread.join(15)
    client = supplier(mosquitto)
    for number in range(300):
        client.publish("water/v1/north/jieshui/m1/reading", reading(900 + number, number), qos=1)
    send(client, reading(10, 300))
    running.stop.clear()
    running.metrics = CollectorRegistry()
    running.start()
    running.wait_stored(301)


def test_a_supplier_is_told_what_is_journalled_and_what_became_of_it(mosquitto, ingest, supplier):
    running = ingest(mosquitto.port)
    running.wait_connected()
    client, receipts = supplier(mosquitto), []
    client.on_message = lambda *about: receipts.append(json.loads(about[2].payload))
    client.subscribe("receipts/v1/north", qos=1)
    good, bad, garbage = reading(900, 1), reading(800, -1), b"garbage"
    for payload in (good, bad, garbage):
        send(client, payload)
    expected = {
        receipt_id(good): {"stored": 1, "duplicate": 0, "conflict": 0, "refused": []},
        receipt_id(bad): {
            "stored": 0, "duplicate": 0, "conflict": 0, "refused": [[0, "negative_register"]],
        },
        receipt_id(garbage): {"undecodable": "malformed"},
    }  # fmt: skip

    def told(kind):
        return [item for receipt in receipts for item in receipt.get(kind, [])]

    running.wait(lambda: len(told("loaded")) == 3, "three receipts")
    assert {item.pop("id"): item for item in told("loaded")} == expected
    assert sorted(told("journalled")) == sorted(expected)


def test_a_quarantined_reading_is_stored_once_its_meter_is_registered(mosquitto, ingest, supplier):
    running = ingest(mosquitto.port)
    running.wait_connected()
    client = supplier(mosquitto)
    send(client, reading(900, 5), "water/v1/north/jieshui/m2/reading")
    send(client, reading(900, -5))
    running.wait(lambda: running.store.quarantine_depth() == {"north": 2}, "quarantine")
    running.registry.meters["m2"] = "north"
    running.jobs.waiting.append(Job(1, "rerun_quarantine", {"supplier": "north"}))
    running.wait(lambda: 1 in running.jobs.outcomes, "the job is done")
    failed, outcome = running.jobs.outcomes[1]
    assert not failed
    assert outcome == {"passed": 1, "refused": 1, "unmatched": 0, "gone": 0, "stored": 1}
    tallies = running.store.tallies()
    assert sum_readings(tallies)["north"].balanced
    assert Counter(tallies)[Tally("north", "readings", "stored")] == 1
    assert running.store.quarantine_depth() == {"north": 1}


def test_a_job_that_says_nonsense_fails_with_a_sentence(mosquitto, ingest):
    running = ingest(mosquitto.port)
    running.jobs.waiting.append(Job(1, "rerun_quarantine", {"ids": "all"}))
    running.wait(lambda: 1 in running.jobs.outcomes, "the job is done")
    assert running.jobs.outcomes[1] == (
        True,
        {"error": "rerun_quarantine: ids is a list of whole numbers"},
    )


def test_a_platform_with_its_own_topics_comes_in_through_a_source(mosquitto, ingest, supplier):
    source = Source("wmbusmeters/#", "wmbusmeters", "north")
    running = ingest(mosquitto.port, sources=(source,))
    running.wait_connected()
    heard = (datetime.now(UTC) - timedelta(minutes=5)).isoformat(timespec="seconds")
    telegram = {"id": "33225544", "total_m3": 123.529, "timestamp": heard}
    send(supplier(mosquitto), json.dumps(telegram), "wmbusmeters/MyTapWater")
    running.wait_stored(1)
    assert running.registers() == [123.529]


def test_metrics_count_what_this_process_has_done_since_its_start(mosquitto, ingest, supplier):
    running = ingest(mosquitto.port)
    running.wait_connected()
    send(supplier(mosquitto), reading(900, 1))
    running.wait_stored(1)
    running.stop.set()
    running.thread.join(15)
    with running.store.load() as load:
        load.add_tallies({Tally("north", "messages", "decoded"): 7})  # another process
    running.stop.clear()
    running.metrics = CollectorRegistry()
    running.start()
    running.wait_connected()
    send(supplier(mosquitto), reading(800, 2))
    running.wait_stored(2)
    running.jobs.waiting.append(Job(1, "rerun_quarantine", {}))
    running.wait(lambda: 1 in running.jobs.outcomes, "the job is done, and all counted anew")
    page = generate_latest(running.metrics).decode()
    counts = {line for line in page.splitlines() if "_total{" in line and line[-4:] != " 0.0"}
    of_north = 'reason="",supplier="north"} 1.0'
    assert counts == {
        f'jieshui_ingest_{ledger}_total{{account="{account}",{of_north}'
        for ledger, account in (
            ("messages", "received"), ("messages", "decoded"),
            ("readings", "decoded"), ("readings", "stored"),
        )
    }  # fmt: skip


def test_metrics_and_health_show_the_sums_and_the_way_through(mosquitto, ingest, supplier):
    running = ingest(mosquitto.port)
    running.wait_connected()
    client = supplier(mosquitto)
    send(client, reading(900, 1))
    send(client, reading(800, -1))
    running.wait(lambda: running.store.quarantine_depth() == {"north": 1}, "quarantine")
    page = generate_latest(running.metrics).decode()
    for line in (
        'jieshui_ingest_messages_total{account="received",reason="",supplier="north"} 2.0',
        'jieshui_ingest_readings_total{account="stored",reason="",supplier="north"} 1.0',
        'account="quarantined",reason="negative_register",supplier="north"} 1.0',
        "jieshui_ingest_connected 1.0",
        "jieshui_ingest_journal_waiting 0.0",
        "jieshui_ingest_quarantine_rows 1.0",
    ):
        assert line in page
    health = running.service.health()
    assert health["ready"]
    assert (health["connected"], health["journal_waiting"], health["lag_s"]) == (True, 0, 0.0)
    assert abs(health["last_message_at"] - time.time()) < 60


def test_a_folder_that_is_not_the_stores_journal_is_refused(mosquitto, ingest, supplier, tmp_path):
    running = ingest(mosquitto.port)
    running.wait_connected()
    for number in range(3):
        send(supplier(mosquitto), reading(900 + number, number))
    running.wait_stored(3)
    running.stop.set()
    running.thread.join(15)
    for path in (tmp_path / "journal").glob("*.journal"):
        header = path.read_bytes().index(b"}}") + 2
        path.write_bytes(path.read_bytes()[:header])
    settings = running.service._settings
    again = IngestService(
        settings, running.store, running.registry, SimpleNamespace(), SystemClock(), Policy(),
        CollectorRegistry(),
    )  # fmt: skip
    with pytest.raises(JournalError, match="the store has loaded 3 entries"):
        again.run(threading.Event())


def test_a_journal_that_nobody_reads_any_more_is_shown(mosquitto, ingest, tmp_path):
    left = open_journal(tmp_path / "journal-1", 1 << 20)
    left.append([Message("north", "t", b"1", 1)])
    left.close()
    running = ingest(mosquitto.port)
    running.wait_connected()
    shown = running.service.health()["abandoned_journals"]
    assert list(shown) == [str(tmp_path / "journal-1")]
