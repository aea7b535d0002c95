"""A good supplier with a watch: how long each of its readings takes to be stored and receipted."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from suppliers import Identity

from ingest.identity import receipt_id
from jieshui.broker import HOST
from storage.contracts import ReadingsStore
from water import columns

PAUSE_S = 0.02
LOOK_S = 0.05
"""Seconds between looks into the store: so exact is what is said of it."""
PATIENCE_S = 60


class Witness:
    """Publishes one reading every 20 ms, each of its own (meter, second).

    Args:
        readings: the store that is looked into.
        supplier: whose login it is.
        meters: its meters, in turn.
        port: of the broker.
        password: of the login.
    """

    def __init__(
        self,
        readings: ReadingsStore,
        supplier: str,
        meters: Sequence[str],
        port: int,
        password: str,
    ) -> None:
        self.meters = meters
        self.base = int(time.time()) - 30 * 86_400
        self.published: dict[Identity, float] = {}
        self._readings = readings
        self._supplier = supplier
        self._phase = ""
        self._phases: dict[int, str] = {}
        self._sent_at: dict[int, float] = {}
        self._numbers: dict[str, int] = {}
        self._stored: dict[int, float] = {}
        self._loaded: dict[int, float] = {}
        self._stop = threading.Event()
        self._end = threading.Event()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=supplier)
        self._client.username_pw_set(supplier, password)
        self._client.on_message = self._on_receipt
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect(HOST, port)
        self._threads = [threading.Thread(target=run) for run in (self._publish, self._look)]

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._client.subscribe(f"receipts/v1/{self._supplier}", 1)
        self._subscribed.wait(10)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._end.set()
        for thread in self._threads:
            thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def sent(self) -> int:
        """Readings, each in a message of its own."""
        return len(self.published)

    @property
    def end(self) -> int:
        """A second after the newest reading."""
        return self.base + self.sent // len(self.meters) + 2

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """What is sent in the block is measured under this name."""
        self._phase = name
        yield
        self._phase = ""

    def measure(self, name: str, seconds: float) -> None:
        """Measure for so long."""
        with self.phase(name):
            time.sleep(seconds)

    def stop(self) -> None:
        """Send nothing more; wait until all that was sent was seen in the store."""
        self._stop.set()
        self._threads[0].join()
        deadline = time.monotonic() + PATIENCE_S
        while len(self._stored) < self.sent and time.monotonic() < deadline:
            time.sleep(LOOK_S)

    def delays(self) -> dict[str, list[float]]:
        """Seconds from sending, a phase and what was waited for; what never came is left out."""
        found: dict[str, list[float]] = defaultdict(list)
        for number, phase in self._phases.items():
            sent_at = self._sent_at[number]
            for what, moments in (("stored", self._stored), ("receipted", self._loaded)):
                if number in moments:
                    found[f"{phase}, until {what}"].append(moments[number] - sent_at)
        return dict(sorted(found.items(), key=lambda item: "receipted" in item[0]))

    def _publish(self) -> None:
        number = 0
        while not self._stop.wait(PAUSE_S):
            if self._phase:
                self._phases[number] = self._phase
            self._send(number)
            number += 1

    def _send(self, number: int) -> None:
        turn, which = divmod(number, len(self.meters))
        meter, at, register = self.meters[which], self.base + turn, number / 8
        payload = f'{{"at":{at},"register_m3":{register}}}'.encode()
        self._numbers[receipt_id(payload, 0)] = number
        self._sent_at[number] = time.monotonic()
        self._client.publish(f"water/v1/{self._supplier}/jieshui/{meter}/reading", payload, qos=1)
        self.published[meter, at] = register

    def _on_receipt(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        now = time.monotonic()
        for entry in json.loads(message.payload).get("loaded", ()):
            self._loaded.setdefault(self._numbers[entry["id"]], now)

    def _look(self) -> None:
        """Each meter's readings are stored in their order: the newest says that all before are."""
        seen = dict.fromkeys(self.meters, -1)
        while not self._end.wait(LOOK_S):
            newest = self._readings.newest(list(self.meters))
            now = time.monotonic()
            for meter, moment in zip(newest[columns.METER_ID], newest[columns.AT], strict=True):
                turn = int(moment.timestamp()) - self.base
                for past in range(seen[meter] + 1, turn + 1):
                    number = past * len(self.meters) + self.meters.index(meter)
                    self._stored.setdefault(number, now)
                seen[meter] = turn
