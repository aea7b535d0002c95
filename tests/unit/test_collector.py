"""The garbage collector is spared, and cycles are found all the same."""

import gc
import time
import weakref
from threading import Event

import pytest

from jieshui import processes


class Cycle:
    def __init__(self):
        self.myself = self


@pytest.fixture
def collector():
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_cycles_are_found_although_few_objects_are_made(monkeypatch):
    monkeypatch.setattr(processes, "_COLLECT_S", 0.05)
    stop = Event()
    processes.spare_the_collector(stop)
    try:
        lost = weakref.ref(Cycle())
        deadline = time.monotonic() + 10
        while lost() is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        stop.set()


@pytest.mark.usefixtures("collector")
def test_tuples_by_the_hundred_thousand_do_not_set_it_off():
    processes.spare_the_collector(stop := Event())
    stop.set()
    looks = []
    gc.callbacks.append(lambda phase, _: looks.append(phase))
    try:
        waiting = [(number, str(number)) for number in range(300_000)]
    finally:
        gc.callbacks.pop()
    assert len(waiting) == 300_000
    assert looks == []
