"""Bytes of an MQTT connection, cut anywhere → packets; no I/O.

PUBLISH is taken apart here, because there are many of them; every other kind comes out whole.
MQTT 3.1.1 and 5 (OASIS), sections 2.1.4 (length of a packet) and 3.3 (PUBLISH).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ingest.journal import REPEATED, RETAINED

Publication = tuple[bytes, bytes, int, int | None]
"""A message: topic, payload, flags of the journal, packet id (None for QoS 0)."""

Take = Callable[[Sequence[Publication]], None]
"""Told of the messages that came, in the order received."""

_PUBLISH = 0x30
_AT_LEAST_ONCE, _EXACTLY_ONCE = 0x02, 0x04
_FLAGS = tuple((RETAINED if bits & 1 else 0) | (REPEATED if bits & 8 else 0) for bits in range(16))
_LONGEST_LENGTH = 4
"""Bytes in which the length of a packet is written at most."""


class MalformedPacketError(ValueError):
    """The peer sent what is no MQTT packet: the connection is of no use any more."""


class Packet(NamedTuple):
    """A packet that is no PUBLISH: its first byte, and what follows its length."""

    head: int
    body: bytes


class PacketBuffer:
    """Holds the beginning of a packet until the rest has come.

    Args:
        properties: whether PUBLISH carries properties (MQTT 5); they are skipped.
    """

    def __init__(self, *, properties: bool) -> None:
        self._properties = properties
        self._pieces: list[bytes] = []
        self._held = 0
        self._wanted = 0

    def feed(self, chunk: bytes) -> tuple[list[Publication], list[Packet]]:
        """What is whole now: the messages and the other packets, each in the order received.

        Raises:
            MalformedPacketError: the bytes are no MQTT.
        """
        self._pieces.append(chunk)
        self._held += len(chunk)
        if self._held < self._wanted:
            return [], []
        buffer = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        publications: list[Publication] = []
        packets: list[Packet] = []
        try:
            end = self._split(buffer, publications, packets)
        except IndexError:
            raise MalformedPacketError("a packet ends within its own fields") from None
        self._pieces = [buffer[end:]] if end < len(buffer) else []
        self._held = len(buffer) - end
        return publications, packets

    def _split(self, buffer: bytes, publications: list[Publication], packets: list[Packet]) -> int:
        """Take whole packets off the front; where the first one begins that is not whole."""
        at, size, properties = 0, len(buffer), self._properties
        take = publications.append
        while at + 1 < size:
            head, length, start = buffer[at], buffer[at + 1], at + 2
            if length > 127:
                if start < size and buffer[start] < 128:  # two bytes, as most have
                    length, start = length & 127 | buffer[start] << 7, start + 1
                else:
                    length, start = _read_length(buffer, at + 1)
                    if not start:
                        break
            end = start + length
            if end > size:
                self._wanted = end - at
                return at
            if head & 0xF4 != _PUBLISH:
                packets.append(Packet(head, buffer[start:end]))
                at = end
                continue
            topic = start + 2
            rest = topic + (buffer[start] << 8 | buffer[start + 1])
            packet_id = None
            name = buffer[topic:rest]
            if head & _AT_LEAST_ONCE:
                packet_id = buffer[rest] << 8 | buffer[rest + 1]
                rest += 2
            if properties:
                length = buffer[rest]
                rest = rest + 1 + length if length < 128 else sum(_read_length(buffer, rest))
            if not topic <= rest <= end:
                raise MalformedPacketError("a PUBLISH ends within its own fields")
            take((name, buffer[rest:end], _FLAGS[head & 15], packet_id))
            at = end
        self._wanted = 0
        return at


def _read_length(buffer: bytes, at: int) -> tuple[int, int]:
    """A length of several bytes and where it ends; (0, 0) when it isn't all there.

    Raises:
        MalformedPacketError: it is longer than a length may be.
    """
    length = 0
    for place, byte in enumerate(buffer[at : at + _LONGEST_LENGTH]):
        length |= (byte & 127) << 7 * place
        if byte < 128:
            return length, at + place + 1
    if len(buffer) >= at + _LONGEST_LENGTH:
        raise MalformedPacketError("the length of a packet has more than four bytes")
    return 0, 0
