"""The door for pushed messages: a real journal, the real store, threads that push."""

import errno
import json
import os
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import pytest
from prometheus_client import CollectorRegistry
from wrapped_store import WrappedStore

from ingest.agreements import Agreements
from ingest.door import Door, DoorLimits
from ingest.identity import receipt_id
from ingest.journal import Message, open_journal, writer
from ingest.service import IngestService
from ingest.settings import IngestSettings, JournalSettings, MqttSettings
from ingest.signatures import Signing
from storage.readings import open_readings
from water.accounting import sum_messages, sum_readings
from water.city_time import CityTime
from water.clock import SystemClock
from water.doors import DoorClosedError, DoorCrowdedError
from water.loading import Position
from water.meters import KnownMeter
from water.policy import Policy

NOW = int(time.time())


class Registry:
    """Supplier north with meter m1, supplier south without any; no jobs."""

    def version(self):
        return 1

    def suppliers(self):
        return frozenset({"north", "south"})

    def devices(self):
        return {("north", "jieshui", "m1"): KnownMeter("m1", "north", None, None, None, None)}

    def release(self, _):
        return 0

    def take(self, _):
        return None


class Away(WrappedStore):
    """A store whose loads fail as long as `gone`; everything else is the real one's.

    `mute`: so many loads are kept, and a failure is all that is heard.
    """

    def __init__(self, store):
        super().__init__(store)
        self.gone, self.mute = False, 0

    def wrap(self, load):
        if self.gone:
            raise OSError("the store is away")
        return self._mute_load(load) if self.mute else load()

    @contextmanager
    def _mute_load(self, load):
        self.mute -= 1
        with load() as load:
            yield load
        raise OSError("the answer got lost")


@pytest.fixture
def store(tmp_path):
    opened = open_readings(tmp_path / "store", CityTime(ZoneInfo("Asia/Shanghai")), SystemClock())
    yield Away(opened)
    opened.close()


@pytest.fixture
def open_door(tmp_path, store):
    """Call to open a door (with limits) in this folder; the last call closes the one before."""
    running = []

    def close():
        for thread, stop in running:
            stop.set()
            thread.join(10)
        running.clear()

    def start(limits=None, *, keep=False):
        if not keep:
            close()
        door = Door(256 * 1024, limits)
        service = IngestService(
            IngestSettings(MqttSettings(), JournalSettings(tmp_path / "journal")),
            store, Registry(), Registry(), SystemClock(), Policy(), CollectorRegistry(), door,
        )  # fmt: skip
        stop = threading.Event()
        thread = threading.Thread(target=service.run, args=(stop,))
        running.append((thread, stop))
        thread.start()
        wait_until(lambda: service.health()["ready"])
        door.service = service
        return door

    start.close = close
    yield start
    close()


def wait_until(holds):
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def batch(*registers, meter="m1"):
    readings = [
        {"meter": meter, "at": NOW - 900 * place, "register_m3": register}
        for place, register in enumerate(registers)
    ]
    return json.dumps({"readings": readings}).encode()


def push(door, payload, supplier="north"):
    return door.offer(supplier, "jieshui", "-/reading", payload, follow=True)


def test_what_became_of_a_pushed_batch_is_told_and_a_repeated_one_is_a_duplicate(open_door, store):
    door = open_door()
    payload = batch(12.5, 12.25)
    first = push(door, payload)
    first.durable.result(10)
    told = dict(first.loaded.result(10))
    assert list(told.pop("refused")) == []
    assert told == {"id": receipt_id(payload), "stored": 2, "duplicate": 0, "conflict": 0}
    again = push(door, payload).loaded.result(10)
    assert (again["stored"], again["duplicate"]) == (0, 2)
    other = push(door, batch(13.5)).loaded.result(10)
    assert (other["stored"], other["conflict"]) == (0, 1)
    assert store.newest()["register_m3"].tolist() == [12.5]


def test_refused_readings_are_told_with_their_place_and_reason(open_door):
    door = open_door()
    unknown = json.loads(batch(1, meter="m2"))["readings"]
    payload = json.dumps([*json.loads(batch(5))["readings"], *unknown]).encode()
    assert push(door, payload).loaded.result(10)["refused"] == [(1, "unknown_meter")]
    assert push(door, b"nonsense").loaded.result(10)["undecodable"] == "malformed"
    assert push(door, b"").loaded.result(10)["set_aside"] == "empty"


def test_both_sums_balance_over_what_was_pushed(open_door, store):
    door = open_door()
    tickets = [push(door, one) for one in (batch(1, 2), batch(1), b"{", b"", batch(3, meter="x"))]
    tickets.append(push(door, batch(1), "south"))
    wait([ticket.loaded for ticket in tickets], 10)
    tallies = store.tallies()
    messages, readings = sum_messages(tallies), sum_readings(tallies)
    assert {name: one.balanced for name, one in messages.items()} == dict.fromkeys(messages, True)
    assert messages["north"].received == 5
    assert (readings["north"].stored, readings["north"].duplicate) == (2, 1)
    assert (readings["north"].quarantined, readings["south"].quarantined) == (1, 1)


def test_nothing_is_acknowledged_before_it_is_durable(open_door, monkeypatch):
    door = open_door()
    may_sync = threading.Event()
    sync = os.fdatasync
    monkeypatch.setattr(writer.os, "fdatasync", lambda file: may_sync.wait(10) and sync(file))
    ticket = push(door, batch(1))
    with pytest.raises(FutureTimeoutError):
        ticket.durable.result(0.3)
    assert not ticket.loaded.done()
    may_sync.set()
    ticket.durable.result(10)


def test_a_full_disk_refuses_and_the_door_goes_on_by_itself(open_door, monkeypatch, store):
    door = open_door()
    push(door, batch(1)).loaded.result(10)
    write = os.pwrite

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer.os, "pwrite", full)
    with pytest.raises(DoorClosedError, match="No space left"):
        push(door, batch(2, 2, 2)).durable.result(10)
    with pytest.raises(DoorClosedError):
        door.require_open()
    assert not door.service.health()["ready"]
    monkeypatch.setattr(writer.os, "pwrite", write)
    assert push(door, batch(1, 3)).loaded.result(10)["stored"] == 1
    door.require_open()
    assert sum_messages(store.tallies())["north"].received == 2


def test_a_supplier_that_crowds_the_door_is_asked_to_wait_and_another_is_not(
    open_door, monkeypatch
):
    door = open_door(DoorLimits(messages=3))
    may_sync = threading.Event()
    sync = os.fdatasync
    monkeypatch.setattr(writer.os, "fdatasync", lambda file: may_sync.wait(10) and sync(file))
    tickets = [push(door, batch(number)) for number in range(3)]
    with pytest.raises(DoorCrowdedError) as crowded:
        push(door, batch(9))
    assert crowded.value.retry_after_s == 1
    tickets.append(push(door, batch(9), "south"))
    may_sync.set()
    assert not wait([ticket.durable for ticket in tickets], 10).not_done
    push(door, batch(9)).durable.result(10)


def test_while_the_store_is_away_messages_are_kept_up_to_a_backlog(open_door, store):
    door = open_door(DoorLimits(backlog_bytes=100))
    store.gone = True
    ticket = push(door, batch(1, 2, 3))
    ticket.durable.result(10)
    wait_until(lambda: door._backlog["north"] > 100)
    with pytest.raises(DoorCrowdedError) as crowded:
        push(door, batch(4))
    assert crowded.value.retry_after_s == 60
    store.gone = False
    assert ticket.loaded.result(60)["stored"] == 3
    wait_until(lambda: door._backlog["north"] == 0)
    push(door, batch(4)).durable.result(10)


def test_a_load_that_was_kept_though_its_answer_got_lost_waits_no_longer(open_door, store):
    door = open_door()
    store.mute = 1
    push(door, batch(1, 2, 3)).durable.result(10)
    wait_until(lambda: sum_readings(store.tallies()).get("north") and not store.mute)
    wait_until(lambda: door._backlog["north"] == 0)


def test_who_gives_up_waiting_leaves_nothing_behind(open_door, store):
    door = open_door()
    store.gone = True
    ticket = push(door, batch(1))
    ticket.durable.result(10)
    wait_until(lambda: door._asking)
    assert ticket.loaded.cancel()
    assert not door._asking


def test_nobody_is_no_supplier_and_a_closed_door_takes_nothing(open_door):
    door = Door(1024)
    with pytest.raises(DoorClosedError, match="not open yet"):
        push(door, batch(1))
    door = open_door()
    for nobody in ("nobody", "north/x", "?", ""):
        with pytest.raises(KeyError):
            push(door, batch(1), nobody)
    open_door.close()
    with pytest.raises(DoorClosedError, match="closing"):
        push(door, batch(1))


def test_what_was_acknowledged_is_loaded_by_the_next_door_in_this_place(open_door, store):
    door = open_door()
    store.gone = True
    push(door, batch(7)).durable.result(10)
    open_door.close()
    store.gone = False
    open_door()
    wait_until(lambda: sum_readings(store.tallies()).get("north"))
    assert sum_readings(store.tallies())["north"].stored == 1


def test_a_store_that_is_away_while_a_place_is_looked_for_is_waited_for(
    open_door, store, monkeypatch
):
    door = open_door()
    store.gone = True
    push(door, batch(7)).durable.result(10)
    open_door.close()
    store.gone = False
    position, asked = store.position, []

    def away_once(journal):
        asked.append(journal)
        if len(asked) == 1:
            raise OSError("the store is away")
        return position(journal)

    monkeypatch.setattr(store, "position", away_once, raising=False)
    assert open_door().service.health()["worker"] == "ingest-http-1"
    assert len(asked) > 1


def test_each_api_process_has_a_journal_of_its_own_and_takes_over_what_is_left(
    open_door, tmp_path, store
):
    door = open_door()
    other = open_door(keep=True)
    names = [one.service.health()["worker"] for one in (door, other)]
    assert names == ["ingest-http-1", "ingest-http-2"]
    open_door.close()
    left = open_journal(tmp_path / "journal-http-2", 1 << 20, after=Position(), received={})
    left.append([Message("north", "water/v1/north/jieshui/-/reading", batch(8), NOW * 1000)])
    left.close()
    assert open_door().service.health()["worker"] == "ingest-http-2"
    wait_until(lambda: sum_readings(store.tallies()).get("north"))


def test_a_topic_with_a_nul_is_refused(open_door):
    with pytest.raises(ValueError, match="NUL"):
        open_door().offer("north", "jieshui", "m1\0/reading", b"{}")


def test_a_signature_settled_with_a_supplier_nobody_knows_is_told_of_in_health(tmp_path, store):
    settings = IngestSettings(
        MqttSettings(),
        JournalSettings(tmp_path / "journal"),
        agreements=Agreements(signatures={"nroth": Signing((b"k" * 32,))}),
    )
    service = IngestService(
        settings, store, Registry(), Registry(), SystemClock(), Policy(), CollectorRegistry(),
        Door(1),
    )  # fmt: skip
    stop = threading.Event()
    thread = threading.Thread(target=service.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: service.health()["ready"])
        assert service.health()["unknown_suppliers"] == ["nroth"]
    finally:
        stop.set()
        thread.join(10)
