"""Broker → group → journal → acknowledgement, in one thread on the client's own socket.

The thread drives the socket itself, so that a group ends exactly when the socket has nothing more
to say. A connection that is refused, lost or silent is tried again for ever, with tenacity's random
exponential back-off capped at 30 s (paho's own reconnection is not used).
"""

import select
import threading
import time
from collections.abc import Sequence
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

from ingest.broker.clock_watch import ClockWatch
from ingest.broker.connection import connect, make_receiving_client
from ingest.broker.session import ReceiverState, Session
from ingest.broker.silence import Silence
from ingest.broker.subscriptions import Subscriptions
from ingest.errors import DisconnectedError, JournalUnwritableError, UnaskedQosError
from ingest.groups import Group
from ingest.precedence import Precedence
from ingest.settings import MqttSettings

log = structlog.get_logger()

_CONNECT_S = 15.0
"""Seconds that the broker has for its CONNACK."""
_QUIET_S = 0.2
"""The longest that the thread sleeps on a silent socket, so that it hears `stop`."""
_PATIENCE = 1.5
"""Keep-alives without a byte from the broker, a ping's answer among them, after which it is gone:
what MQTT has the broker grant us (3.1.2.10)."""
_LASTING_S = 10.0
"""A connection that was lost sooner is followed by a pause, like one that did not come about."""
_ROOM_S = 1.0
"""Seconds between tries to write while the journal has no room."""


class Receiver:
    """Receives until told to stop; `run` is the body of its thread."""

    def __init__(
        self,
        settings: MqttSettings,
        filters: Sequence[str],
        group: Group,
        precedence: Precedence | None = None,
        silence: Silence | None = None,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        """Nothing is opened before `run`.

        Args:
            settings: of the broker.
            filters: subscribed to on every connection.
            group: takes what comes.
            precedence: is told how busy the receiver is.
            silence: judges when nothing comes; None = never.
            subscriptions: remembers filters, so that dropped ones are unsubscribed.
        """
        self.state = ReceiverState(heard_at=time.monotonic())
        self._settings = settings
        self._group = group
        self._precedence = precedence or Precedence()
        self._silence = silence or Silence(0, time.monotonic(), expecting=False)
        self._client = make_receiving_client(settings, group.take)
        self._session = Session(self._client, filters, subscriptions, self.state)
        self._clock_watch = ClockWatch()
        self._heard_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop` is set; neither broker nor disk can end it."""
        while not stop.is_set():
            tries = Retrying(
                retry=retry_if_exception_type(DisconnectedError),
                wait=wait_random_exponential(multiplier=0.5, max=30),
                sleep=sleep_using_event(stop),
                stop=stop_when_event_set(stop),
                before_sleep=self._log_failure,
            )
            try:
                tries(self._stay, stop)
            except RetryError:
                log.info("stopped while the broker was away")

    def _stay(self, stop: threading.Event) -> None:
        """Connect and receive until `stop` is set or a connection that had lasted is lost.

        Raises:
            DisconnectedError: it did not come about, or was lost so soon that the next has to wait.
        """
        connected_at = None
        try:
            self._connect_once()
            self._silence.note_connection(time.monotonic())
            connected_at = time.monotonic()
            log.info("broker connected", host=self._settings.host, port=self._settings.port)
            self._receive(stop)
        except DisconnectedError as error:
            self._note_loss(error)
            if connected_at is None:
                raise
            log.warning("broker connection lost", reason=str(error))
            if time.monotonic() - connected_at < _LASTING_S:
                raise
        finally:
            self._close(stop)

    def _receive(self, stop: threading.Event) -> None:
        while not stop.is_set():
            busy = self._turn(0.0 if len(self._group) else _QUIET_S)
            if self._group.due(idle=not busy):
                self._watch_clock()
                self._precedence.note_group(len(self._group))
                self._commit(stop)
            elif not busy:
                self._precedence.note_silence()
                self._judge_silence(time.monotonic())

    def _note_loss(self, error: DisconnectedError) -> None:
        self.state.trouble = str(error)
        if isinstance(error, UnaskedQosError):
            # The connection stands until it is closed: what came before is still acknowledged.
            self.state.protocol_errors += 1
        else:
            self.state.connected = False

    def _judge_silence(self, now: float) -> None:
        """Connect anew when nothing has come for longer than usual; tell of it if that is no help.

        Raises:
            DisconnectedError: to connect anew.
        """
        silence = self._silence
        if silence.is_news(now):
            self.state.silent = True
            log.warning(
                "connected but silent",
                silent_s=round(silence.length_s(now)),
                usual_s=round(silence.limit_s(now)),
            )
        if silence.wants_probe(now):
            raise DisconnectedError(
                f"nothing has arrived for {silence.length_s(now):.0f} s: connecting anew"
            )

    def _watch_clock(self) -> None:
        jump = self._clock_watch.look()
        if jump:
            log.warning("the machine's clock was set while messages arrive", by_s=round(jump))
            self.state.clock_jumps += 1
            self.state.clock_jumped_at = time.monotonic()

    def _note_arrival(self) -> None:
        if self._silence.note_arrival(time.monotonic()):
            log.info("messages arrive again")
        self.state.silent = False
        self.state.heard_at = time.monotonic()

    def _connect_once(self) -> None:
        """Connect and wait for the broker's word.

        Raises:
            DisconnectedError: it can't be reached, refuses us or says nothing.
        """
        self._session.refusal = ""
        try:
            connect(self._client, self._settings)
        except OSError as error:
            raise DisconnectedError(str(error)) from error
        self._heard_at = time.monotonic()
        deadline = self._heard_at + _CONNECT_S
        while not self.state.connected:
            if time.monotonic() > deadline:
                raise DisconnectedError("no CONNACK from the broker")
            self._turn(_QUIET_S)

    def _turn(self, timeout: float) -> bool:
        """Let the client read and write once; whether there was anything to read."""
        sock: Any = self._client.socket()
        if sock is None:
            raise DisconnectedError(self._session.refusal or "connection closed")
        buffered = _buffered(sock)
        writers = [sock] if self._client.want_write() else []
        readable, writable, _ = select.select([sock], writers, [], 0 if buffered else timeout)
        if writable:
            self._require(self._client.loop_write())
        busy = bool(readable or buffered)
        if busy:
            self._heard_at = time.monotonic()
            self._read(sock)
        elif time.monotonic() - self._heard_at > _PATIENCE * self._settings.keepalive_s:
            raise DisconnectedError("the broker is silent, not even answering pings")
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
            raise DisconnectedError(self._session.refusal or mqtt.error_string(code))

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
        if self._group.brought_news:
            self._note_arrival()
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

    def _log_failure(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.state.trouble = str(error)
        wait = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "broker is tried again",
            host=self._settings.host,
            port=self._settings.port,
            error=str(error),
            next_try_s=round(wait, 1),
        )


def _buffered(sock: Any) -> int:
    """Bytes that TLS has decrypted and select can't see."""
    return sock.pending() if hasattr(sock, "pending") else 0
