"""No acknowledgement before its group's fdatasync, over files that drop what was not synced."""

import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from ingest.broker.receiver import Receiver
from ingest.groups import Group
from ingest.journal import open_journal
from ingest.journal import writer as writer_module
from ingest.settings import JournalSettings, MqttSettings
from water.clock import SystemClock

MESSAGES = 60


class Disk:
    """Stands between the journal and its files: knows what would be there after a power cut."""

    def __init__(self, monkeypatch):
        self.durable: dict[str, bytes] = {}
        self.syncs = 0
        self._real = os.fdatasync
        monkeypatch.setattr(writer_module.os, "fdatasync", self.fdatasync)

    def fdatasync(self, file):
        time.sleep(0.03)  # an acknowledgement that does not wait is seen meanwhile
        self._real(file)
        path = Path(f"/proc/self/fd/{file}").readlink()
        self.durable[path.name] = path.read_bytes()
        self.syncs += 1

    def holds(self, payload):
        return any(payload in content for content in self.durable.values())


class Peer:
    """The other end of the wire: sends PUBLISH packets, notes what is durable at each PUBACK."""

    def __init__(self, disk):
        self._disk = disk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.acknowledged: list[int] = []
        self.too_early: list[int] = []
        self.done = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection, self._listener:
            packets = self._packets(connection)
            assert next(packets)[0] >> 4 == 1
            connection.sendall(b"\x20\x02\x00\x00")
            kind, body = next(packets)
            assert kind >> 4 == 8
            connection.sendall(b"\x90\x03" + body[:2] + b"\x01")
            for first in range(1, MESSAGES + 1, 20):
                connection.sendall(b"".join(publish(n) for n in range(first, first + 20)))
                while len(self.acknowledged) < first + 19:
                    kind, body = next(packets)
                    if kind == 0x40:
                        self._note(struct.unpack(">H", body)[0])
            self.done.set()
            next(packets, None)

    def _note(self, packet_id):
        self.acknowledged.append(packet_id)
        if not self._disk.holds(payload(packet_id)):
            self.too_early.append(packet_id)

    def _packets(self, connection):
        buffer = b""
        while chunk := connection.recv(4096):
            buffer += chunk
            while len(buffer) >= 2 and len(buffer) >= 2 + buffer[1]:
                yield buffer[0], buffer[2 : 2 + buffer[1]]
                buffer = buffer[2 + buffer[1] :]


def payload(packet_id):
    return b'{"at":1767197700,"register_m3":%d}' % (100_000 + packet_id)


def publish(packet_id):
    topic = b"water/v1/north/jieshui/m1/reading"
    body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", packet_id)
    body += payload(packet_id)
    assert len(body) < 128
    return bytes([0x32, len(body)]) + body


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def test_what_is_acknowledged_would_survive_a_power_cut(disk, tmp_path):
    peer = Peer(disk)
    journal = open_journal(tmp_path, 1 << 20)
    groups, syncs = [], []
    group = Group(
        journal,
        JournalSettings(tmp_path),
        1 << 18,
        lambda topic: topic.split("/")[2],
        SystemClock(),
        journalled=groups.append,
        observe_sync=syncs.append,
    )
    receiver = Receiver(MqttSettings("127.0.0.1", peer.port), ["water/v1/#"], group)
    stop = threading.Event()
    thread = threading.Thread(target=receiver.run, args=(stop,))
    thread.start()
    try:
        assert peer.done.wait(15)
    finally:
        stop.set()
        thread.join(10)
        journal.close()
    assert peer.acknowledged == list(range(1, MESSAGES + 1))
    assert peer.too_early == []
    assert disk.syncs == len(groups) == len(syncs) < MESSAGES
