"""A publisher that does not limit: QoS 1, packets made beforehand, a window of 20,000.

    python bench/publish.py PORT MESSAGES READINGS_A_MESSAGE

Says "ready" once its packets are made, publishes when it reads a line, and "done" once every
message is acknowledged. Every meter reports once a quarter of an hour, in order of time up to now.
"""

import socket
import struct
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

METERS, INTERVAL_S = 2_000, 900
_WINDOW, _PIECE = 20_000, 500
_PUBACK_BYTES = 4
_CONNECT = b"\x10\x13\x00\x04MQTT\x04\x02\x00\x00\x00\x07publish"
"""MQTT 3.1.1, clean session, no keep-alive, client id "publish"."""


def make_items(readings: int) -> Iterator[tuple[int, str]]:
    """The readings as JSON, each with the number of its meter."""
    newest = int(time.time()) // INTERVAL_S * INTERVAL_S
    first = newest - INTERVAL_S * ((readings - 1) // METERS)
    for number in range(readings):
        meter, slot = number % METERS, number // METERS
        at = datetime.fromtimestamp(first + slot * INTERVAL_S, UTC).isoformat()
        item = f'{{"meter":"m{meter}","at":"{at}","register_m3":{1e4 + slot / 8},'
        yield meter, f'{item}"flow_m3_h":{number % 97 / 8},"pressure_mpa":0.3125}}'


def make_packets(messages: int, each: int) -> Iterator[bytes]:
    """PUBLISH packets of QoS 1 (MQTT 3.1.1, 3.3), a topic a meter, or one for all that batch."""
    items = make_items(messages * each)
    for number in range(messages):
        part = [next(items) for _ in range(each)]
        name = f"m{part[0][0]}" if each == 1 else "-"
        text = part[0][1] if each == 1 else f"[{','.join(item for _, item in part)}]"
        topic = f"water/v1/north/jieshui/{name}/reading".encode()
        head = struct.pack(">H", len(topic)) + topic + struct.pack(">H", number % 65_535 + 1)
        body = head + text.encode()
        yield b"\x32" + _write_length(len(body)) + body


def _write_length(length: int) -> bytes:
    encoded = bytearray()
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def publish(port: int, pieces: list[bytes], messages: int) -> None:
    """Send everything and wait for every acknowledgement."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(_CONNECT)
        connection.recv(_PUBACK_BYTES)
        sent = received = 0
        for piece in pieces:
            while sent - received // _PUBACK_BYTES > _WINDOW - _PIECE:
                received += len(connection.recv(1 << 18))
            connection.sendall(piece)
            sent += _PIECE
        while received < messages * _PUBACK_BYTES:
            received += len(connection.recv(1 << 18))


def main() -> None:
    port, messages, each = map(int, sys.argv[1:])
    packets = list(make_packets(messages, each))
    pieces = [b"".join(packets[first : first + _PIECE]) for first in range(0, len(packets), _PIECE)]
    print("ready", flush=True)
    sys.stdin.readline()
    publish(port, pieces, messages)
    print("done", flush=True)


if __name__ == "__main__":
    main()
