"""A real broker and the wired service: a supplier that floods waits apart, also over a restart."""

import sqlite3
import threading
import time
from contextlib import contextmanager

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy.orm import Session

from ingest import places
from jieshui.config import load_settings
from jieshui.ingest_wiring import build_ingest
from jieshui.wiring import open_stores
from storage.registry.models import MeterRow, SupplierRow
from water import columns
from water.accounting import sum_messages, sum_readings

pytestmark = pytest.mark.servers

FEW = 50
"""More of a supplier that wait are a flood."""
FLOOD = 1_000
BASE = int(time.time()) - 86_400


class Installation:
    """The stores of a configuration, with suppliers big and small; `serving` runs ingest."""

    def __init__(self, configuration, stores):
        self.settings = load_settings(configuration)
        self.folder = configuration.parent / "var"
        self.stores = stores
        with Session(stores.engine) as session, session.begin():
            for supplier in ("big", "small"):
                session.add(SupplierRow(id=supplier, name=supplier))
                session.flush()
                session.add(MeterRow(id=f"{supplier}-1", supplier_id=supplier, role="customer"))

    @contextmanager
    def serving(self):
        self.metrics, self.stop = CollectorRegistry(), threading.Event()
        self.service = build_ingest(self.settings, self.stores, self.metrics)
        thread = threading.Thread(target=self.service.run, args=(self.stop,))
        thread.start()
        try:
            wait_until(lambda: self.service.health()["subscribed"])
            yield self.service
        finally:
            self.stop.set()
            thread.join(20)
        assert not thread.is_alive()

    @contextmanager
    def holding_store(self):
        """Nobody can load."""
        connection = sqlite3.connect(
            self.folder / "readings/readings.sqlite", timeout=60, isolation_level=None
        )
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
        connection.close()

    def overflow(self):
        return self.service.health()["overflow"]

    def durable(self):
        return self.service.progress()[0] + sum(self.overflow()["suppliers"].values())

    def count(self, supplier):
        return sum_readings(self.stores.readings.tallies())[supplier].stored


@pytest.fixture
def installation(mosquitto, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_OVERFLOW_BATCH", 5)
    configuration = tmp_path / "jieshui.toml"
    configuration.write_text(
        f"[mqtt]\nhost = '{mosquitto.host}'\nport = {mosquitto.port}\n"
        f"client_id = 'overflow-{tmp_path.name}'\n[store]\nfolder = 'var'\n"
        f"[ingest]\nport = 0\noverflow_messages = {FEW}\n",
        encoding="utf-8",
    )
    with open_stores(load_settings(configuration)) as stores:
        yield Installation(configuration, stores)


@pytest.fixture
def publish(mosquitto):
    """Publish readings of a supplier; returns once the broker has them."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect(mosquitto.host, mosquitto.port)
    client.loop_start()
    sent = {"big": 0, "small": 0}

    def publish(supplier, count):
        for _ in range(count):
            payload = f'{{"at":{BASE + sent[supplier]},"register_m3":{sent[supplier]}}}'
            topic = f"water/v1/{supplier}/jieshui/{supplier}-1/reading"
            told = client.publish(topic, payload, qos=1)
            sent[supplier] += 1
        told.wait_for_publish(10)

    publish.sent = sent
    yield publish
    client.disconnect()
    client.loop_stop()


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not (held := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return held


def flood_once(here, publish):
    """Until the overflow is open: the first flood is seen while its messages are among others'."""
    publish("small", 1)
    with here.holding_store():
        publish("big", FEW + 10)
        wait_until(lambda: here.durable() == FEW + 11)
        publish("big", 1)
        wait_until(lambda: here.durable() == FEW + 12)
    wait_until(lambda: here.overflow()["open"])
    wait_until(lambda: here.count("big") == FEW + 11)


def flood(here, publish):
    """First as much as may wait among others' messages; what comes after it waits apart."""
    publish("big", FEW + 1)
    wait_until(lambda: here.durable() == sum(publish.sent.values()))
    publish("big", FLOOD)
    wait_until(lambda: here.overflow()["waiting"] == FLOOD)


def test_whoever_floods_waits_apart_and_the_other_s_reading_is_stored_first(installation, publish):
    here = installation
    with here.serving():
        flood_once(here, publish)
        with here.holding_store():
            flood(here, publish)
            publish("small", 1)
            wait_until(lambda: here.durable() == sum(publish.sent.values()))
            page = generate_latest(here.metrics).decode()
            assert "jieshui_ingest_overflow_suppliers 1.0" in page
            assert 'account="received",reason="",supplier="big"} 1112.0' in page
            assert any("big" in english for _, english in here.service.health()["warnings"])
        left = wait_until(lambda: here.count("small") == 2 and here.overflow()["waiting"])
        assert left > FLOOD / 4, "most of the flood waits still"
        wait_until(lambda: here.count("big") == publish.sent["big"])
        assert not here.service.health()["warnings"]
        publish("big", 1)
        wait_until(lambda: here.count("big") == publish.sent["big"])
        assert here.overflow()["waiting"] == 0, "it waits among the others again"
    require_right(here, publish)


def test_after_a_restart_what_waits_apart_is_loaded_and_both_sums_add_up(installation, publish):
    here = installation
    with here.serving():
        flood_once(here, publish)
        with here.holding_store():
            flood(here, publish)
            here.stop.set()  # before the store lets it load all of that
    left = sum_messages(here.stores.readings.tallies())["big"]
    assert left.waiting > 0, "it was stopped with a backlog"
    with here.serving():
        publish("small", 1)
        publish("big", 1)
        wait_until(lambda: here.count("big") == publish.sent["big"])
        wait_until(lambda: here.count("small") == publish.sent["small"])
        assert here.service.health()["abandoned_journals"] == {}
    require_right(here, publish)


def require_right(here, publish):
    """Both sums add up, and every register is stored once, as it was sent."""
    tallies = here.stores.readings.tallies()
    messages, readings = sum_messages(tallies), sum_readings(tallies)
    for supplier, sent in publish.sent.items():
        assert (messages[supplier].balanced, readings[supplier].balanced) == (True, True)
        assert (messages[supplier].received, messages[supplier].waiting) == (sent, 0)
        assert readings[supplier].stored == sent
    newest = here.stores.readings.newest(["big-1"])
    assert newest[columns.REGISTER_M3].iloc[0] == publish.sent["big"] - 1
