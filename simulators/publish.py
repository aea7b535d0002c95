"""One supplier's way to the broker: nothing counts as delivered before the platform's receipt.

A broker may lose what it acknowledged when its machine dies; so every message is kept until the
receipt says "loaded", and sent again when that doesn't come.
"""

import hashlib
import hmac
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from simulators.deliveries import Delivery

log = structlog.get_logger()

MAX_UNRECEIPTED = 2_000
_MAX_INFLIGHT = 500
_LONGEST_BACK_OFF = 16
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker listens and how to log in.

    Attributes:
        host: its name or address.
        port: its port.
        credentials: a supplier's id → its (user name, password).
        ca_file: speak TLS, and trust these certificates.
        signing_keys: a supplier's id → the key that it signs its messages with.
    """

    host: str
    port: int
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    ca_file: Path | None = None
    signing_keys: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def receipt_id(payload: bytes) -> str:
    """How a receipt names a message: BLAKE2b-64 of its payload, as 16 hex digits."""
    return hashlib.blake2b(payload, digest_size=8).hexdigest()


def sign(key: str, topic: str, payload: bytes, seconds: int) -> bytes:
    """The payload behind a line with its signature, as docs/connecting.md says."""
    signed = b"\0".join((topic.encode(), str(seconds).encode(), payload))
    code = hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()
    return f"jieshui-hmac-sha256 {seconds} {code}\n".encode() + payload


@dataclass
class _Unreceipted:
    delivery: Delivery
    due: int
    sent_at: float
    times: int = 1


class Courier:
    """Publishes one supplier's messages and keeps each until it is receipted.

    The network runs in paho's thread; `send` and `resend_overdue` belong to one other thread.

    Args:
        supplier_id: whose messages these are.
        broker: where to.
        resend_after_s: a message without receipt for so long is sent again; doubled each time.
    """

    def __init__(self, supplier_id: str, broker: BrokerAddress, *, resend_after_s: float) -> None:
        self.supplier_id = supplier_id
        self.messages = 0
        self.readings = 0
        self.resent = 0
        self.receipted_readings = 0
        self._broker = broker
        self._resend_after_s = resend_after_s
        self._changed = threading.Condition()
        self._unreceipted: dict[str, _Unreceipted] = {}
        self._signed: dict[str, str] = {}
        self._waiting_by_due: Counter[int] = Counter()
        self._dues: deque[int] = deque()
        self._receipted_upto: int | None = None
        self._client = self._make_client()

    def __enter__(self) -> Self:
        """Connect in the background; a broker that is away is tried for ever."""
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=30)
        self._client.loop_start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect and end the network thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, delivery: Delivery, due: int, stop: threading.Event) -> bool:
        """Publish as soon as fewer than MAX_UNRECEIPTED wait; False when stopped before that."""
        with self._changed:
            while len(self._unreceipted) >= MAX_UNRECEIPTED:
                if stop.is_set():
                    return False
                self._changed.wait(_POLL_S)
                self._resend_overdue()
            key = receipt_id(delivery.payload)
            if delivery.receipted and key not in self._unreceipted:
                self._unreceipted[key] = _Unreceipted(delivery, due, time.monotonic())
                self._waiting_by_due[due] += 1
            self.messages += 1
            self.readings += delivery.readings
        self._publish(delivery)
        return True

    def close_due(self, due: int) -> None:
        """Say that every message that is due up to this instant was sent."""
        with self._changed:
            self._dues.append(due)

    def receipted_upto(self) -> int | None:
        """The latest closed instant up to which every message is receipted, None = not one yet."""
        with self._changed:
            while self._dues and not self._waiting_by_due[self._dues[0]]:
                self._receipted_upto = self._dues.popleft()
                del self._waiting_by_due[self._receipted_upto]
            return self._receipted_upto

    def resend_overdue(self) -> None:
        """Send again what has waited for its receipt too long."""
        with self._changed:
            self._resend_overdue()

    @property
    def unreceipted(self) -> int:
        """Messages that wait for their receipt."""
        with self._changed:
            return len(self._unreceipted)

    def list_unreceipted(self) -> list[str]:
        """The names in receipts of the messages that wait for theirs."""
        with self._changed:
            return list(self._unreceipted)

    def wait_for_receipt(self, timeout_s: float) -> None:
        """Sleep until a receipt comes, at most `timeout_s`."""
        with self._changed:
            self._changed.wait(timeout_s)

    def _resend_overdue(self) -> None:
        if not self._client.is_connected():
            return  # paho sends what is in flight by itself when it is back
        now, again = time.monotonic(), 0
        for waiting in self._unreceipted.values():
            patience = self._resend_after_s * min(2 ** (waiting.times - 1), _LONGEST_BACK_OFF)
            if now - waiting.sent_at > patience:
                waiting.sent_at, waiting.times = now, waiting.times + 1
                again += 1
                self._publish(waiting.delivery)
        if again:
            self.resent += again
            log.info("messages sent again", supplier=self.supplier_id, messages=again)

    def _publish(self, delivery: Delivery) -> None:
        payload = delivery.payload
        if key := self._broker.signing_keys.get(self.supplier_id):
            payload = sign(key, delivery.topic, payload, int(time.time()))
            # Signed anew each time, it has a receipt of its own.
            self._signed[receipt_id(payload)] = receipt_id(delivery.payload)
        self._client.publish(delivery.topic, payload, qos=1)

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"simulator-{self.supplier_id}",
            clean_session=True,
        )
        client.max_inflight_messages_set(_MAX_INFLIGHT)
        client.max_queued_messages_set(0)  # no limit: `send` bounds what is under way
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        if self.supplier_id in self._broker.credentials:
            client.username_pw_set(*self._broker.credentials[self.supplier_id])
        if self._broker.ca_file:
            client.tls_set(str(self._broker.ca_file))
        client.on_connect = self._on_connect
        client.on_message = self._on_receipt
        return client

    def _on_connect(
        self, client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            log.warning("broker refused", supplier=self.supplier_id, reason=str(reason))
            return
        client.subscribe(f"receipts/v1/{self.supplier_id}", qos=1)

    def _on_receipt(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        loaded = json.loads(message.payload).get("loaded", ())
        if not loaded:
            return
        with self._changed:
            for entry in loaded:
                key = self._signed.pop(entry["id"], entry["id"])
                if waiting := self._unreceipted.pop(key, None):
                    self._waiting_by_due[waiting.due] -= 1
                    self.receipted_readings += waiting.delivery.readings
            self._changed.notify_all()
