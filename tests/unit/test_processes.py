import socket
import subprocess
import sys
from threading import Event

import pytest
from sqlalchemy.exc import OperationalError

from jieshui import supervisor as supervising
from jieshui.config import Settings
from jieshui.errors import JieshuiError
from jieshui.health import HealthPort
from jieshui.processes import DeliveryLoop, run_api
from jieshui.supervisor import Supervisor


class Sending:
    def __init__(self, *outcomes):
        self._outcomes = list(outcomes)
        self.calls = 0
        self.enough = Event()

    def deliver_due(self):
        self.calls += 1
        if not self._outcomes:
            self.enough.set()
            return 0
        raise self._outcomes.pop(0)


def test_an_outage_does_not_end_the_delivery_of_notices():
    stop, sending = Event(), Sending(OperationalError("", {}, Exception("locked")), OSError("away"))
    loop = DeliveryLoop(sending, stop, our_turn=lambda: True, pause_s=0.001)
    loop.start()
    assert sending.enough.wait(5)
    assert loop.health() == {"delivery": "running", "delivery_trouble": None}
    stop.set()
    loop.join()


def test_no_notice_goes_out_while_it_is_not_our_turn():
    stop, asked, sending = Event(), Event(), Sending()
    turns = iter([False, False])

    def our_turn():
        if (ours := next(turns, None)) is None:
            asked.set()
        return bool(ours)

    loop = DeliveryLoop(sending, stop, our_turn=our_turn, pause_s=0.001)
    loop.start()
    assert asked.wait(5)
    stop.set()
    loop.join()
    assert sending.calls == 0


def test_a_bug_in_the_delivery_stops_the_process_loudly():
    stop = Event()
    loop = DeliveryLoop(Sending(KeyError("bug")), stop, our_turn=lambda: True, pause_s=0.001)
    loop.start()
    assert stop.wait(5)
    with pytest.raises(KeyError, match="bug"):
        loop.join()
    assert loop.health()["delivery"] == "ended"


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_said_in_a_sentence(taken, tmp_path):
    settings = Settings(api={"port": taken}, store={"folder": tmp_path})
    with pytest.raises(JieshuiError, match=f"port {taken}"):
        run_api(settings, Event())
    with pytest.raises(JieshuiError, match=f"port {taken} for health"):
        HealthPort("127.0.0.1", taken, dict, None).start()


@pytest.fixture
def ending(monkeypatch, tmp_path):
    """A supervisor whose processes end at once with code 3."""
    opened = []

    def open_process(self, name):
        opened.append(name)
        process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
        process.wait()
        return process

    monkeypatch.setattr(Supervisor, "_open", open_process)
    supervisor = Supervisor(tmp_path / "jieshui.toml")
    supervisor.start("ingest")
    return supervisor, opened


def test_a_process_that_never_starts_is_not_started_for_ever(ending):
    supervisor, opened = ending
    with pytest.raises(JieshuiError, match="ingest ended by itself with code 3"):
        supervisor.revive()
    assert opened == ["ingest"]


def test_a_process_that_had_settled_is_started_again_after_a_pause(ending, monkeypatch):
    supervisor, opened = ending
    clock = [supervising.time.monotonic() + 60]
    monkeypatch.setattr(supervising.time, "monotonic", lambda: clock[0])
    supervisor.revive()
    assert opened == ["ingest"]
    clock[0] += 2.1
    supervisor.revive()
    assert opened == ["ingest", "ingest"]
