"""A group is split between the worker's own journal and its overflow, and acknowledged as one."""

import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from ingest.broker import leaving
from ingest.broker import overflow as module
from ingest.broker.overflow import Overflow
from ingest.errors import JournalError, JournalUnwritableError
from ingest.groups import Group, Loaded
from ingest.journal import RETAINED, JournalReader, JournalWriter, open_journal
from ingest.places import overflow_place
from ingest.precedence import Behind, Precedence
from ingest.settings import IngestSettings, JournalSettings, MqttSettings
from water.clock import SystemClock
from water.loading import Position

FEW = 3


class Place:
    """A worker's journal and group; `loaded` is what its loader would say."""

    def __init__(self, folder):
        self.folder = folder
        self.journal = open_journal(folder, 1 << 20)
        self.loaded = Loaded(0, {})
        self.group = Group(
            self.journal, JournalSettings(folder), 100, lambda topic: topic.split("/")[2],
            SystemClock(), journalled=lambda _: None, observe_sync=lambda _: None,
            loaded=lambda: self.loaded,
        )  # fmt: skip

    def load_all(self):
        self.loaded = Loaded(self.journal.committed().entry, self.journal.received())

    def payloads(self):
        reader = JournalReader(self.folder, self.journal.marker, self.journal.committed)
        return [entry.payload.decode() for entry in reader.read(Position())[0]]


@pytest.fixture
def settings(tmp_path):
    return IngestSettings(
        MqttSettings(), JournalSettings(tmp_path / "journal"), overflow_messages=FEW
    )


@pytest.fixture
def main(settings):
    place = Place(settings.journal.folder)
    yield place
    place.journal.close()


@pytest.fixture
def apart(settings, main):
    place = Place(overflow_place(settings).journal.folder)
    yield place
    place.journal.close()


@pytest.fixture
def overflow(settings, main):
    made = Overflow(settings, main.group, Precedence(), None, open_service=lambda *_: None)
    main.group.aside = made
    return made


@pytest.fixture
def flooded(overflow, main, apart, settings):
    """Of "big" too much waits, and the overflow is open."""
    send(main, "small 0", *(f"big {n}" for n in range(FEW + 1)))
    overflow.open(settings, apart.group, Precedence())
    return overflow


def send(place, *messages, flags=0):
    """Take and commit messages, said as "supplier payload"; their packet ids are 0, 1, …"""
    place.group.take([
        (f"water/v1/{message.split()[0]}/t".encode(), message.encode(), flags, number)
        for number, message in enumerate(messages)
    ])  # fmt: skip
    return place.group.commit()


def test_who_floods_goes_to_the_overflow_and_all_is_acknowledged_in_order(flooded, main, apart):
    assert send(main, "big a", "small b", "big c", "small d") == [0, 1, 2, 3]
    assert main.payloads()[FEW + 2 :] == ["small b", "small d"]
    assert apart.payloads() == ["big a", "big c"]
    assert flooded.waiting() == {"big": 2}
    assert flooded.gauges() == {"overflow_waiting": 2, "overflow_suppliers": 1}


def test_until_the_overflow_is_open_all_goes_into_the_worker_s_own_journal(overflow, main):
    send(main, "small 0", *(f"big {n}" for n in range(FEW + 1)))
    send(main, "big more")
    assert main.payloads()[-1] == "big more"
    assert overflow.waiting() == {}


def test_it_comes_back_once_nothing_of_it_waits_apart(flooded, main, apart):
    send(main, "big a")
    main.load_all()
    send(main, "big b")
    apart.load_all()
    send(main, "big c")
    assert apart.payloads() == ["big a", "big b"]
    assert main.payloads()[-1] == "big c"


def test_it_is_empty_when_it_is_open_and_nothing_waits_there(overflow, main, apart, settings):
    assert overflow.empty, "nobody ever flooded"
    send(main, "small 0", *(f"big {n}" for n in range(FEW + 1)))
    send(main, "big wants it")
    assert not overflow.empty, "it is wanted, and what it holds is not known yet"
    overflow.open(settings, apart.group, Precedence())
    send(main, "big a")
    assert not overflow.empty
    apart.load_all()
    assert overflow.empty


def test_a_place_is_not_left_before_its_overflow_is_loaded(monkeypatch):
    monkeypatch.setattr(leaving, "_QUIET_S", 0.0)
    health = {"ready": True, "overflow_loaded": False}
    asked = []

    def tell():
        asked.append(health.copy())
        health["overflow_loaded"] = len(asked) > 3
        return health

    service = SimpleNamespace(
        run=threading.Event.wait, progress=lambda: (0, 0), idle=lambda: True, health=tell
    )
    assert leaving.leave(service, threading.Event())
    assert len(asked) == 4


def test_a_group_of_which_nothing_stays_is_acknowledged_and_is_news(flooded, main, apart):
    before = main.payloads()
    assert send(main, "big a", "big b") == [0, 1]
    assert main.payloads() == before
    assert main.group.brought_news
    assert main.group.newest_ms is not None
    send(main, "big c", flags=RETAINED)
    assert not main.group.brought_news


def test_what_is_durable_apart_is_not_written_again_when_the_rest_has_no_room(
    flooded, main, apart, monkeypatch
):
    append = JournalWriter.append

    def full(self, messages):
        if self is main.journal:
            raise JournalUnwritableError("no space left on device")
        append(self, messages)

    with monkeypatch.context() as patched:
        patched.setattr(JournalWriter, "append", full)
        for _ in range(2):
            with pytest.raises(JournalUnwritableError):
                send_again(main, "big a", "small b")
    assert apart.payloads() == ["big a"]
    assert len(main.group) == 1, "the rest is kept"
    assert main.group.commit() == [0, 1], "and both are acknowledged with it"
    assert (main.payloads()[-1], apart.payloads()) == ("small b", ["big a"])


def send_again(place, *messages):
    """Send what was not sent yet, or try again."""
    if len(place.group):
        return place.group.commit()
    return send(place, *messages)


def test_without_room_in_the_overflow_nothing_is_durable_and_all_is_kept(
    flooded, main, apart, monkeypatch
):
    before, append = main.payloads(), JournalWriter.append

    def full(self, messages):
        if self is apart.journal:
            raise JournalUnwritableError("no space left on device")
        append(self, messages)

    with monkeypatch.context() as patched:
        patched.setattr(JournalWriter, "append", full)
        with pytest.raises(JournalUnwritableError):
            send(main, "big a", "small b")
    assert (main.payloads(), apart.payloads()) == (before, [])
    assert main.group.commit() == [0, 1]
    assert (main.payloads()[-1], apart.payloads()) == ("small b", ["big a"])


def test_what_waits_there_after_a_restart_keeps_its_supplier_apart(overflow, main, apart, settings):
    apart.group.take([(b"water/v1/big/t", b"big before", 0, None)])
    apart.group.commit()
    overflow.open(settings, apart.group, Precedence())
    send(main, "big after", "small 1")
    assert (main.payloads(), apart.payloads()) == (["small 1"], ["big before", "big after"])


# -- the service that loads it


class Opening:
    """Opens services that load nothing until told to stop; `refused` of them can't be."""

    def __init__(self, refused=0):
        self.refused, self.opened, self.place = refused, [], None

    @contextmanager
    def __call__(self, settings, intake, precedence):
        self.opened.append((settings, precedence))

        def run(stop):
            if len(self.opened) <= self.refused:
                raise JournalError("the folder is another's")
            self.place = Place(overflow_place(settings).journal.folder)
            intake.open(settings, self.place.group, precedence)
            stop.wait()
            self.place.journal.close()

        yield SimpleNamespace(run=run, tallies=dict)


@pytest.fixture
def running(settings, main):
    """Call with an `Opening`: the overflow with its thread."""
    stop, threads = threading.Event(), []

    def start(opening):
        made = Overflow(settings, main.group, Precedence(), None, opening)
        main.group.aside = made
        threads.append(threading.Thread(target=made.run, args=(stop,)))
        threads[0].start()
        return made

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def wait_until(holds):
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_installation_that_was_never_flooded_begins_no_overflow(settings, main, running):
    opening = Opening()
    running(opening)
    send(main, "small 0", "big 1")
    time.sleep(0.3)
    assert (opening.opened, overflow_place(settings).journal.folder.exists()) == ([], False)


def test_the_first_flood_opens_it_and_what_comes_next_goes_there(main, running):
    opening = Opening()
    running(opening)
    send(main, "small 0", *(f"big {n}" for n in range(FEW + 1)))
    send(main, "big wants it")
    assert main.payloads()[-1] == "big wants it"
    wait_until(lambda: opening.place)
    wait_until(lambda: send(main, "big there") and opening.place.payloads())
    assert isinstance(opening.opened[0][1], Behind)


def test_one_that_is_there_is_opened_at_the_start(settings, running):
    overflow_place(settings).journal.folder.mkdir()
    opening = Opening()
    running(opening)
    wait_until(lambda: opening.place)


def test_one_that_can_t_be_used_is_told_of_and_tried_again(settings, main, running, monkeypatch):
    monkeypatch.setattr(module, "_AGAIN_S", 0.3)
    overflow_place(settings).journal.folder.mkdir()
    opening = Opening(refused=1)
    overflow = running(opening)
    wait_until(lambda: overflow.trouble == "the folder is another's")
    send(main, "small 0", *(f"big {n}" for n in range(FEW + 2)))
    assert main.payloads()[-1] == f"big {FEW + 1}", "meanwhile nobody is put apart"
    wait_until(lambda: len(opening.opened) == 2 and not overflow.trouble)


# -- giving way


def test_the_other_loader_goes_first_and_nobody_starves():
    waiting = [True]
    behind = Behind(Precedence(), lambda: waiting[0])
    began = time.monotonic()
    behind.give_way(0.01)
    assert 0.05 < time.monotonic() - began < 1
    waiting[0] = False
    began = time.monotonic()
    behind.give_way(1)
    assert time.monotonic() - began < 1, "of the two seconds it might wait"
