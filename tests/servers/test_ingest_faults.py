"""The broker misbehaves: it is stopped in its tracks, forgets, refuses, sends nonsense."""

import json
import signal
import socket
import threading
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from structlog.testing import capture_logs

from ingest.broker.receipts import Receipts
from ingest.broker.receiver import Receiver
from ingest.broker.silence import Silence
from ingest.broker.subscriptions import Subscriptions
from ingest.groups import Group
from ingest.journal import Message, open_journal
from ingest.settings import JournalSettings, MqttSettings
from jieshui.broker import HOST, Mosquitto, find_mosquitto, free_port
from water.clock import SystemClock

pytestmark = pytest.mark.servers

MIB = 1 << 20
VERSIONS = ["3.1.1", "5"]


class Receiving:
    """A receiver as the service makes it, and every message that became durable."""

    def __init__(self, settings, filters, folder, *, silent_s=0.0):
        self.messages = []
        self._journal = open_journal(folder, 64 * MIB)
        group = Group(
            self._journal, JournalSettings(folder), 4 * MIB, str, SystemClock(),
            journalled=self.messages.extend, observe_sync=lambda _: None,
        )  # fmt: skip
        receiver = Receiver(
            settings, filters, group,
            silence=Silence(silent_s, time.monotonic(), expecting=group.begun),
            subscriptions=Subscriptions(folder / "subscriptions.json", settings),
        )  # fmt: skip
        self.state = receiver.state
        self._stop = threading.Event()
        self._thread = threading.Thread(target=receiver.run, args=(self._stop,))
        self._thread.start()

    def wait(self, holds, what, seconds=15):
        deadline = time.monotonic() + seconds
        while not holds():
            assert self._thread.is_alive(), "the receiver ended"
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.01)

    def wait_subscribed(self):
        self.wait(lambda: self.state.subscribed and self.state.connected, "subscribed")

    def wait_messages(self, *topics):
        self.wait(lambda: len(self.messages) >= len(topics), f"{topics}")
        assert [message.topic for message in self.messages] == list(topics)

    def end(self):
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(15)
            self._journal.close()


@pytest.fixture
def receive(tmp_path):
    started = []

    def start(port, *filters, silent_s=0.0, **more):
        settings = MqttSettings("127.0.0.1", port, client_id=f"faults-{tmp_path.name}", **more)
        started.append(Receiving(settings, filters, tmp_path / "journal", silent_s=silent_s))
        return started[-1]

    yield start
    for one in started:
        one.end()


def publish(broker, *topics, retain=False):
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for topic in topics:
        client.publish(topic, b"1", 1, retain).wait_for_publish(15)
    client.disconnect()
    client.loop_stop()


class AclMosquitto(Mosquitto):
    """Mosquitto that lets everybody write everywhere, and read what `allow` says."""

    host = HOST

    def _write_config(self):
        config = super()._write_config()
        self._acl = config.with_name("acl")
        self._acl.write_text("topic readwrite #\n")
        with config.open("a") as more:
            more.write(f"acl_file {self._acl}\n")
        return config

    def allow(self, right):
        self._acl.write_text(f"topic {right} #\n")
        self._process.send_signal(signal.SIGHUP)

    def halt(self):
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture
def own_mosquitto(tmp_path, missing):
    """A Mosquitto of this test's own, a program of this machine, running."""
    program = find_mosquitto() or missing("Mosquitto is not on this machine (make servers)")
    broker = AclMosquitto(program, tmp_path / "mosquitto", free_port())
    broker.start()
    yield broker
    broker.go_on()
    broker.stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_is_stopped_in_its_tracks_is_noticed_and_come_back_to(
    own_mosquitto, receive, version
):
    running = receive(own_mosquitto.port, "t/#", keepalive_s=2, version=version)
    running.wait_subscribed()
    publish(own_mosquitto, "t/1")
    running.wait_messages("t/1")
    own_mosquitto.halt()
    running.wait(lambda: not running.state.connected, "it is noticed", 10)
    assert "not even answering pings" in running.state.trouble
    own_mosquitto.go_on()
    running.wait_subscribed()
    publish(own_mosquitto, "t/2")
    running.wait_messages("t/1", "t/2")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_filter_that_is_configured_no_longer_is_unsubscribed_in_the_kept_session(
    own_mosquitto, receive, tmp_path, version
):
    both = receive(own_mosquitto.port, "a/#", "b/#", version=version)
    both.wait_subscribed()
    both.end()
    one = receive(own_mosquitto.port, "a/#", version=version)
    kept = tmp_path / "journal" / "subscriptions.json"
    one.wait(lambda: list(json.loads(kept.read_text()).values()) == [["a/#"]], "it is confirmed")
    publish(own_mosquitto, "b/1", "a/1")
    one.wait_messages("a/1")
    one.end()
    publish(own_mosquitto, "b/2", "a/2")
    again = receive(own_mosquitto.port, "a/#", version=version)
    again.wait_messages("a/2")


def test_a_broker_that_is_connected_and_delivers_nothing_is_told_of(own_mosquitto, receive):
    running = receive(own_mosquitto.port, "t/#", silent_s=0.4)
    running.wait_subscribed()
    publish(own_mosquitto, "t/1")
    publish(own_mosquitto, "t/kept", retain=True)
    running.wait_messages("t/1", "t/kept")
    with capture_logs() as lines:
        own_mosquitto.allow("write")
        running.wait(lambda: running.state.silent, "it is told")
    said = [line.get("reason", "") or line["event"] for line in lines]
    assert any("nothing has arrived for 2 s: connecting anew" in one for one in said), said
    assert "connected but silent" in said
    own_mosquitto.allow("readwrite")
    publish(own_mosquitto, "t/2")
    running.wait(lambda: not running.state.silent, "it is over")
    assert running.messages[-1].topic in {"t/2", "t/kept"}


class FalseBroker:
    """A broker (MQTT 3.1.1) that grants what is asked and then sends the bytes of a test."""

    def __init__(self, connack, sends):
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.heard = []
        self._connack, self._sends = connack, sends
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # the test has ended
            with connection:
                self.heard.append(b"")
                connection.settimeout(10)
                self._talk(connection)

    def _talk(self, connection):
        try:
            connection.recv(4096)
            connection.sendall(self._connack)
            asked = connection.recv(4096)
            connection.sendall(b"\x90\x03" + asked[2:4] + b"\x01" + self._sends)
            while more := connection.recv(4096):
                self.heard[-1] += more
        except OSError:
            pass  # the client has gone


@pytest.fixture
def false_broker():
    brokers = []

    def start(connack=b"\x20\x02\x00\x00", sends=b""):
        brokers.append(FalseBroker(connack, sends))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.listener.close()


AT_LEAST_ONCE = b"\x32\x08\x00\x03t/1\x00\x01x"
EXACTLY_ONCE = b"\x34\x08\x00\x03t/2\x00\x02y"


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "stock"])
def test_a_message_of_qos_2_is_neither_taken_nor_promised_and_is_counted(
    false_broker, receive, fast
):
    broker = false_broker(sends=AT_LEAST_ONCE + EXACTLY_ONCE)
    running = receive(broker.port, "t/#", fast=fast)
    running.wait(lambda: running.state.protocol_errors, "it is counted")
    running.wait(lambda: b"\x40\x02\x00\x01" in broker.heard[0], "the other is acknowledged")
    assert "a QoS that was never subscribed to" in running.state.trouble
    assert {message.topic for message in running.messages} == {"t/1"}
    assert b"\x50" not in broker.heard[0], "a PUBREC would have the broker forget it"


def test_a_broker_that_ends_every_connection_at_once_is_not_besieged(false_broker, receive):
    broker = false_broker(sends=EXACTLY_ONCE)
    running = receive(broker.port, "t/#")
    running.wait(lambda: running.state.protocol_errors, "the first connection is lost")
    time.sleep(2)
    assert 1 < len(broker.heard) < 12


@pytest.fixture
def receipts():
    """Receipts that a broker at a port is to take, on their thread."""
    started = []

    def start(port, version="3.1.1"):
        one = Receipts(MqttSettings(HOST, port, version, "faults"), SystemClock())
        stop = threading.Event()
        thread = threading.Thread(target=one.run, args=(stop,))
        thread.start()
        started.append((stop, thread))
        return one

    yield start
    for stop, thread in started:
        stop.set()
        thread.join(10)


def until(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_receipts_that_the_broker_refuses_to_connect_say_so(false_broker, receipts):
    refused = receipts(false_broker(connack=b"\x20\x02\x00\x05").port)
    until(lambda: refused.trouble)
    assert refused.health() == {
        "connected": False,
        "trouble": "broker refuses us: Not authorized",
        "dropped": 0,
    }


def test_receipts_that_may_not_be_written_say_so(own_mosquitto, receipts):
    own_mosquitto.allow("read")
    refused = receipts(own_mosquitto.port, "5")
    until(lambda: refused.connected)
    refused.journalled([Message("north", "t", b"1", 1)], 1)
    until(lambda: refused.trouble)
    assert refused.trouble == "broker refuses a receipt: Not authorized"
    assert refused.dropped == 1
    own_mosquitto.allow("readwrite")
    until(lambda: refused.journalled([Message("north", "t", b"1", 1)], 1) or not refused.trouble)


def test_receipts_connect_once_the_broker_is_there(tmp_path, missing, receipts):
    program = find_mosquitto() or missing("Mosquitto is not on this machine (make servers)")
    broker = Mosquitto(program, tmp_path / "mosquitto", free_port())
    waiting = receipts(broker.port)
    until(lambda: waiting.trouble)
    broker.start()
    until(lambda: waiting.connected)
    assert waiting.trouble == ""
    broker.stop()
    until(lambda: not waiting.connected)
    assert waiting.trouble
