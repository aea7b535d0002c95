"""A real InfluxDB 2: `influxdb` for the session, `make_influxdb` for one test that stops it."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from influxdb_client import BucketRetentionRules, InfluxDBClient
from real_servers import Container, find_address, need_image, only_docker

from jieshui.demo.servers import (
    ORGANISATION,
    InfluxDB,
    find_influxd,
    set_up_influxdb,
    until_it_answers,
)

IMAGE = "influxdb:2"
VARIABLE = "JIESHUI_TEST_INFLUXDB"


class GivenInfluxDB:
    """The server of an address like http://TOKEN@host:8086/organisation.

    The token may make buckets in that organisation; what it has of `/`, `@` or `:` is written as
    %2F, %40, %3A.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.url = f"{parts.scheme}://{parts.hostname}:{parts.port or 8086}"
        self.token = unquote(parts.username or "")
        self.organisation = unquote(parts.path.strip("/"))

    def start(self) -> None:
        """It runs."""

    def remove(self) -> None:
        """It goes on running."""


class ProgramInfluxDB(InfluxDB):
    """influxd as a program of this machine."""

    def remove(self) -> None:
        self.stop()


class ContainerInfluxDB:
    """The official image."""

    organisation = ORGANISATION

    def __init__(self) -> None:
        self._container = Container(IMAGE, 8086)
        self.token = secrets.token_urlsafe(32)

    @property
    def url(self) -> str:
        return f"http://{self._container.host}:{self._container.port}"

    def start(self) -> None:
        self._container.start()
        until_it_answers(lambda: set_up_influxdb(self.url, self.token))

    def stop(self) -> None:
        self._container.stop()

    def remove(self) -> None:
        self._container.remove()


class RunningInfluxDB:
    """An InfluxDB under test: its address, and buckets that no other test has."""

    def __init__(self, server: GivenInfluxDB | ProgramInfluxDB | ContainerInfluxDB) -> None:
        self._server = server
        self._buckets: list[str] = []
        server.start()
        self.url, self.token, self.organisation = server.url, server.token, server.organisation

    def _client(self) -> InfluxDBClient:
        return InfluxDBClient(self.url, token=self.token, org=self.organisation)

    def make_bucket(self, name: str = "test", retention_s: int = 0) -> str:
        """A new bucket's name, `name` with something behind it; `retention_s` 0 = for ever."""
        bucket = f"{name}-{secrets.token_hex(4)}"
        rules = [BucketRetentionRules(type="expire", every_seconds=retention_s)]
        with self._client() as client:
            client.buckets_api().create_bucket(bucket_name=bucket, retention_rules=rules)
        self._buckets.append(bucket)
        return bucket

    def start(self) -> None:
        """Start again, at the same address, with what it had."""
        self._server.start()

    def stop(self) -> None:
        """End it; only for one that `make_influxdb` made."""
        assert not isinstance(self._server, GivenInfluxDB)
        self._server.stop()

    def remove(self) -> None:
        if isinstance(self._server, GivenInfluxDB):
            with self._client() as client:
                buckets = client.buckets_api()
                for bucket in self._buckets:
                    buckets.delete_bucket(buckets.find_bucket_by_name(bucket))
        self._server.remove()


def _own(folder: Path, missing: Callable[[str], object]) -> ProgramInfluxDB | ContainerInfluxDB:
    program = None if only_docker() else find_influxd()
    if program:
        return ProgramInfluxDB(program, folder)
    need_image(IMAGE, missing, variable=VARIABLE, program="influxd")
    return ContainerInfluxDB()


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory, missing) -> Iterator[RunningInfluxDB]:
    """A running InfluxDB (url, token, organisation, make_bucket) for the whole session."""
    address = find_address(VARIABLE)
    server = RunningInfluxDB(
        GivenInfluxDB(address) if address else _own(tmp_path_factory.mktemp("influxdb"), missing)
    )
    yield server
    server.remove()


@pytest.fixture
def make_influxdb(tmp_path, missing) -> Iterator[Callable[[], RunningInfluxDB]]:
    """Call for a running InfluxDB of one test's own, that it may stop and start."""
    servers: list[RunningInfluxDB] = []

    def make() -> RunningInfluxDB:
        servers.append(RunningInfluxDB(_own(tmp_path / f"influxdb{len(servers)}", missing)))
        return servers[-1]

    yield make
    for server in servers:
        server.remove()
