"""What is agreed with the broker: that it knows us, and what we are subscribed to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import structlog

from ingest.broker.subscriptions import Subscriptions

log = structlog.get_logger()


@dataclass(slots=True)
class ReceiverState:
    """What the receiver says of itself; written by its thread, read by others.

    Attributes:
        connected: the broker has accepted us.
        subscribed: it has accepted every subscription of this connection.
        journal_unwritable: nothing is acknowledged, for it can't be made durable.
        sessions_lost: how often it had forgotten our session, and what it kept in it.
        protocol_errors: how often it sent what it must not send.
        silent: it is connected, and for longer than usual nothing has arrived.
        clock_jumps: how often the machine's clock was set while messages arrived.
        clock_jumped_at: the monotonic second at which that was seen last; None = never.
        heard_at: the monotonic second of the last arrival, or of the start.
        trouble: what is wrong, in words; "" = nothing.
    """

    connected: bool = False
    subscribed: bool = False
    journal_unwritable: bool = False
    sessions_lost: int = 0
    protocol_errors: int = 0
    silent: bool = False
    clock_jumps: int = 0
    clock_jumped_at: float | None = None
    heard_at: float = 0.0
    trouble: str = ""


class Session:
    """Subscribes on every connection, and unsubscribes what is configured no longer.

    Args:
        client: whose callbacks these are.
        filters: what is configured; nothing where the place is left for good.
        subscriptions: what the session may be subscribed to from earlier configurations.
        state: is told.
    """

    def __init__(
        self,
        client: mqtt.Client,
        filters: Sequence[str],
        subscriptions: Subscriptions | None,
        state: ReceiverState,
    ) -> None:
        self.refusal = ""
        self._client = client
        self._filters = list(filters)
        self._subscriptions = subscriptions
        self._state = state
        self._known = False
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_disconnect = self._on_disconnect

    def _on_connect(self, *about: Any) -> None:
        flags, reason_code = about[2:4]
        if reason_code.is_failure:
            self.refusal = f"broker refuses us: {reason_code}"
            return
        if self._subscriptions:
            before = self._subscriptions.load() if flags.session_present else set[str]()
            self._subscriptions.keep(before.union(self._filters))
        state = self._state
        state.subscribed, state.connected, state.trouble = False, True, ""
        if self._known and not flags.session_present:
            log.error("the broker forgot our session: what it kept for us meanwhile is lost")
            state.sessions_lost += 1
        self._known = True
        if self._filters:
            self._client.subscribe([(topic_filter, 1) for topic_filter in self._filters])
        else:
            self._unsubscribe_dropped()

    def _on_subscribe(self, *about: Any) -> None:
        reason_codes = about[3]
        refused = [
            topic_filter
            for topic_filter, code in zip(self._filters, reason_codes, strict=False)
            if code.is_failure or code.value < 1  # at QoS 0 it would never send a message again
        ]
        self._state.subscribed = not refused
        if refused:
            self._state.trouble = f"broker refuses the subscription: {', '.join(refused)}"
            log.error("subscription refused", filters=refused)
        self._unsubscribe_dropped()

    def _unsubscribe_dropped(self) -> None:
        dropped = self._list_dropped()
        if dropped:
            log.info("unsubscribing what is configured no longer", filters=dropped)
            self._client.unsubscribe(dropped)
        elif not self._filters:
            self._state.subscribed = True

    def _on_unsubscribe(self, *about: Any) -> None:
        refused = [str(code) for code in about[3] if code.is_failure]
        if refused:
            log.error("broker refuses to unsubscribe", filters=self._list_dropped(), why=refused)
        elif self._subscriptions:
            self._subscriptions.keep(self._filters)
            self._state.subscribed |= not self._filters

    def _list_dropped(self) -> list[str]:
        known = self._subscriptions.load() if self._subscriptions else set[str]()
        return sorted(known.difference(self._filters))

    def _on_disconnect(self, *about: Any) -> None:
        from_broker, reason_code = about[2].is_disconnect_packet_from_server, about[3]
        if from_broker:
            self.refusal = f"broker ends the connection: {reason_code}"
