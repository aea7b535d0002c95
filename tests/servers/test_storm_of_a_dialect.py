"""One supplier's garbage in one dialect, as fast as a library sends, and another's readings."""

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.identity import receipt_id
from storage.readings import open_readings
from water.accounting import sum_messages, sum_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.loading import Tally

pytestmark = pytest.mark.servers

HERE = Path(__file__).parent
TOPIC = "water/v1/south/chirpstack/application/a/device/b/event/up"
GARBAGE = '{"deviceInfo":{"devEui":"a84041000181c061"},"object":{"total_m3":1' + "0" * 200
FLOOD = """
import sys, time
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
client = mqtt.Client(CallbackAPIVersion.VERSION2)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
print("begun", flush=True)
published, end = 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    for _ in range(500):
        info = client.publish(sys.argv[3], sys.argv[4], qos=1)
    published += 500
    info.wait_for_publish(60)
client.disconnect()
client.loop_stop()
print(published)
"""
"""A client as its library has it, at full speed."""
GOOD = 60
PAUSE_S = 0.02


@contextmanager
def running_worker(port, folder):
    """The real service in a process of its own, connected."""
    log = folder / "worker.log"
    command = [sys.executable, str(HERE / "ingest_worker.py"), "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "--folder", str(folder)], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while "broker connected" not in log.read_text():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(60)


class Supplier:
    """Publishes readings and notes how long each takes until the receipt says "loaded"."""

    def __init__(self, port):
        self._sent, self._delays, self._number = {}, {}, 0
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_receipt
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._subscribed = threading.Event()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("receipts/v1/north", qos=1)
        assert self._subscribed.wait(10)

    def end(self):
        self._client.disconnect()
        self._client.loop_stop()

    def _on_receipt(self, _client, _userdata, message):
        now = time.monotonic()
        with self._changed:
            for item in json.loads(message.payload).get("loaded", ()):
                assert item["stored"] == 1
                self._delays[item["id"]] = now - self._sent[item["id"]]
            self._changed.notify_all()

    def measure(self, count):
        """Publish so many readings; the delay below which 95 of 100 are."""
        self._delays = {}
        at = int(time.time()) - 100_000
        for _ in range(count):
            self._number += 1
            payload = b'{"at":%d,"register_m3":%d}' % (at + self._number, self._number)
            self._sent[receipt_id(payload, 0)] = time.monotonic()
            self._client.publish("water/v1/north/jieshui/m1/reading", payload, qos=1)
            time.sleep(PAUSE_S)
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._delays) == count, 60)
        return quantiles(self._delays.values(), n=20)[-1]


def test_garbage_of_one_dialect_does_not_delay_anothers_readings(make_mosquitto, tmp_path):
    broker = make_mosquitto()
    broker.start()
    flood = [sys.executable, "-c", FLOOD, str(broker.port), str(GOOD * PAUSE_S + 0.5)]
    with running_worker(broker.port, tmp_path):
        supplier = Supplier(broker.port)
        try:
            calm = supplier.measure(GOOD)
            with subprocess.Popen(
                [*flood, TOPIC, GARBAGE], stdout=subprocess.PIPE, text=True
            ) as storm:
                assert storm.stdout.readline() == "begun\n"
                stormy = supplier.measure(GOOD)
                published = int(storm.stdout.read())
        finally:
            supplier.end()
        city = CityTime(ZoneInfo("Asia/Shanghai"))
        print(f"P95 calm {calm:.3f} s, in a storm of {published} messages {stormy:.3f} s")
        store = open_readings(tmp_path / "store", city, SystemClock())
        malformed = Tally("south", "messages", "undecodable", "malformed")
        deadline = time.monotonic() + 60
        while store.tallies().get(malformed, 0) < published:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        tallies = store.tallies()
        store.close()
    assert published > 30 * GOOD
    assert stormy < 10 * calm + 1
    assert tallies[Tally("north", "readings", "stored")] == 2 * GOOD
    assert all(each.balanced for each in sum_messages(tallies).values())
    assert all(each.balanced for each in sum_readings(tallies).values())
