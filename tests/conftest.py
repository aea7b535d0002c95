"""What every kind of test shares: how a missing part is said, and real brokers."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest


def _missing(what: str) -> NoReturn:
    if os.environ.get("JIESHUI_NO_SKIP"):
        pytest.fail(f"{what}, and nothing may be skipped here (JIESHUI_NO_SKIP)")
    pytest.skip(what)


@pytest.fixture(scope="session")
def missing():
    """Call with what is missing and how to get it: skips, or fails where skips are forbidden."""
    return _missing


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _wait_for_port(port: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


@dataclass
class Mosquitto:
    """A Mosquitto of our own, on a free port of 127.0.0.1, in its own folder."""

    program: str
    folder: Path
    port: int
    persistence: bool = False
    host: str = "127.0.0.1"
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} {self.host}\nallow_anonymous true\n"
            "max_queued_messages 0\nmax_inflight_messages 200\n"
            f"persistence {str(self.persistence).lower()}\n"
            f"persistence_location {self.folder}/\nautosave_interval 1\n"
        )
        with (self.folder / "mosquitto.log").open("ab") as out:
            self._process = subprocess.Popen(
                [self.program, "-c", str(config)], stdout=out, stderr=out
            )
        _wait_for_port(self.port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def find_mosquitto() -> str:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    return program or _missing("mosquitto is not on this machine (make servers)")


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory) -> Iterator[Mosquitto]:
    """A running Mosquitto (host, port) that keeps nothing on disk, for the whole session."""
    broker = Mosquitto(find_mosquitto(), tmp_path_factory.mktemp("mosquitto"), _free_port())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def make_mosquitto(tmp_path) -> Iterator:
    """Call for a Mosquitto of one test's own, not started: `make_mosquitto(persistence=True)`."""
    brokers: list[Mosquitto] = []

    def make(*, persistence: bool = False) -> Mosquitto:
        folder = tmp_path / f"mosquitto{len(brokers)}"
        brokers.append(Mosquitto(find_mosquitto(), folder, _free_port(), persistence))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.stop()


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator:
    """The packaged broker (iotcore) on a free port (host, port): in memory, MQTT 3.1.1."""
    iotcore = pytest.importorskip("iotcore")
    broker = iotcore.Broker(port=_free_port(), listen="127.0.0.1")
    broker.host = "127.0.0.1"
    broker.start()
    yield broker
    broker.stop()
