"""What a login may do at a real Mosquitto, over TLS, with the files of `jieshui broker`."""

import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions
from typer.testing import CliRunner

from jieshui.broker import find_mosquitto, free_port
from jieshui.main import app

pytestmark = pytest.mark.servers

NOT_AUTHORISED = 135
"""MQTT 5, table 2-6."""
WAIT_S = 10


def jieshui(*words) -> str:
    outcome = CliRunner().invoke(app, ["broker", *map(str, words)])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


class City:
    """A broker's folder with the suppliers EAST and WEST, and the Mosquitto that runs on it."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self.program, self.folder, self.port = program, folder / "broker", free_port()
        self.hand_overs = folder
        jieshui("init", self.folder, "--host", "localhost", "--port", self.port, *options)
        conf = self.folder / "mosquitto.conf"
        # Started by root, Mosquitto would become a user who may not read this folder.
        text = conf.read_text(encoding="utf-8").replace("interval 30", "interval 1")
        conf.write_text(text + "user root\n", encoding="utf-8")
        self.process: subprocess.Popen | None = None
        self.add("EAST")
        self.add("WEST")

    def add(self, supplier: str, *options: str) -> str:
        out = self.hand_overs / f"{supplier}{len(options)}"
        said = ("--folder", self.folder, "--out", out, "--port", self.port)
        return jieshui("add-supplier", supplier, *said, *options)

    def start(self) -> None:
        command = [self.program, "-c", str(self.folder / "mosquitto.conf")]
        with (self.hand_overs / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.listens)

    def listens(self) -> bool:
        try:
            socket.create_connection(("localhost", self.port), 1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def password(self, login: str, *, out: str | None = None) -> str:
        file = self.folder / "jieshui.password"
        if login != "jieshui":
            file = self.hand_overs / (out or f"{login}0") / "password"
        return file.read_text(encoding="ascii").strip()

    @contextmanager
    def client(self, login, password=None, *, certificate_of=None, name=""):
        client = Client(name or f"{login}-test")
        folder = self.hand_overs / f"{certificate_of}0"
        client.mqtt.tls_set(
            ca_certs=str(self.folder / "ca.pem"),
            certfile=str(folder / "client.pem") if certificate_of else None,
            keyfile=str(folder / "client.key") if certificate_of else None,
        )
        if login:
            client.mqtt.username_pw_set(login, password or self.password(login))
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 600
        client.mqtt.connect("localhost", self.port, clean_start=False, properties=properties)
        client.mqtt.loop_start()
        try:
            yield client
        finally:
            client.mqtt.disconnect()
            client.mqtt.loop_stop()


class Client:
    """A client that remembers what the broker said."""

    def __init__(self, name: str) -> None:
        self.mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, name, protocol=mqtt.MQTTv5)
        self.connack = self.ended = None
        self.received: list[tuple[str, bytes]] = []
        self.reasons: dict[int, int] = {}
        self._subscribed = threading.Event()
        self.mqtt.on_connect = lambda *about: setattr(self, "connack", about[3])
        self.mqtt.on_disconnect = lambda *about: setattr(self, "ended", about[3])
        self.mqtt.on_message = lambda *about: self._take(about[2])
        self.mqtt.on_publish = lambda *about: self.reasons.__setitem__(about[2], about[3].value)
        self.mqtt.on_subscribe = lambda *_: self._subscribed.set()

    def _take(self, message) -> None:
        self.received.append((message.topic, message.payload))

    def connected(self) -> bool:
        until(lambda: self.connack is not None)
        return not self.connack.is_failure

    def subscribe(self, *filters: str) -> None:
        assert self.connected()
        self._subscribed.clear()
        self.mqtt.subscribe([(one, SubscribeOptions(qos=1)) for one in filters])
        assert self._subscribed.wait(WAIT_S)

    def publish(self, topic: str, payload: bytes = b"{}") -> int:
        """The broker's reason code of a message with QoS 1."""
        assert self.connected()
        mid = self.mqtt.publish(topic, payload, qos=1).mid
        until(lambda: mid in self.reasons)
        return self.reasons[mid]

    def topics(self) -> set[str]:
        return {topic for topic, _ in self.received}


def until(true) -> None:
    end = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def program(missing):
    return find_mosquitto() or missing("mosquitto is not on this machine (make servers)")


@pytest.fixture
def city(program, tmp_path):
    city = City(program, tmp_path)
    city.start()
    yield city
    city.kill()


@pytest.fixture
def folder_of_mosquitto(missing):
    """An empty folder as docs/broker.md has root make it, where the user mosquitto can reach it."""
    if os.geteuid() != 0:
        missing("only root can start Mosquitto as another user")
    try:
        user = pwd.getpwnam("mosquitto")
    except KeyError:
        missing("there is no user mosquitto (apt-get install mosquitto)")
    # Not below tmp_path, which is closed to that user.
    above = Path(tempfile.mkdtemp(prefix="jieshui-broker-"))
    above.chmod(0o755)
    folder = above / "jieshui"
    folder.mkdir(mode=0o700)
    os.chown(folder, user.pw_uid, user.pw_gid)
    yield folder
    shutil.rmtree(above)


def test_what_root_makes_in_the_folder_of_mosquitto_is_mosquittos(program, folder_of_mosquitto):
    folder, port = folder_of_mosquitto, free_port()
    jieshui("init", folder, "--host", "localhost", "--port", port)
    assert {path.owner() for path in folder.rglob("*")} == {"mosquitto"}
    assert folder.with_name("jieshui-authority").owner() != "mosquitto"
    process = subprocess.Popen([program, "-c", str(folder / "mosquitto.conf")])
    try:
        until((folder / "data" / "mosquitto.pid").exists)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_supplier_sends_under_its_own_name_only(city):
    with city.client("EAST") as east, city.client("jieshui") as ours:
        ours.subscribe("water/v1/#")
        assert east.publish("water/v1/WEST/jieshui/M/reading") == NOT_AUTHORISED
        assert east.publish("water/v1/-/jieshui/M/reading") == NOT_AUTHORISED
        assert east.publish("receipts/v1/EAST") == NOT_AUTHORISED
        assert east.publish("elsewhere") == NOT_AUTHORISED
        assert east.publish("water/v1/EAST/jieshui/M/reading") < 128
        until(lambda: ours.received)
        assert ours.topics() == {"water/v1/EAST/jieshui/M/reading"}


def test_a_message_that_is_too_long_for_ingest_reaches_it_and_is_counted_there(city):
    with city.client("EAST") as east, city.client("jieshui") as ours:
        ours.subscribe("water/v1/#")
        assert east.publish("water/v1/EAST/jieshui/M/reading", b"x" * (2 << 20)) < 128
        until(lambda: ours.received)
        assert east.ended is None


def test_what_the_page_handed_over_says_sends_a_reading_without_a_secret_in_it(city, missing):
    if not shutil.which("mosquitto_pub"):
        missing("mosquitto_pub is not on this machine (apt-get install mosquitto-clients)")
    folder = city.hand_overs / "EAST0"
    page = (folder / "connection.txt").read_text(encoding="utf-8")
    command = re.search(r"^XDG_CONFIG_HOME=.*\n.*$", page, re.MULTILINE).group()
    assert city.password("EAST") not in page
    with city.client("jieshui") as ours:
        ours.subscribe("water/v1/#")
        said = command.replace("<meter>", "M")
        subprocess.run(said, shell=True, cwd=folder, check=True, timeout=WAIT_S)
        until(lambda: ours.received)
        assert ours.topics() == {"water/v1/EAST/jieshui/M/reading"}


def test_a_supplier_reads_its_own_receipts_and_nothing_else(city):
    with city.client("EAST") as east, city.client("WEST") as west, city.client("jieshui") as ours:
        east.subscribe("#", "$SYS/#", "water/v1/#", "receipts/v1/#", "$share/g/water/v1/#")
        assert west.publish("water/v1/WEST/jieshui/M/reading") < 128
        assert east.publish("water/v1/EAST/jieshui/M/reading") < 128
        assert ours.publish("receipts/v1/WEST") < 128
        assert ours.publish("receipts/v1/EAST") < 128
        until(lambda: east.received)
        time.sleep(0.3)
        assert east.topics() == {"receipts/v1/EAST"}


def test_ingest_shares_its_stream_and_cannot_read_receipts(city):
    with city.client("jieshui") as ours, city.client("EAST") as east:
        ours.subscribe("$share/ingest/water/v1/#", "receipts/v1/#")
        assert ours.publish("receipts/v1/EAST") < 128
        assert east.publish("water/v1/EAST/jieshui/M/reading", b"shared") < 128
        until(lambda: ours.received)
        time.sleep(0.3)
        assert ours.received == [("water/v1/EAST/jieshui/M/reading", b"shared")]


@pytest.mark.parametrize(
    ("login", "password"), [("EAST", "guessed"), ("NORTH", "guessed"), (None, None)]
)
def test_who_has_no_login_or_a_wrong_password_is_refused(city, login, password):
    with city.client(login, password, name="intruder") as client:
        assert not client.connected()


def test_a_client_that_trusts_another_authority_does_not_connect(city, tmp_path):
    jieshui("init", tmp_path / "other", "--host", "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        shown_certificate(city, ca=tmp_path / "other" / "ca.pem")


def test_without_tls_nobody_is_heard(city):
    with socket.create_connection(("localhost", city.port), WAIT_S) as plain:
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        with suppress(ConnectionResetError):
            assert plain.recv(4)[:1] != b"\x20"


def test_a_revoked_supplier_is_put_out_at_once_and_others_stay(city):
    with city.client("EAST") as east, city.client("WEST") as west:
        assert east.connected()
        assert west.connected()
        assert "reads its files again" in jieshui("revoke", "EAST", "--folder", city.folder)
        until(lambda: east.ended)
        assert west.publish("water/v1/WEST/jieshui/M/reading") < 128
        assert west.ended is None
    with city.client("EAST", name="again") as again:
        assert not again.connected()


def test_a_replaced_password_ends_the_old_one(city):
    old = city.password("EAST")
    with city.client("EAST") as east:
        assert east.connected()
        said = city.add("EAST", "--replace")
        until(lambda: east.ended)
    new = city.password("EAST", out="EAST1")
    assert said.count(new) == 1
    with city.client("EAST", old, name="old") as client:
        assert not client.connected()
    with city.client("EAST", new, name="new") as client:
        assert client.connected()


def test_messages_for_ingest_survive_a_broker_that_is_killed_once_it_has_saved(city):
    with city.client("jieshui", name="ingest") as ours:
        ours.subscribe("water/v1/#")
    with city.client("EAST") as east:
        for number in range(50):
            east.publish("water/v1/EAST/jieshui/M/reading", b"%d" % number)
    # It saves each second here; 30 s in what `broker init` writes.
    time.sleep(2.5)
    city.kill()
    city.start()
    with city.client("jieshui", name="ingest") as ours:
        until(lambda: len(ours.received) == 50)
    assert [int(payload) for _, payload in ours.received] == list(range(50))


def test_a_new_certificate_of_the_broker_is_shown_without_a_restart(city):
    before = shown_certificate(city)
    assert "localhost" in jieshui("renew", "--folder", city.folder)
    until(lambda: shown_certificate(city) != before)
    with city.client("EAST") as east:
        assert east.connected()


def shown_certificate(city, ca=None) -> str:
    context = ssl.create_default_context(cafile=str(ca or city.folder / "ca.pem"))
    with (
        socket.create_connection(("localhost", city.port), WAIT_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as shown,
    ):
        return shown.getpeercert()["serialNumber"]


@pytest.fixture
def strict_city(program, tmp_path):
    city = City(program, tmp_path, "--client-certificates")
    city.start()
    yield city
    city.kill()


def test_where_certificates_are_asked_for_a_password_alone_is_not_enough(strict_city):
    with strict_city.client("EAST", certificate_of="EAST") as east:
        assert east.connected()
    with strict_city.client("EAST", name="bare") as bare:
        until(lambda: bare.ended)
        assert bare.connack is None


def test_a_revoked_certificate_is_refused_with_anybodys_password(strict_city):
    with strict_city.client("EAST", certificate_of="EAST") as east:
        assert east.connected()
        jieshui("revoke", "EAST", "--folder", strict_city.folder)
        until(lambda: east.ended)
    with strict_city.client("WEST", certificate_of="EAST") as stolen:
        until(lambda: stolen.ended)
        assert stolen.connack is None
    with strict_city.client("WEST", certificate_of="WEST", name="west") as west:
        assert west.connected()
