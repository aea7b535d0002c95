"""What is written beside the caller: when, in which order, and what the ledger knows of it."""

import threading
from contextlib import suppress
from zoneinfo import ZoneInfo

import pytest

from storage.errors import StoreUnavailableError
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxReadings
from storage.registry.engine import migrate, open_registry
from storage.registry.ledger_unsettled import find_left_behind
from water.city_time import CityTime
from water.loading import Outcome
from water.readings import Reading


class Server:
    """An InfluxClient (a double: a real server can't be held up): takes lines while it is `open`.

    `away`: the number of the request at which it is gone.
    """

    settings = InfluxSettings("http://nowhere", "", "")

    def __init__(self):
        self.open, self.requests, self.away = threading.Event(), [], None
        self.open.set()

    def write(self, lines):
        assert self.open.wait(10)
        self.requests.append(lines.decode().splitlines())
        if len(self.requests) == self.away:
            raise StoreUnavailableError("the server is away")

    def csv(self, _):
        return b""

    def close(self):
        pass


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def engine(tmp_path):
    engine = open_registry(f"sqlite:///{tmp_path / 'registry.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(server, engine):
    return InfluxReadings(server, engine, CityTime(ZoneInfo("Asia/Shanghai")))


def batch(*instants, meter="m1"):
    return [Reading(meter, at, 1_000, float(at)) for at in instants]


def left_behind(engine):
    with engine.connect() as connection:
        return find_left_behind(connection)[:2]


def test_lines_are_written_in_order_of_time(store, server):
    with store.load() as load:
        assert load.add_readings(batch(20, 10)) is None
    assert server.requests == [
        [
            "reading,meter_id=m1 received_at=1000,register_m3=10 10",
            "reading,meter_id=m1 received_at=1000,register_m3=20 20",
        ]
    ]


def test_the_caller_goes_on_while_the_server_takes_its_time(store, server, engine):
    server.open.clear()
    with store.loading() as loading:
        begun = [loading.begin_readings(batch(at)) for at in (10, 20, 30)]
        assert server.requests == []
        assert left_behind(engine) == (3, 3), "the ledger lists them before the server has them"
        server.open.set()
        for readings in begun:
            with loading.load() as load:
                assert load.add_readings(readings) is None
    assert [len(lines) for lines in server.requests] == [1, 1, 1]
    assert left_behind(engine) == (0, 0)


def load_each(store, *batches):
    with store.loading() as loading:
        for readings in [loading.begin_readings(readings) for readings in batches]:
            with loading.load() as load:
                load.add_readings(readings)


def test_no_request_is_made_after_one_that_failed_and_what_was_begun_is_unsettled(
    store, server, engine
):
    server.away = 2
    with pytest.raises(StoreUnavailableError, match="away"):
        load_each(store, *map(batch, (10, 20, 30, 40)))
    assert len(server.requests) == 2
    assert left_behind(engine) == (3, 3)


def test_no_request_is_under_way_when_a_session_has_ended(store, server):
    server.open.clear()
    done = []

    def end_a_session():
        with suppress(ZeroDivisionError), store.loading() as loading:
            loading.begin_readings(batch(10))
            raise ZeroDivisionError
        done.append(len(server.requests))

    thread = threading.Thread(target=end_a_session)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    server.open.set()
    thread.join(10)
    assert done == [1]


@pytest.mark.parametrize(
    "reading",
    [Reading("m\ud800", 1, 2, 3.0), Reading("m", 1 << 70, 2, 3.0), Reading("m", 1, 2, "three")],
    ids=["half a surrogate", "beyond all time", "no number"],
)
def test_a_reading_that_can_be_no_line_fails_its_load_and_leaves_nothing(
    store, server, engine, reading
):
    with pytest.raises((ValueError, OverflowError, TypeError)), store.load() as load:
        load.add_readings([Reading("m", 1, 2, 3.0), reading])
    assert server.requests == []
    assert left_behind(engine) == (0, 0)


def test_a_reading_that_comes_twice_in_a_batch_is_looked_up_once_it_is_written(store, server):
    with store.load() as load:
        outcomes = load.add_readings([*batch(10, 20), *batch(10)])
    assert outcomes == [Outcome.STORED] * 3, "(this server gives nothing back)"
    assert [len(lines) for lines in server.requests] == [2, 1]
