"""When ingest says that it is ready, against a broker that says what a test wants."""

import os
import socket
import threading
import time
from contextlib import closing
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry

from ingest import service as service_module
from ingest.journal import Message, open_journal
from ingest.journal.segments import kept_path, list_segments, segment_path
from ingest.service import IngestService
from ingest.settings import IngestSettings, JournalSettings, MqttSettings, Source
from storage.readings import open_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.loading import Position, Refused
from water.policy import Policy

ACCEPTED, REFUSED = b"\x01", b"\x80"


class Registry:
    """One supplier without meters, and no jobs."""

    def version(self):
        return 1

    def suppliers(self):
        return frozenset({"north"})

    def devices(self):
        return {}

    def release(self, _):
        return 0

    def take(self, _):
        return None


@pytest.fixture
def broker():
    """Call with the codes of a SUBACK: a broker (MQTT 3.1.1) that answers so; gives its port."""
    listeners = []

    def start(codes):
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=serve, args=(listeners[-1], codes), daemon=True).start()
        return listeners[-1].getsockname()[1]

    yield start
    for listener in listeners:
        listener.close()


def serve(listener, codes):
    try:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"\x20\x02\x00\x00")
            packet = connection.recv(4096)
            connection.sendall(bytes([0x90, 2 + len(codes)]) + packet[2:4] + codes)
            while connection.recv(4096):
                pass
    except OSError:
        return  # the test has ended


@pytest.fixture
def make_service(tmp_path):
    store = open_readings(tmp_path / "store", CityTime(ZoneInfo("Asia/Shanghai")), SystemClock())
    running = []

    def make(port=1883):
        settings = IngestSettings(
            MqttSettings("127.0.0.1", port),
            JournalSettings(tmp_path / "journal"),
            (Source("platform/#", "wmbusmeters", "north"),),
            receipts=False,
        )
        service = IngestService(
            settings, store, Registry(), Registry(), SystemClock(), Policy(), CollectorRegistry()
        )
        running.append((service, threading.Event()))
        return service

    def run(port):
        service = make(port)
        stop = running[-1][1]
        running[-1] = threading.Thread(target=service.run, args=(stop,)), stop
        running[-1][0].start()
        return service

    make.store, make.run = store, run
    yield make
    for thread, stop in running:
        stop.set()
        if isinstance(thread, threading.Thread):
            thread.join(10)
    store.close()


def wait_until(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ingest_is_ready_once_every_subscription_is_accepted(broker, make_service):
    service = make_service.run(broker(ACCEPTED * 2))
    assert not service.health()["ready"]
    wait_until(lambda: service.health()["ready"])
    assert service.health()["subscribed"]


@pytest.mark.parametrize("codes", [REFUSED + ACCEPTED, ACCEPTED + REFUSED, REFUSED * 2])
def test_a_refused_subscription_is_never_ready(broker, make_service, codes):
    service = make_service.run(broker(codes))
    wait_until(lambda: "refuses the subscription" in str(service.health()["trouble"]))
    health = service.health()
    assert (health["connected"], health["subscribed"], health["ready"]) == (True, False, False)


def test_segments_that_quarantine_points_to_outlive_their_days(make_service, tmp_path):
    service = make_service()
    journal = open_journal(tmp_path / "journal", 1_000)
    for number in range(40):
        journal.append([Message("north", "t", b"x" * 100, number)])
    segments = list_segments(tmp_path / "journal")
    for segment in segments:
        os.utime(segment_path(tmp_path / "journal", segment), (0, 0))
    row = Refused("north", "future", "", "jieshui", "m1", 1, 1, segments[2], 100, 0)
    with make_service.store.load() as load:
        load.add_refused([row])
    loaded = journal.committed()
    service._drop_loaded(journal, loaded)
    assert list_segments(tmp_path / "journal") == segments[2:]
    with make_service.store.load() as load:
        load.release_refused([1])
    service._drop_loaded(journal, Position(segments[4], 0, 0))
    assert list_segments(tmp_path / "journal") == segments[4:]
    journal.close()


def test_a_service_compresses_closed_segments_once_they_rest(
    broker, make_service, tmp_path, monkeypatch
):
    for name in ("_COMPRESS_S", "_COMPRESS_IDLE_S", "_REST_S"):
        monkeypatch.setattr(service_module, name, 0.0)
    folder = tmp_path / "journal"
    with closing(open_journal(folder, 1_000)) as journal:
        for number in range(40):
            journal.append([Message("north", "t", b"x" * 100, number)])
    service, segments = make_service.run(broker(ACCEPTED * 2)), list_segments(folder)
    wait_until(lambda: kept_path(folder, segments[-2]).suffix == ".zst")
    assert [kept_path(folder, n).suffix for n in segments] == [
        *[".zst"] * (len(segments) - 1), ".journal",
    ]  # fmt: skip
    assert service.progress() == (40, 40)
    gauges = service._gauges()
    assert gauges["journal_segments"] == gauges["journal_segments_compressed"] + 1 == len(segments)
