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
from typing import Any

import msgspec
import structlog

from ingest.accounting import ACCOUNTS
from ingest.batch import Batch, Judgement, accepted_parts
from ingest.connection import connect, make_client
from ingest.errors import DisconnectedError
from ingest.identity import receipt_id
from ingest.journal import Message
from ingest.precedence import Precedence
from ingest.settings import MqttSettings
from ingest.topics import NOBODY
from water.clock import Clock
from water.loading import Outcome
from water.refusals import Refusal, SetAside

log = structlog.get_logger()

_WAITING = 200_000
"""Messages that may wait until a supplier is told of them; more are dropped."""
_ITEMS = 500
"""Items in one receipt message at most."""
_UNSENT = 1_000
"""Messages that the client may hold for a slow or absent broker."""


def describe_loaded(
    batch: Batch, outcomes: Sequence[Outcome] | None
) -> dict[str, list[dict[str, Any]]]:
    """What became of each message of a batch, a supplier."""
    loaded: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry, judgement in zip(batch.entries, batch.judgements, strict=True):
        supplier, first, end, refused, reason = judgement
        if supplier == NOBODY:
            continue
        item: dict[str, Any] = {"id": receipt_id(entry.payload, entry.flags)}
        if reason is not None:
            kind = "set_aside" if isinstance(reason, SetAside) else "undecodable"
            item[kind] = reason.value
        elif outcomes is None:
            item |= {"stored": end - first, "duplicate": 0, "conflict": 0, "refused": refused}
        else:
            item |= _describe_outcomes(judgement, outcomes[first:end])
        loaded[supplier].append(item)
    return loaded


def _describe_outcomes(judgement: Judgement, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What the store did with the readings of one message."""
    counts = Counter(outcomes)
    refused = list(judgement.refused)
    if counts[Outcome.REFUSED]:
        said = zip(accepted_parts(judgement), outcomes, strict=True)
        reason = Refusal.STORE_REFUSED.value
        refused += [(part, reason) for part, outcome in said if outcome is Outcome.REFUSED]
    told = (Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT)
    return {**{ACCOUNTS[outcome]: counts[outcome] for outcome in told}, "refused": sorted(refused)}


def describe_journalled(group: Sequence[Message]) -> dict[str, list[str]]:
    """The ids of a durable group, a supplier."""
    journalled: dict[str, list[str]] = defaultdict(list)
    for message in group:
        if message.supplier != NOBODY:
            journalled[message.supplier].append(receipt_id(message.payload, message.flags))
    return journalled


class Receipts:
    """Publishes receipts on a connection and a thread of its own."""

    def __init__(
        self, settings: MqttSettings, clock: Clock, precedence: Precedence | None = None
    ) -> None:
        """The client id is that of ingest with `-receipts` after it; `precedence` is heeded."""
        self._settings = settings
        self._clock = clock
        self._precedence = precedence or Precedence()
        self._waiting: queue.Queue[tuple[str, Any, int]] = queue.Queue()
        self._room = _WAITING
        self._room_lock = threading.Lock()
        self._client = make_client(settings, f"{settings.client_id}-receipts")
        self._client.max_queued_messages_set(_UNSENT)
        self._client.reconnect_delay_set(min_delay=1, max_delay=30)
        self.dropped = 0

    def journalled(self, group: Sequence[Message]) -> None:
        """Tell of a group that is durable; never blocks."""
        self._put("journalled", group, len(group))

    def loaded(self, batch: Batch, outcomes: Sequence[Outcome] | None) -> None:
        """Tell of a batch that is loaded; never blocks."""
        self._put("loaded", (batch, outcomes), len(batch.entries))

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
            except (OSError, DisconnectedError):
                stop.wait(2)
            else:
                return True
        return False

    def _put(self, kind: str, about: Any, messages: int) -> None:
        with self._room_lock:
            if self._room <= 0:
                self.dropped += 1
                return
            self._room -= messages
        self._waiting.put((kind, about, messages))

    def _publish_next(self) -> None:
        try:
            kind, about, messages = self._waiting.get(timeout=0.2)
        except queue.Empty:
            return
        began = time.monotonic()
        with self._room_lock:
            self._room += messages
        if kind == "loaded":
            self._publish(kind, describe_loaded(*about))
        else:
            self._publish(kind, describe_journalled(about))
        self._precedence.give_way(time.monotonic() - began)

    def _publish(self, kind: str, by_supplier: dict[str, Any]) -> None:
        at = self._clock.now().isoformat()
        for supplier, items in by_supplier.items():
            for first in range(0, len(items), _ITEMS):
                text = msgspec.json.encode({"at": at, kind: items[first : first + _ITEMS]})
                if self._client.publish(f"receipts/v1/{supplier}", text, qos=1).rc:
                    self.dropped += 1
