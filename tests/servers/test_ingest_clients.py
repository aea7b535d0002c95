"""Both ways of reading (our own, and paho's) on the same cases, against a real broker."""

import ipaddress
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import paho.mqtt.client as mqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion
from real_mosquitto import ProgramMosquitto
from structlog.testing import capture_logs

from ingest.broker.receiver import Receiver
from ingest.groups import Group
from ingest.journal import REPEATED, RETAINED, open_journal
from ingest.settings import JournalSettings, MqttSettings
from jieshui.broker import find_mosquitto, free_port
from water.clock import SystemClock

pytestmark = pytest.mark.servers

MIB = 1 << 20
WAYS = [(fast, version) for fast in (True, False) for version in ("3.1.1", "5")]


@pytest.fixture(params=WAYS, ids=lambda way: f"{'fast' if way[0] else 'stock'}-{way[1]}")
def way(request):
    return request.param


class Receiving:
    """A receiver on a journal of its own, and every message that became durable."""

    def __init__(self, settings, filters, folder):
        self.messages = []
        self._journal = open_journal(folder, 64 * MIB)
        group = Group(
            self._journal, JournalSettings(folder), 4 * MIB, str, SystemClock(),
            journalled=self.messages.extend, observe_sync=lambda _: None,
        )  # fmt: skip
        self.receiver = Receiver(settings, filters, group)
        self.state = self.receiver.state
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.receiver.run, args=(self._stop,))
        self._thread.start()

    def wait(self, holds, what, seconds=15):
        deadline = time.monotonic() + seconds
        while not holds():
            assert self._thread.is_alive(), "the receiver ended"
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.01)

    def wait_subscribed(self):
        self.wait(lambda: self.state.subscribed and self.state.connected, "subscribed")

    def wait_messages(self, count):
        self.wait(lambda: len(self.messages) >= count, f"{count} messages")

    def end(self):
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(15)
            self._journal.close()


@pytest.fixture
def receive(way, tmp_path):
    """Call with a broker: a receiver that is subscribed, in this session's own topics."""
    started = []
    name = uuid4().hex

    def start(broker, *, subscribed=True, **more):
        fast, version = way
        settings = MqttSettings(
            broker.host, broker.port, version, f"clients-{name}", fast=fast, **more
        )
        receiving = Receiving(settings, [f"{name}/#"], tmp_path / f"journal{len(started)}")
        receiving.topic = f"{name}/m1"
        started.append(receiving)
        if subscribed:
            receiving.wait_subscribed()
        return receiving

    yield start
    for receiving in started:
        receiving.end()


def publish(broker, topic, *payloads, qos=1, retain=False):
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(1_000)
    client.connect(broker.host, broker.port)
    client.loop_start()
    waiting = [client.publish(topic, payload, qos, retain) for payload in payloads]
    for one in waiting:
        one.wait_for_publish(15)
    client.disconnect()
    client.loop_stop()


def contents(receiving):
    return [(message.topic, message.payload, message.flags) for message in receiving.messages]


def test_messages_arrive_as_they_were_sent(mosquitto, receive):
    running = receive(mosquitto)
    publish(mosquitto, running.topic, b"once", b"")
    publish(mosquitto, running.topic + "/水表", b"unsure", qos=0)
    publish(mosquitto, running.topic, b"\x00\xff" * 600)
    running.wait_messages(4)
    assert contents(running) == [
        (running.topic, b"once", 0),
        (running.topic, b"", 0),
        (running.topic + "/水表", b"unsure", 0),
        (running.topic, b"\x00\xff" * 600, 0),
    ]


def test_a_retained_message_says_so(mosquitto, receive):
    running = receive(mosquitto)
    running.end()
    publish(mosquitto, running.topic, b"old", retain=True)
    running.messages.clear()
    again = receive(mosquitto)
    again.wait(lambda: (running.topic, b"old", RETAINED) in contents(again), "the replay")
    publish(mosquitto, running.topic, b"", retain=True)


def test_a_large_payload_comes_whole_between_small_ones(mosquitto, receive):
    running = receive(mosquitto)
    large = bytes(range(256)) * (MIB // 256)
    publish(mosquitto, running.topic, b"before", large, b"after")
    running.wait_messages(3)
    assert [message.payload for message in running.messages] == [b"before", large, b"after"]


def test_thousands_come_in_order_and_none_comes_again(mosquitto, receive):
    running = receive(mosquitto)
    sent = [b"%d" % number for number in range(5_000)]
    publish(mosquitto, running.topic, *sent)
    running.wait_messages(len(sent))
    running.end()
    assert [message.payload for message in running.messages] == sent
    again = receive(mosquitto)
    publish(mosquitto, running.topic, b"the next")
    again.wait_messages(1)
    assert contents(again) == [(running.topic, b"the next", 0)]


def test_what_comes_while_nobody_is_there_is_kept_in_the_session(mosquitto, receive):
    running = receive(mosquitto)
    running.end()
    publish(mosquitto, running.topic, b"1", b"2", b"3")
    again = receive(mosquitto)
    again.wait_messages(3)
    assert [message.payload for message in again.messages] == [b"1", b"2", b"3"]


def test_what_was_not_acknowledged_comes_again_and_says_so(mosquitto, receive, way):
    first = receive(mosquitto)
    first.end()
    careless = mqtt.Client(
        CallbackAPIVersion.VERSION2, first.receiver._settings.client_id, manual_ack=True,
        protocol=mqtt.MQTTv5 if way[1] == "5" else mqtt.MQTTv311,
        clean_session=None if way[1] == "5" else False,
    )  # fmt: skip
    heard = threading.Event()
    careless.on_message = lambda *_: heard.set()
    keep = mqtt.Properties(mqtt.PacketTypes.CONNECT)
    keep.SessionExpiryInterval = 3_600
    v5 = {"clean_start": False, "properties": keep} if way[1] == "5" else {}
    careless.connect(mosquitto.host, mosquitto.port, **v5)
    careless.loop_start()
    publish(mosquitto, first.topic, b"unheard")
    assert heard.wait(10)
    careless.disconnect()
    careless.loop_stop()
    again = receive(mosquitto)
    again.wait_messages(1)
    assert contents(again) == [(first.topic, b"unheard", REPEATED)]


def test_a_silent_connection_is_kept_by_pings(mosquitto, receive):
    running = receive(mosquitto, keepalive_s=2)
    losses = []
    deadline = time.monotonic() + 3.6
    while time.monotonic() < deadline:
        losses += [] if running.state.connected else [running.state.trouble]
        time.sleep(0.02)
    assert losses == []
    publish(mosquitto, running.topic, b"still here")
    running.wait_messages(1)


WORDS = {"3.1.1": "connection was lost", "5": "broker ends the connection: Malformed packet"}


def test_a_broker_that_says_why_it_ends_the_connection_is_quoted(mosquitto, receive, way):
    running = receive(mosquitto)
    with capture_logs() as lines:
        a_topic_with_a_wildcard = b"\x30\x03\x00\x01+"
        running.receiver._client._packet_queue(0, a_topic_with_a_wildcard, 0, 0)
        running.wait(lambda: lines, "the loss is said")
    assert WORDS[way[1]] in lines[0]["reason"]


def test_a_broker_that_goes_and_comes_is_connected_to_again(make_mosquitto, receive):
    broker = make_mosquitto()
    broker.start()
    running = receive(broker)
    broker.stop()
    running.wait(lambda: not running.state.connected, "the loss is seen")
    broker.start()
    running.wait_subscribed()
    publish(broker, running.topic, b"back")
    running.wait_messages(1)


class SecureMosquitto(ProgramMosquitto):
    """Mosquitto that speaks TLS with a certificate of its own making."""

    def _write_config(self):
        config = super()._write_config()
        certificate, key = make_certificate()
        self.ca_file = self._folder / "server.pem"
        self.ca_file.write_bytes(certificate)
        (self._folder / "server.key").write_bytes(key)
        with config.open("a") as more:
            more.write(f"certfile {self.ca_file}\nkeyfile {self._folder / 'server.key'}\n")
        return config


def make_certificate():
    """A certificate for 127.0.0.1 that vouches for itself, and its key (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, nothing = serialization.Encoding.PEM, serialization.NoEncryption()
    return (
        certificate.public_bytes(encoding),
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, nothing),
    )


def test_over_tls_everything_comes_too(receive, missing, tmp_path):
    program = find_mosquitto()
    if program is None:
        missing("mosquitto is not on this machine (make servers)")
    broker = SecureMosquitto(program, tmp_path / "secure", free_port())
    broker.start()
    try:
        running = receive(broker, ca_file=broker.ca_file)
        publisher = mqtt.Client(CallbackAPIVersion.VERSION2)
        publisher.tls_set(str(broker.ca_file))
        publisher.connect(broker.host, broker.port)
        publisher.loop_start()
        sent = [b"%d" % number + b"x" * 500 for number in range(500)] + [b"y" * 300_000, b"end"]
        waiting = [publisher.publish(running.topic, payload, 1) for payload in sent]
        for one in waiting:
            one.wait_for_publish(15)
        running.wait_messages(len(sent))
        publisher.disconnect()
        publisher.loop_stop()
        assert [message.payload for message in running.messages] == sent
    finally:
        broker.stop()
