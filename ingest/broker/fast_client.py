# pyright: standard
# paho's private members, which this overrides, are partly untyped.
"""paho's client with a reading side of its own: many PUBLISH packets a system call.

paho reads a packet with four system calls, makes an object of it and acknowledges it with a fifth.
Here one `recv` brings up to 256 KiB, whose PUBLISH packets `packets` beside it takes apart; the
acknowledgements of a group go out in one write. Everything else (CONNECT, SUBSCRIBE, pings, TLS,
what is written and when) is paho's. docs/decisions/0009 says what of paho's inside this rests on;
tests/servers/test_ingest_clients.py holds both clients to the same cases.
"""

import struct
import time
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MessageType, MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

from ingest.broker.packets import MalformedPacketError, Packet, PacketBuffer, Take
from ingest.errors import UnaskedQosError

_RECEIVE_BYTES = 256 * 1024
_RECORD_BYTES = 16 * 1024
"""What a TLS record holds at most (RFC 8446, section 5.1)."""
_PUBACK = 0x4002
"""The first two bytes of a PUBACK that says "success": its kind, and that two bytes follow."""


class FastClient(mqtt.Client):
    """Gives messages to `take` instead of `on_message`; acknowledges only through `acknowledge`."""

    def __init__(self, take: Take, **settings: Any) -> None:
        """`settings` are those of paho's client."""
        super().__init__(manual_ack=True, **settings)
        self._take = take
        self._buffer = PacketBuffer(properties=False)

    def reconnect(self) -> MQTTErrorCode:
        """Connect; what is left of an earlier connection's bytes is worth nothing."""
        self._buffer = PacketBuffer(properties=self.protocol == mqtt.MQTTv5)
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 (paho's, and without meaning here)
        """Read what the socket has, once."""
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            chunk = self._receive_records() if self._ssl else self._sock_recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            chunk = b""
        if not chunk:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        try:
            publications, packets = self._buffer.feed(chunk)
        except MalformedPacketError:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)
        if publications:
            self._take(publications)
        for packet in packets:
            code = self._handle(packet)
            if code > 0:
                return self._loop_rc_handle(code)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _receive_records(self) -> bytes:
        """What TLS has, one record after the other: Mosquitto writes one for each message.

        An end or an error that comes after some of them is met again by the next call.

        Raises:
            OSError: the first record brings it; BlockingIOError: there is none yet.
        """
        records = [self._sock_recv(_RECORD_BYTES)]
        held = len(records[0])
        while records[-1] and held < _RECEIVE_BYTES:
            try:
                records.append(self._sock_recv(_RECORD_BYTES))
            except OSError:
                break
            held += len(records[-1])
        return b"".join(records)

    def acknowledge(self, packet_ids: Sequence[int]) -> MQTTErrorCode:
        """Send a PUBACK for each, in this order, in one write."""
        words = [_PUBACK] * (2 * len(packet_ids))
        words[1::2] = packet_ids
        packet = struct.pack(f">{len(words)}H", *words)
        return self._packet_queue(MessageType.PUBACK, packet, 0, 0)

    def _handle(self, packet: Packet) -> MQTTErrorCode:
        """Let paho handle a packet as if it had read it.

        Raises:
            UnaskedQosError: it is a PUBLISH, and not one that `ingest.broker.packets` takes.
        """
        if packet.head & 0xF0 == MessageType.PUBLISH:
            raise UnaskedQosError
        self._in_packet["command"] = packet.head
        self._in_packet["remaining_length"] = len(packet.body)
        self._in_packet["packet"] = bytearray(packet.body)
        try:
            return self._packet_handle()
        except MalformedPacket:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
