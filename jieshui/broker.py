"""A broker for demonstrations: the machine's Mosquitto, else one that comes as a package."""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Literal, Protocol

from tenacity import RetryError, retry, retry_if_exception_type, stop_after_delay, wait_fixed

from jieshui.errors import JieshuiError

HOST = "127.0.0.1"


class DemoBroker(Protocol):
    """An MQTT broker on a loopback port of our own."""

    port: int
    name: str
    protocol: Literal["3.1.1", "5"]

    def start(self) -> None:
        """Start it and return once it listens."""
        ...

    def stop(self) -> None:
        """End it; safe to call twice."""
        ...


def open_broker(folder: Path, *, packaged: bool = False) -> DemoBroker:
    """The machine's Mosquitto if any and not `packaged`, else the packaged one; not started."""
    program = None if packaged else find_mosquitto()
    return Mosquitto(program, folder, free_port()) if program else PackagedBroker(free_port())


class Mosquitto:
    """Mosquitto in a child process; its queue outlives a restart."""

    protocol: Literal["3.1.1", "5"] = "5"

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self.port = port
        self.name = f"Mosquitto ({program})"
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once it listens.

        Raises:
            JieshuiError: when it doesn't listen within ten seconds, with its log's place.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / "broker.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._write_config())], stdout=out, stderr=out
            )
        try:
            _wait_until_listening(self.port)
        except RetryError:
            self.stop()
            raise JieshuiError(f"Mosquitto did not start listening; its log is {log}") from None

    def stop(self) -> None:
        """End it; safe to call twice."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _write_config(self) -> Path:
        config = self._folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} {HOST}\n"
            "allow_anonymous true\n"
            "persistence true\n"
            f"persistence_location {self._folder.resolve()}/\n"
            "autosave_interval 10\n"
            "max_inflight_messages 1000\n"
            "max_queued_messages 0\n"
            # Started by root, Mosquitto would become a user who may not write in this folder.
            "user root\n",
            encoding="utf-8",
        )
        return config


class PackagedBroker:
    """rumqttd as the package iotcore carries it: nothing to install, queue in memory only.

    What it loses when it stops, the simulated suppliers send again: they have no receipt.
    """

    # Its MQTT 5 listener needs a file of its own and brings nothing here.
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    name = "iotcore (packaged rumqttd, in memory)"

    def __init__(self, port: int) -> None:
        self.port = port
        try:
            import iotcore  # noqa: PLC0415 (an extra: a production machine has its own broker)
        except ImportError:
            raise JieshuiError(
                "there is no MQTT broker: install Mosquitto, or jieshui with its demo extra "
                "(pip install 'jieshui[demo]')"
            ) from None
        self._broker = iotcore.Broker(
            port=port, listen=HOST, max_payload_size=4 << 20, max_inflight_count=1000
        )

    def start(self) -> None:
        """Start it and return once it listens."""
        self._broker.start()

    def stop(self) -> None:
        """End it; safe to call twice."""
        self._broker.stop()


@retry(stop=stop_after_delay(10), wait=wait_fixed(0.05), retry=retry_if_exception_type(OSError))
def _wait_until_listening(port: int) -> None:
    socket.create_connection((HOST, port), 0.2).close()


def find_mosquitto() -> str | None:
    """The Mosquitto on this machine; Debian keeps it where PATH of a person doesn't look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def is_free(port: int) -> bool:
    """Whether a loopback port could be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
