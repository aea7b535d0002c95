"""Receipts to suppliers: what is journalled, and what became of it. Never holds ingest up.

On `receipts/v1/{supplier}`, QoS 1, JSON: `{"at", "journalled": [id, …]}` and `{"at", "loaded":
[…]}`. The id of a message is BLAKE2b-64 of its payload in hex. A receipt may be lost (it is
dropped when the broker is slow or away); a supplier sends again until it has seen `loaded`.
"""

import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import count
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import structlog
from paho.mqtt.enums import MQTTErrorCode

from ingest.batch import Batch, Judgement, accepted_parts
from ingest.broker.connection import connect, make_client
from ingest.errors import DisconnectedError
from ingest.identity import receipt_id
from ingest.journal import Entry, Message
from ingest.precedence import Precedence
from ingest.settings import MqttSettings
from ingest.topics import NOBODY
from water.clock import Clock
from water.loading import Outcome
from water.refusals import Refusal, SetAside

log = structlog.get_logger()

_WAITING = 200_000
"""Messages that may wait until a supplier is told of them; more are dropped."""
_WAITING_BYTES = 64 << 20
"""Bytes of payload that may wait so."""
_ITEMS = 500
"""Items in one receipt message at most."""
_UNSENT = 1_000
"""Messages that the client may hold for a slow or absent broker."""


class Became(msgspec.Struct, gc=False):
    """What became of the readings of a message; refused ones by their number within it."""

    id: str
    stored: int
    duplicate: int = 0
    conflict: int = 0
    refused: Sequence[tuple[int, str]] = ()


def describe_loaded(
    batch: Batch, outcomes: Sequence[Outcome] | None
) -> dict[str, list[Became | dict[str, str]]]:
    """What became of each message of a batch, a supplier."""
    loaded: dict[str, list[Became | dict[str, str]]] = defaultdict(list)
    first, apart = 0, batch.apart
    for place, (entry, end) in enumerate(zip(batch.entries, batch.ends, strict=True)):
        _, _, _, _, _, supplier, _, payload, _, flags, _ = entry
        if supplier != NOBODY:
            name = receipt_id(payload, flags)
            if outcomes is None and place not in apart:
                loaded[supplier].append(Became(name, end - first))
            else:
                loaded[supplier].append(_describe(name, batch.judgement(place), outcomes))
        first = end
    return loaded


def _describe(
    name: str, judgement: Judgement, outcomes: Sequence[Outcome] | None
) -> Became | dict[str, str]:
    """What became of one message."""
    _, first, end, refused, reason = judgement
    if reason is not None:
        kind = "set_aside" if isinstance(reason, SetAside) else "undecodable"
        return {"id": name, kind: reason.value}
    if outcomes is None:
        return Became(name, end - first, refused=refused)
    became = outcomes[first:end]
    counts, said = Counter(became), zip(accepted_parts(judgement), became, strict=True)
    by_store = [(part, Refusal.STORE_REFUSED.value) for part, one in said if one is Outcome.REFUSED]
    told = (counts[one] for one in (Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT))
    return Became(name, *told, refused=sorted([*refused, *by_store]))


def describe_journalled(group: Sequence[Message]) -> dict[str, list[str]]:
    """The ids of a durable group, a supplier."""
    journalled: dict[str, list[str]] = defaultdict(list)
    for message in group:
        if message.supplier != NOBODY:
            journalled[message.supplier].append(receipt_id(message.payload, message.flags))
    return journalled


class _Size(NamedTuple):
    """What waits, or may still wait."""

    messages: int
    bytes: int

    def less(self, other: "_Size") -> "_Size":
        return _Size(self.messages - other.messages, self.bytes - other.bytes)

    def more(self, other: "_Size") -> "_Size":
        return _Size(self.messages + other.messages, self.bytes + other.bytes)


_NOTHING = _Size(0, 0)
_HALF = _Size(_WAITING // 2, _WAITING_BYTES // 2)
"""The room that suppliers who wait apart leave to the others."""
_EIGHTH = _Size(_WAITING // 8, _WAITING_BYTES // 8)
"""As long as there is so much room receipts wait while a backlog is loaded."""
_payload_of = attrgetter("payload")


class _Waiting(NamedTuple):
    """What suppliers are to be told of; ordered by the first two, which are never the same."""

    apart: bool
    number: int
    kind: str
    about: Any
    size: _Size


class Receipts:
    """Publishes receipts on a connection and a thread of its own."""

    def __init__(
        self, settings: MqttSettings, clock: Clock, precedence: Precedence | None = None
    ) -> None:
        """The client id is that of ingest with `-receipts` after it; `precedence` is heeded."""
        self._settings = settings
        self._clock = clock
        self._precedence = precedence or Precedence()
        self._waiting: queue.PriorityQueue[_Waiting] = queue.PriorityQueue()
        self._numbers = count()
        self._room = _Size(_WAITING, _WAITING_BYTES)
        self._room_lock = threading.Lock()
        self._loaded_to = {False: 0, True: 0}
        self._client = make_client(settings, f"{settings.client_id}-receipts")
        self._client.max_queued_messages_set(_UNSENT)
        self._client.reconnect_delay_set(min_delay=1, max_delay=30)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self.connected = False
        self.trouble = ""
        self.dropped = 0

    def health(self) -> dict[str, object]:
        """How it stands with the connection for receipts."""
        return {
            "connected": self.connected,
            "trouble": self.trouble,
            "dropped": self.dropped,
        }

    def journalled(self, group: Sequence[Message], newest: int, *, apart: bool = False) -> None:
        """Tell of a group that is durable, of suppliers that wait `apart` last; never blocks.

        `newest` is the count of its last message in the journal. Nobody is told any more once that
        is loaded: of that suppliers hear as well.
        """
        self._put("journalled", (group, newest), group, apart=apart)

    def loaded(
        self, batch: Batch, outcomes: Sequence[Outcome] | None, *, apart: bool = False
    ) -> None:
        """Tell of a batch that is loaded, of suppliers that wait `apart` last; never blocks."""
        if self._put("loaded", (batch, outcomes), batch.entries, apart=apart):
            self._loaded_to[apart] = batch.position.entry

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set and what waited is sent."""
        if not self._connect(stop):
            return
        self._client.loop_start()
        try:
            while not stop.is_set() or not self._waiting.empty():
                self._publish_next()
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    def _connect(self, stop: threading.Event) -> bool:
        while not stop.is_set():
            try:
                connect(self._client, self._settings)
            except (OSError, DisconnectedError) as error:
                self._say(f"broker can't be reached: {error}")
                stop.wait(2)
            else:
                return True
        return False

    def _on_connect(self, *about: Any) -> None:
        reason_code = about[3]
        self.connected = not reason_code.is_failure
        self._say(f"broker refuses us: {reason_code}" if reason_code.is_failure else "")

    def _on_disconnect(self, *about: Any) -> None:
        reason_code = about[3]
        self.connected = False
        if reason_code.is_failure and not self.trouble:
            self._say(f"connection lost: {reason_code}")

    def _on_publish(self, *about: Any) -> None:
        """MQTT 5 says when a right is missing; MQTT 3.1.1 knows no such word."""
        reason_code = about[3]
        if reason_code.is_failure:
            self.dropped += 1
            self._say(f"broker refuses a receipt: {reason_code}")
        elif self.trouble:
            self._say("")

    def _say(self, trouble: str) -> None:
        """Log what is wrong once, and that it is over."""
        if trouble and trouble != self.trouble:
            log.warning("receipts can't be sent", reason=trouble)
        elif self.trouble and not trouble:
            log.info("receipts can be sent again")
        self.trouble = trouble

    def _put(
        self, kind: str, about: Any, messages: Sequence[Message] | Sequence[Entry], *, apart: bool
    ) -> bool:
        """Whether there was room."""
        size = _Size(len(messages), sum(map(len, map(_payload_of, messages))))
        with self._room_lock:
            if min(self._room.less(_HALF if apart else _NOTHING)) <= 0:
                self.dropped += 1
                return False
            self._room = self._room.less(size)
        self._waiting.put(_Waiting(apart, next(self._numbers), kind, about, size))
        return True

    def _publish_next(self) -> None:
        try:
            apart, _, kind, about, size = self._waiting.get(timeout=0.2)
        except queue.Empty:
            return
        began = time.monotonic()
        with self._room_lock:
            self._room = self._room.more(size)
            may_wait = min(self._room.less(_EIGHTH)) > 0
        if kind == "loaded":
            self._publish(kind, describe_loaded(*about))
        elif about[1] > self._loaded_to[apart]:
            self._publish(kind, describe_journalled(about[0]))
        worked_s = time.monotonic() - began
        self._precedence.give_way(worked_s, apart=apart)
        if may_wait:
            self._precedence.let_load(worked_s)

    def _publish(self, kind: str, by_supplier: dict[str, Any]) -> None:
        at = self._clock.now().isoformat()
        for supplier, items in by_supplier.items():
            for first in range(0, len(items), _ITEMS):
                text = msgspec.json.encode({"at": at, kind: items[first : first + _ITEMS]})
                told = self._client.publish(f"receipts/v1/{supplier}", text, qos=1)
                # Without a connection the client keeps it and sends it on the next one.
                if told.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
                    self.dropped += 1
