"""What trouble with the server looks like: named settings, refusals, patience, outages."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import text

from storage.errors import StoreError, StoreUnavailableError
from storage.influx import InfluxSettings, open_readings, prepare
from storage.influx.client import InfluxClient
from storage.registry.engine import open_registry
from water.loading import Outcome, Position
from water.readings import Reading

STORED, DUPLICATE, REFUSED = Outcome.STORED, Outcome.DUPLICATE, Outcome.REFUSED

pytestmark = pytest.mark.servers

HOUR = 3600


@pytest.fixture
def engine(migrated_file, tmp_path):
    copy = tmp_path / "ledger.db"
    copy.write_bytes(migrated_file.read_bytes())
    engine = open_registry(f"sqlite:///{copy}")
    yield engine
    engine.dispose()


@pytest.fixture
def open_at(engine, city):
    """Opens a readings store with these settings."""
    opened = []

    def build(settings):
        opened.append(open_readings(settings, engine, city))
        return opened[-1]

    yield build
    for store in opened:
        store.close()


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ({"token": "nobody's"}, "influx.token_file"),
        ({"bucket": "nowhere"}, "influx.bucket"),
        ({"organisation": "nobody"}, "influx.organisation"),
    ],
    ids=["token", "bucket", "organisation"],
)
def test_a_wrong_setting_is_named_when_the_store_is_opened(
    influx_settings, open_at, wrong, setting
):
    with pytest.raises(StoreError, match=f"^{setting}: "):
        open_at(replace(influx_settings, **wrong))


@pytest.mark.parametrize(
    ("wrong", "setting"),
    [({"token": "nobody's"}, "influx.token_file"), ({"organisation": "x"}, "influx.organisation")],
    ids=["token", "organisation"],
)
def test_a_wrong_setting_is_named_when_the_bucket_is_to_be_made(influx_settings, wrong, setting):
    with pytest.raises(StoreError, match=f"^{setting}: "):
        prepare(replace(influx_settings, bucket="to-be-made", **wrong))


def test_a_token_never_shows_itself(influx_settings):
    settings = replace(influx_settings, token="very-secret")
    with pytest.raises(StoreError) as raised:
        prepare(settings)
    assert "very-secret" not in f"{raised.value} {settings}"


def test_a_bucket_is_made_once_with_its_retention(influx_settings):
    settings = replace(influx_settings, bucket="made-by-prepare", retention_days=30)
    for _ in range(2):
        prepare(settings)
    client = InfluxClient(settings)
    bucket = client.client.buckets_api().find_bucket_by_name(settings.bucket)
    assert [rule.every_seconds for rule in bucket.retention_rules] == [30 * 24 * HOUR]
    client.client.buckets_api().delete_bucket(bucket)
    client.close()


# ---------------------------------------------------------------- refusals


@pytest.fixture
def short(influxdb, influx_settings, open_at):
    """A store whose bucket keeps two hours."""
    return open_at(replace(influx_settings, bucket=influxdb.make_bucket("short", 2 * HOUR)))


def test_a_reading_beyond_retention_is_refused_with_the_servers_reason(short, load):
    now = int(time.time())
    late = [Reading(f"m{i}", now - 9 * HOUR, now, float(i)) for i in range(3)]
    fresh = [Reading(f"m{i}", now - 60, now, float(i)) for i in range(3)]
    with short.load() as transaction:
        outcomes = transaction.add_readings([late[0], fresh[0], *fresh[1:], *late[1:]])
        refusals = transaction.refusals()
    assert outcomes == [REFUSED, STORED, STORED, STORED, REFUSED, REFUSED]
    assert sorted(refusals) == [0, 4, 5]
    assert all("outside retention policy" in reason for reason in refusals.values())
    assert len(short.newest()) == 3
    assert load(short, fresh) == [DUPLICATE] * 3


def test_a_refused_reading_touches_no_day(short, load):
    now = int(time.time())
    assert load(short, [Reading("m1", now - 72 * HOUR, now, 1.0)]) == [REFUSED]
    assert short.touched_days(0, 10).days.empty


def test_a_refused_reading_is_refused_again(short, load):
    now = int(time.time())
    for _ in range(2):
        assert load(short, [Reading("m1", now - 9 * HOUR, now, 1.0)]) == [REFUSED]


def test_a_value_that_the_server_can_not_hold_is_refused_alone(influx_settings, open_at, load):
    store = open_at(influx_settings)
    batch = [Reading("m1", at, at, float("nan") if at == 3 else 1.0) for at in range(1, 8)]
    assert load(store, batch) == [STORED, STORED, REFUSED, STORED, STORED, STORED, STORED]
    assert load(store, batch) == [DUPLICATE] * 2 + [REFUSED] + [DUPLICATE] * 4


# ---------------------------------------------------------------- a server that puts off


class Overloaded(ThreadingHTTPServer):
    """A double of InfluxDB: answers each request with the next (status, headers) of a script."""

    def __init__(self, script: Sequence[tuple[int, dict[str, str]]], body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.script = list(script)
        self.body = body
        self.asked: list[float] = []

    @property
    def settings(self) -> InfluxSettings:
        return InfluxSettings(f"http://127.0.0.1:{self.server_port}", "t", timeout_s=5)


class Answering(BaseHTTPRequestHandler):
    server: Overloaded

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(time.monotonic())
        status, headers = self.server.script.pop(0)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(self.server.body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def overloaded() -> Iterator:
    servers: list[Overloaded] = []

    def build(*script: tuple[int, dict[str, str]], body: bytes = b"") -> Overloaded:
        servers.append(Overloaded(script, body))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return servers[-1]

    yield build
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def write():
    """Write a line to a server and close the connection."""

    def run(server: Overloaded, lines: Sequence[str] = ("a b=1 1",)) -> None:
        client = InfluxClient(server.settings)
        try:
            client.write("\n".join(lines).encode())
        finally:
            client.close()

    return run


@pytest.mark.parametrize("status", [429, 503])
def test_a_request_that_is_put_off_is_repeated_after_the_time_that_the_server_asks_for(
    overloaded, write, status
):
    server = overloaded((status, {"Retry-After": "1"}), (204, {}))
    write(server)
    first, second = server.asked
    assert 1 <= second - first < 3


def test_a_request_that_is_put_off_without_a_time_is_repeated_soon(overloaded, write):
    server = overloaded(
        (503, {}), (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}), (204, {})
    )
    write(server)
    assert len(server.asked) == 3


def test_a_server_that_asks_for_too_much_patience_is_away(overloaded, write):
    server = overloaded((503, {"Retry-After": "60"}))
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        write(server)
    assert time.monotonic() - began < 5


def test_a_server_that_fails_is_away_and_not_to_blame_on_the_lines(overloaded, write):
    with pytest.raises(StoreUnavailableError):
        write(overloaded((500, {})))


@pytest.mark.parametrize(
    "rows",
    [b"", b",0,0,2026-01-01T00:00:00Z,1,register_m3,m1\r\n\r\n"],
    ids=["before the first row", "after some rows"],
)
def test_a_query_that_fails_half_way_is_no_answer(overloaded, rows):
    """The server's own encoder: status 200, then a table of the error."""
    server = overloaded((200, {}), body=rows + b",error,reference\r\n,out of memory,897\r\n")
    client = InfluxClient(server.settings)
    with pytest.raises(StoreUnavailableError, match="out of memory"):
        client.csv("from(bucket: …)")
    client.close()


# ---------------------------------------------------------------- a server that is away


def test_an_outage_loses_and_doubles_nothing(make_influxdb, open_at, load):
    influxdb = make_influxdb()
    settings = InfluxSettings(
        influxdb.url, influxdb.token, influxdb.organisation, influxdb.make_bucket()
    )
    batch = [Reading("m1", at, at, float(at)) for at in range(100, 110)]
    store = open_at(settings)
    assert load(store, batch[:4]) == [STORED] * 4
    influxdb.stop()
    with pytest.raises(StoreUnavailableError):
        load(store, batch)
    restarted = open_at(settings)
    with pytest.raises(StoreUnavailableError):
        load(restarted, batch)
    assert restarted.touched_days(0, 10).mark == 1
    influxdb.start()
    assert load(restarted, batch) == [DUPLICATE] * 4 + [STORED] * 6
    assert load(store, batch) == [DUPLICATE] * 10


def test_a_bucket_that_is_gone_while_loads_go_on_is_an_outage_that_names_the_setting(
    influx_settings, open_at, load
):
    store = open_at(influx_settings)
    load(store, [Reading("m1", 1, 1, 1.0)])
    buckets = store._client.client.buckets_api()
    buckets.delete_bucket(buckets.find_bucket_by_name(influx_settings.bucket))
    with pytest.raises(StoreUnavailableError, match=r"^influx\.bucket: "):
        load(store, [Reading("m1", 2, 2, 2.0)])
    prepare(influx_settings)
    assert load(store, [Reading("m1", 2, 2, 2.0)]) == [STORED]


def test_a_ledger_that_breaks_away_before_it_counts_counts_nothing(
    influx_settings, migrated_postgres_url, city, load
):
    engine = open_registry(migrated_postgres_url)
    store = open_readings(influx_settings, engine, city)
    batch = [Reading("m1", at, at, float(at)) for at in range(3)]
    with store.load() as transaction:
        transaction.add_readings(batch[:1])
        transaction.set_position("j", Position(1, 1, 1))

    def load_while_it_breaks():
        with store.load() as transaction:
            transaction.add_readings(batch)
            break_connections(engine)
            transaction.set_position("j", Position(2, 2, 2))

    with pytest.raises(StoreUnavailableError):
        load_while_it_breaks()
    assert store.position("j") == Position(1, 1, 1)
    assert load(store, batch) == [DUPLICATE, STORED, STORED]
    store.close()
    engine.dispose()


def break_connections(engine):
    """End every session of a database but the one that does so, as a restart would."""
    own = open_registry(engine.url)
    with own.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    own.dispose()
