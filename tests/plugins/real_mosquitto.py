"""A real Mosquitto: `mosquitto` for the session, `make_mosquitto` for one test that stops it."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from real_servers import Container, find_address, need_image, only_docker

from jieshui.broker import HOST, Mosquitto, find_mosquitto, free_port
from jieshui.demo.servers import until_it_answers

IMAGE = "eclipse-mosquitto:2"
VARIABLE = "JIESHUI_TEST_MOSQUITTO"


class GivenMosquitto:
    """The broker of an address like mqtt://host:1883: anonymous, with unlimited queues."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.host, self.port = parts.hostname or HOST, parts.port or 1883


class ProgramMosquitto(Mosquitto):
    """mosquitto as a program of this machine."""

    host = HOST

    def remove(self) -> None:
        self.stop()


class ContainerMosquitto:
    """The official image, with the same settings as the program."""

    CONFIGURATION = (
        "listener 1883\nallow_anonymous true\n"
        "persistence true\npersistence_location /mosquitto/data/\n"
        "max_inflight_messages 1000\nmax_queued_messages 0\n"
    )

    def __init__(self) -> None:
        self._container = Container(
            IMAGE, 1883, files={"/mosquitto/config/mosquitto.conf": self.CONFIGURATION}
        )
        self._container.start()
        self._container.stop()
        self.host, self.port = self._container.host, self._container.port

    def start(self) -> None:
        self._container.start()
        until_it_answers(self._connect)

    def _connect(self) -> None:
        """Docker's proxy accepts before the broker does; only CONNACK says that it is there."""
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            connection.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
            if connection.recv(1) != b"\x20":
                raise ConnectionError("no CONNACK")

    def stop(self) -> None:
        self._container.stop()

    def remove(self) -> None:
        self._container.remove()


def _own(folder: Path, missing: Callable[[str], object]) -> ProgramMosquitto | ContainerMosquitto:
    program = None if only_docker() else find_mosquitto()
    if program:
        return ProgramMosquitto(program, folder, free_port())
    need_image(IMAGE, missing, variable=VARIABLE, program="mosquitto")
    return ContainerMosquitto()


@pytest.fixture(scope="session")
def mosquitto(
    tmp_path_factory, missing
) -> Iterator[GivenMosquitto | ProgramMosquitto | ContainerMosquitto]:
    """A running Mosquitto (host, port) for the whole session."""
    if address := find_address(VARIABLE):
        yield GivenMosquitto(address)
        return
    broker = _own(tmp_path_factory.mktemp("mosquitto"), missing)
    broker.start()
    yield broker
    broker.remove()


@pytest.fixture
def make_mosquitto(
    tmp_path, missing
) -> Iterator[Callable[[], ProgramMosquitto | ContainerMosquitto]]:
    """Call for a Mosquitto of one test's own, not started; its queue outlives a restart."""
    brokers: list[ProgramMosquitto | ContainerMosquitto] = []

    def make() -> ProgramMosquitto | ContainerMosquitto:
        brokers.append(_own(tmp_path / f"mosquitto{len(brokers)}", missing))
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.remove()
