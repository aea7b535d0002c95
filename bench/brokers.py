"""A Mosquitto with a waiting session, and a publisher that fills it."""

import subprocess
import sys
import threading
from pathlib import Path

from bench.running import HOST, count_connections, need, wait_for
from ingest.broker.connection import connect, make_client
from ingest.settings import MqttSettings
from jieshui.broker import find_mosquitto, free_port

CLIENT_ID = "contender"
FILTER = "water/v1/#"


class Broker:
    """A Mosquitto that holds a session of the contender; with a listener for TLS where asked."""

    def __init__(self, folder: Path, *, tls: bool) -> None:
        folder.mkdir()
        self.port = free_port()
        self.contender_port = free_port() if tls else self.port
        self.ca_file = folder / "cert.pem" if tls else None
        self.log = folder / "broker.log"
        config = folder / "mosquitto.conf"
        text = (
            f"listener {self.port} {HOST}\nallow_anonymous true\nmax_queued_messages 0\n"
            "max_inflight_messages 1000\npersistence false\nuser root\n"
        )
        if tls:
            make_certificate(folder)
            text += f"listener {self.contender_port} {HOST}\n"
            text += f"certfile {folder / 'cert.pem'}\nkeyfile {folder / 'key.pem'}\n"
        config.write_text(text)
        with self.log.open("wb") as out:
            program = need(find_mosquitto(), "mosquitto")
            self._process = subprocess.Popen([program, "-c", str(config)], stderr=out)
        wait_for(lambda: b"running" in self.log.read_bytes())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def accepted(self) -> bool:
        """Whether the contender has come back to its session."""
        return count_connections(self.log, CLIENT_ID) > 1

    def make_session(self) -> None:
        """Leave the contender's session and its subscription at the broker."""
        client = make_client(MqttSettings(HOST, self.port, client_id=CLIENT_ID), CLIENT_ID)
        subscribed = threading.Event()
        client.on_connect = lambda *_: client.subscribe(FILTER, 1) and None
        client.on_subscribe = lambda *_: subscribed.set()
        connect(client, MqttSettings(HOST, self.port))
        client.loop_start()
        subscribed.wait(10)
        client.disconnect()
        client.loop_stop()


def make_certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip


class Publisher:
    """bench/publish.py, its packets made; `begin` lets it publish."""

    def __init__(self, port: int, messages: int, each: int) -> None:
        command = [
            sys.executable,
            str(Path(__file__).with_name("publish.py")),
            str(port),
            str(messages),
            str(each),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._expect("ready")

    def begin(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def finish(self) -> None:
        self._expect("done")
        self._process.communicate()

    def _expect(self, word: str) -> None:
        assert self._process.stdout
        if self._process.stdout.readline().strip() != word:
            sys.exit("benchmark: the publisher failed")
