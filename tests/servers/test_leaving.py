"""A worker's place is taken away for good without losing what the broker keeps for it."""

import threading
import uuid

import paho.mqtt.client as mqtt
import pytest
from typer.testing import CliRunner

from ingest.broker import leaving
from ingest.broker.deserted import list_deserted
from ingest.broker.subscriptions import Subscriptions
from ingest.journal import Message, open_journal
from ingest.settings import MqttSettings
from ingest.topics import NOBODY
from jieshui.config import load_settings
from jieshui.main import app
from jieshui.wiring import open_stores
from water.accounting import sum_messages

FILTER = "$share/g/water/v1/#"
WORKERS = f"leaving-{uuid.uuid4().hex[:8]}"
"""The client id of the installation; the broker may keep sessions of other tests."""


def connect(broker, name, *, heard=None):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, name, clean_session=heard is None)
    if heard is not None:
        client.on_message = lambda *about: heard.append(about[2])
    client.connect(broker.host, broker.port)
    client.loop_start()
    return client


def subscribe(client, topic_filter):
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.subscribe(topic_filter, 1)
    assert subscribed.wait(10)


def disconnect(client):
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def deserted(mosquitto, tmp_path, monkeypatch):
    """The configuration of an installation whose second worker is gone, but not its session."""
    config = tmp_path / "jieshui.toml"
    config.write_text(
        f'[store]\nfolder = "{tmp_path}"\n[ingest]\nshared_group = "g"\n'
        f'[mqtt]\nhost = "{mosquitto.host}"\nport = {mosquitto.port}\nclient_id = "{WORKERS}"\n'
    )
    monkeypatch.setattr(leaving, "_QUIET_S", 3.0)
    monkeypatch.setattr("jieshui.logs.set_up_logs", lambda: None)
    name = f"{WORKERS}-2"
    client = connect(mosquitto, name, heard=[])
    subscribe(client, FILTER)
    disconnect(client)
    at = MqttSettings(host=mosquitto.host, port=mosquitto.port, client_id=name)
    Subscriptions(tmp_path / "journal-2" / "subscriptions.json", at).keep([FILTER])
    return config


def publish(broker, count):
    client = connect(broker, "supplier")
    for number in range(count):
        client.publish("water/v1/north/jieshui/m1/reading", str(number), 1).wait_for_publish(10)
    disconnect(client)


def wait_apart(folder, count):
    """As if a supplier had flooded the worker before it stopped."""
    writer = open_journal(folder / "journal-2-overflow", 1 << 20)
    topic = "water/v1/north/jieshui/m1/reading"
    writer.append([Message(NOBODY, topic, b"%d" % number, 1) for number in range(count)])
    writer.close()


def leave(config, folder):
    return CliRunner().invoke(app, ["broker", "leave", folder, "--config", str(config)])


def test_a_place_is_left_with_all_that_the_broker_kept_for_it(mosquitto, deserted, tmp_path):
    publish(mosquitto, 50)
    wait_apart(tmp_path, 30)
    assert list(list_deserted(tmp_path)) == ["journal-2"]
    run = leave(deserted, f"{tmp_path}/journal-2/")
    assert "journal-2/ is left" in run.output, run.exception
    with open_stores(load_settings(deserted)) as stores:
        (messages,) = sum_messages(stores.readings.tallies()).values()
    assert (messages.received, messages.waiting) == (50 + 30, 0)
    assert list_deserted(tmp_path) == {}
    publish(mosquitto, 10)
    heard, told = [], threading.Event()
    client = connect(mosquitto, f"{WORKERS}-2", heard=heard)
    subscribe(client, WORKERS)
    client.message_callback_add(WORKERS, lambda *_: told.set())
    client.publish(WORKERS, "the last", 1)
    assert told.wait(10)
    disconnect(client)
    assert heard == [], "the broker deals it nothing any more"


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("readings", "is no place: they are journal, journal-1"),
        ("journals", "is no place"),
        ("/", "is no place"),
        ("/elsewhere/journal-2", "does not lie in the store's folder"),
        ("journal-3", "is no journal of a place that was ever subscribed"),
    ],
)
def test_what_is_no_place_is_not_left(deserted, folder, reason):
    assert reason in str(leave(deserted, folder).exception)
