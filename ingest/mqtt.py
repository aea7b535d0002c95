"""Broker → group → journal → acknowledgement, in one thread on the client's own socket.

The thread drives the socket itself, so that a group ends exactly when the socket has nothing more
to say. A connection that is refused or lost is tried again for ever, with tenacity's random
exponential back-off capped at 30 s (paho's own reconnection is not used).
"""

import select
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import MQTTErrorCode
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from ingest.connection import connect, make_receiving_client
from ingest.errors import DisconnectedError, JournalUnwritableError
from ingest.groups import Group
from ingest.precedence import Precedence
from ingest.settings import MqttSettings

log = structlog.get_logger()

_CONNECT_S = 15.0
"""Seconds that the broker has for its CONNACK."""
_QUIET_S = 0.2
"""The longest that the thread sleeps on a silent socket, so that it hears `stop`."""
_ROOM_S = 1.0
"""Seconds between tries to write while the journal has no room."""


@dataclass(slots=True)
class ReceiverState:
    """What the receiver says of itself; written by its thread, read by others.

    `subscribed` = the broker has accepted every subscription of this connection; `sessions_lost`
    = how often it had forgotten our session, and what it kept in it, when we came back.
    """

    connected: bool = False
    subscribed: bool = False
    journal_unwritable: bool = False
    sessions_lost: int = 0
    trouble: str = ""


class Receiver:
    """Receives until told to stop; `run` is the body of its thread."""

    def __init__(
        self,
        settings: MqttSettings,
        filters: Sequence[str],
        group: Group,
        precedence: Precedence | None = None,
    ) -> None:
        """`filters` are subscribed to on every connection; `precedence` is told how busy it is."""
        self.state = ReceiverState()
        self._settings = settings
        self._filters = list(filters)
        self._group = group
        self._precedence = precedence or Precedence()
        self._refusal = ""
        self._client = make_receiving_client(settings, group.take)
        self._known = False
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop` is set; neither broker nor disk can end it."""
        while not stop.is_set():
            try:
                self._connect(stop)
                while not stop.is_set():
                    busy = self._turn(0.0 if len(self._group) else _QUIET_S)
                    if self._group.due(idle=not busy):
                        self._precedence.note_group(len(self._group))
                        self._commit(stop)
                    elif not busy:
                        self._precedence.note_silence()
            except DisconnectedError as error:
                self.state.connected = False
                self.state.trouble = str(error)
                log.warning("broker connection lost", reason=str(error))
            except RetryError:
                log.info("stopped before the broker was reached")
            finally:
                self._close(stop)

    def _connect(self, stop: threading.Event) -> None:
        tries = Retrying(
            retry=retry_if_exception_type(DisconnectedError),
            wait=wait_random_exponential(multiplier=0.5, max=30),
            sleep=sleep_using_event(stop),
            stop=stop_when_event_set(stop),
            before_sleep=self._log_failure,
        )
        tries(self._connect_once)
        log.info("broker connected", host=self._settings.host, port=self._settings.port)

    def _connect_once(self) -> None:
        """Connect and wait for the broker's word.

        Raises:
            DisconnectedError: it can't be reached, refuses us or says nothing.
        """
        self._refusal = ""
        try:
            connect(self._client, self._settings)
        except OSError as error:
            raise DisconnectedError(str(error)) from error
        deadline = time.monotonic() + _CONNECT_S
        while not self.state.connected:
            if time.monotonic() > deadline:
                raise DisconnectedError("no CONNACK from the broker")
            self._turn(_QUIET_S)

    def _turn(self, timeout: float) -> bool:
        """Let the client read and write once; whether there was anything to read."""
        sock: Any = self._client.socket()
        if sock is None:
            raise DisconnectedError(self._refusal or "connection closed")
        buffered = _buffered(sock)
        writers = [sock] if self._client.want_write() else []
        readable, writable, _ = select.select([sock], writers, [], 0 if buffered else timeout)
        if writable:
            self._require(self._client.loop_write())
        busy = bool(readable or buffered)
        if busy:
            self._read(sock)
        self._require(self._client.loop_misc())
        return busy

    def _read(self, sock: Any) -> None:
        """Read packets as long as they bring messages, or TLS still holds bytes back."""
        while True:
            before = len(self._group)
            self._require(self._client.loop_read())
            if self._group.full or (len(self._group) == before and not _buffered(sock)):
                return

    def _require(self, code: MQTTErrorCode) -> None:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise DisconnectedError(self._refusal or mqtt.error_string(code))

    def _commit(self, stop: threading.Event) -> None:
        """Make the group durable, then acknowledge it in the order received.

        Without room nothing is acknowledged and the connection is let go, so that the broker
        keeps what comes meanwhile; the group itself is kept here and written once there is room.
        It is then not acknowledged: its packet ids belonged to the old connection.
        """
        while True:
            try:
                packet_ids = self._group.commit()
                break
            except JournalUnwritableError as error:
                self._give_way(error)
                if stop.wait(_ROOM_S):
                    return
        if self.state.journal_unwritable:
            self.state.journal_unwritable = False
            log.info("journal can be written again")
        if self.state.connected:
            self._client.acknowledge(packet_ids)

    def _give_way(self, error: JournalUnwritableError) -> None:
        if not self.state.journal_unwritable:
            log.error("journal can't be written, nothing is acknowledged", error=str(error))
        self.state.journal_unwritable = True
        self.state.trouble = str(error)
        if self.state.connected:
            self.state.connected = False
            self._client.disconnect()

    def _close(self, stop: threading.Event) -> None:
        """Leave the broker; what is in hand is journalled, for its session may be lost."""
        self._precedence.note_silence()
        if len(self._group):
            self._commit(stop)
        if self.state.connected:
            self._flush()
        self.state.connected = False
        self._client.disconnect()

    def _flush(self) -> None:
        """Send the last acknowledgements, for at most a second."""
        deadline = time.monotonic() + 1
        while self._client.want_write() and time.monotonic() < deadline:
            if self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break

    def _on_connect(self, client: mqtt.Client, *about: Any) -> None:
        reason_code = about[2]
        if reason_code.is_failure:
            self._refusal = f"broker refuses us: {reason_code}"
            return
        self.state.connected, self.state.subscribed = True, False
        self.state.trouble = ""
        if self._known and not about[1].session_present:
            log.error("the broker forgot our session: what it kept for us meanwhile is lost")
            self.state.sessions_lost += 1
        self._known = True
        client.subscribe([(topic_filter, 1) for topic_filter in self._filters])

    def _on_subscribe(self, *about: Any) -> None:
        reason_codes = about[3]
        refused = [
            topic_filter
            for topic_filter, code in zip(self._filters, reason_codes, strict=False)
            if code.is_failure or code.value < 1  # at QoS 0 it would never send a message again
        ]
        self.state.subscribed = not refused
        if refused:
            self.state.trouble = f"broker refuses the subscription: {', '.join(refused)}"
            log.error("subscription refused", filters=refused)

    def _on_disconnect(self, *about: Any) -> None:
        from_broker, reason_code = about[2].is_disconnect_packet_from_server, about[3]
        if from_broker:
            self._refusal = f"broker ends the connection: {reason_code}"

    def _log_failure(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.state.trouble = str(error)
        wait = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "broker not reached",
            host=self._settings.host,
            port=self._settings.port,
            error=str(error),
            next_try_s=round(wait, 1),
        )


def _buffered(sock: Any) -> int:
    """Bytes that TLS has decrypted and select can't see."""
    return sock.pending() if hasattr(sock, "pending") else 0
