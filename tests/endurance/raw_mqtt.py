"""Just enough MQTT 3.1.1 to publish faster, and more rudely, than a library lets one."""

import select
import socket
import struct
from types import TracebackType
from typing import Self

WINDOW = 2_000
"""Messages that may wait for their acknowledgement."""


class Publisher:
    """One connection that publishes with QoS 1; packet ids go round.

    Args:
        port: of the broker, on this machine.
        login: user name, and client id.
        password: of the login.
        will: topic and payload that the broker publishes when the connection breaks.
    """

    def __init__(
        self, port: int, login: str, password: str, will: tuple[bytes, bytes] | None = None
    ) -> None:
        self.published = 0
        self.acknowledged = 0
        self._buffer = bytearray()
        self._received = b""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        client = f"{login}-{id(self)}" if will else login
        fields = _text(client.encode())
        flags = 0xC2
        if will:
            fields += _text(will[0]) + _text(will[1])
            flags |= 0x0C  # a will, with QoS 1
        fields += _text(login.encode()) + _text(password.encode())
        body = _text(b"MQTT") + bytes((4, flags, 0, 0)) + fields
        self._socket.sendall(b"\x10" + _length(len(body)) + body)
        answer = self._socket.recv(4)
        if answer[:1] != b"\x20" or answer[3:] != b"\x00":
            raise ConnectionError(f"the broker refuses {login}: {answer.hex()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def publish(self, topic: bytes, payload: bytes, *, retain: bool = False) -> None:
        """Put a message into the buffer; it goes out once 64 KiB are together."""
        self.published += 1
        packet_id = (self.published - 1) % 65_535 + 1
        body = _text(topic) + struct.pack(">H", packet_id)
        size = len(body) + len(payload)
        self._buffer += bytes((0x33 if retain else 0x32,)) + _length(size) + body + payload
        if len(self._buffer) > 65_536:
            self.flush()

    def flush(self, window: int = WINDOW) -> None:
        """Send what is in the buffer; wait until at most `window` messages are unacknowledged."""
        self._socket.sendall(self._buffer)
        self._buffer.clear()
        while (
            self.published - self.acknowledged > window
            or select.select([self._socket], [], [], 0)[0]
        ):
            self._read()

    def _read(self) -> None:
        found = self._socket.recv(65_536)
        if not found:
            raise ConnectionError("the broker has put us out")
        packets = self._received + found
        whole = len(packets) // 4 * 4  # a client that subscribes to nothing gets PUBACKs only
        self.acknowledged += whole // 4
        self._received = packets[whole:]


def _text(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def _length(size: int) -> bytes:
    encoded = bytearray()
    while True:
        size, digit = divmod(size, 128)
        encoded.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(encoded)
