"""Suppliers under test: what they publish is known to the last reading."""

import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from simulators.deliveries import Delivery

Identity = tuple[str, int]
"""Meter and epoch second."""

PUSHING, TRUSTING = "pushing", "trusting"
"""The supplier that pushes over HTTP, and the one that trusts the broker."""


class Book:
    """Makes one supplier's messages of a round and keeps which readings stand in them.

    Args:
        supplier: its id.
        meters: its meters.
        most: readings in one message at most.
        dirty: whether some messages hold nothing that can be stored.
    """

    def __init__(
        self, supplier: str, meters: Sequence[str], most: int = 1, dirty: bool = False
    ) -> None:
        self.supplier = supplier
        self.meters = meters
        self.published: dict[Identity, float] = {}
        self._most = most
        self._dirty = dirty
        self._number = 0

    def write(self, base: int, messages: int, dice: random.Random) -> Iterator[Delivery]:
        """New messages, whose readings lie from `base` on; every register is another number."""
        self.published = {}
        made = 0
        for _ in range(messages):
            if self._dirty and dice.random() < 0.1:
                yield self._write_dirt(base, dice)
                continue
            rows: list[str] = []
            for _ in range(dice.randint(1, self._most)):
                meter, at = self.meters[made % len(self.meters)], base + made // len(self.meters)
                self._number += 1
                register = self._number / 8
                self.published[meter, at] = register
                rows.append(f'{{"meter":"{meter}","at":{at},"register_m3":{register}}}')
                made += 1
            payload = rows[0] if len(rows) == 1 else f"[{','.join(rows)}]"
            yield self._deliver("-/reading", payload, len(rows))

    def _write_dirt(self, base: int, dice: random.Random) -> Delivery:
        """One of what is set aside, can't be decoded, or goes to quarantine."""
        self._number += 1
        rest, payload = dice.choice(
            [
                ("-/reading", f'{{"meter":"nobody","at":{base},"register_m3":{self._number}}}'),
                ("-/reading", f'{{"meter":"{self.meters[0]}","register_m3":-{self._number}}}'),
                ("-/reading", f'{{"at":{base},"register_m3":{self._number}'),
                ("-/status", f'{{"battery":{self._number}}}'),
                ("-/reading", f'{{"at":{base},"register_m3":{self._number},"simulated":true}}'),
                ("-/whatever", f"{self._number}"),
            ]
        )
        return self._deliver(rest, payload, 0)

    def _deliver(self, rest: str, payload: str, readings: int) -> Delivery:
        topic = f"water/v1/{self.supplier}/jieshui/{rest}"
        return Delivery(self.supplier, topic, payload.encode(), readings)


class TrustingSupplier:
    """Publishes with QoS 1 and forgets what the broker has acknowledged, as most devices do."""

    def __init__(self, supplier: str, host: str, port: int) -> None:
        self.messages = 0
        self._acknowledged = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"trusting-{supplier}")
        self._client.max_inflight_messages_set(500)
        self._client.reconnect_delay_set(min_delay=1, max_delay=2)
        self._client.on_publish = self._on_publish
        self._host, self._port = host, port

    def __enter__(self) -> Self:
        self._client.connect_async(self._host, self._port, keepalive=30)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def unacknowledged(self) -> int:
        """Messages that the broker has not acknowledged; the client sends them again itself."""
        return self.messages - self._acknowledged

    def send(self, delivery: Delivery) -> None:
        self.messages += 1
        self._client.publish(delivery.topic, delivery.payload, qos=1)

    def _on_publish(self, *_: Any) -> None:
        self._acknowledged += 1


class PushingSupplier:
    """Pushes over HTTP, and forgets what the platform says is journalled.

    Args:
        url: where to.
        key: of the supplier.
    """

    def __init__(self, url: str, key: str) -> None:
        self.acknowledged: set[bytes] = set()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._url = url
        self._http = httpx.Client(headers=headers, timeout=10, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def push(self, payloads: Sequence[bytes], pause_s: float) -> None:
        """Push each again and again until it is acknowledged."""
        self.acknowledged.clear()
        for payload in payloads:
            while not self._push(payload):
                time.sleep(0.05)
            self.acknowledged.add(payload)
            time.sleep(pause_s)

    def _push(self, payload: bytes) -> bool:
        try:
            answer = self._http.post(self._url, content=payload)
        except httpx.TransportError:
            return False
        if answer.status_code not in {202, 503}:
            answer.raise_for_status()
        return answer.status_code == 202
