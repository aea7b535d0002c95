"""A real PostgreSQL for the session, and databases that no other test has."""

import functools
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_servers import Container, find_address, need_image, only_docker
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from jieshui.demo.servers import PostgreSQL, find_postgresql
from storage.registry.engine import migrate, open_registry

IMAGE = "postgres:16"
VARIABLE = "JIESHUI_TEST_POSTGRES"
WITHOUT_FSYNC = "-F"
"""Nothing that the tests keep outlives their session."""


class RunningPostgreSQL:
    """A PostgreSQL under test; `url` is an account that may make databases."""

    def __init__(self, url: str) -> None:
        self.url = url

    def make_database(self, *, migrated: bool = False) -> str:
        """The URL of a new database: empty, or with every table and no row."""
        template = self._migrated if migrated else "template1"
        name = f"test_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url_of(name)

    def drop_database(self, url: str) -> None:
        """Drop a database; whoever is still connected is thrown out."""
        self._run(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    @functools.cached_property
    def _migrated(self) -> str:
        name = f"migrated_{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name}")
        engine = open_registry(self._url_of(name))
        migrate(engine)
        engine.dispose()
        return name

    def _url_of(self, database: str) -> str:
        return make_url(self.url).set(database=database).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))

    def remove(self) -> None:
        if "_migrated" in vars(self):
            self._run(f"DROP DATABASE {self._migrated}")


@contextmanager
def _program(programs: Path) -> Iterator[str]:
    # Not below pytest's folders: user postgres may not pass them.
    folder = Path(tempfile.mkdtemp(prefix="jieshui-postgresql-"))
    server = PostgreSQL(programs, folder, WITHOUT_FSYNC)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def _container() -> Iterator[str]:
    password = secrets.token_hex(16)
    container = Container(
        IMAGE, 5432, command=f"postgres {WITHOUT_FSYNC}",
        environment={"POSTGRES_USER": "jieshui", "POSTGRES_PASSWORD": password},
    )  # fmt: skip
    container.start()
    try:
        place = f"{container.host}:{container.port}"
        url = f"postgresql+psycopg://jieshui:{password}@{place}/jieshui"
        _connect(url)
        yield url
    finally:
        container.remove()


@retry(
    stop=stop_after_delay(60),
    wait=wait_fixed(0.2),
    retry=retry_if_exception_type(OperationalError),
    reraise=True,
)
def _connect(url: str) -> None:
    create_engine(url, poolclass=NullPool).connect().close()


@contextmanager
def _address(missing: Callable[[str], object]) -> Iterator[str]:
    if address := find_address(VARIABLE):
        yield address
        return
    programs = None if only_docker() else find_postgresql()
    if programs:
        place = _program(programs)
    else:
        need_image(IMAGE, missing, variable=VARIABLE, program="initdb")
        place = _container()
    with place as url:
        yield url


@pytest.fixture(scope="session")
def postgresql(missing) -> Iterator[RunningPostgreSQL]:
    """A running PostgreSQL (url, make_database) for the whole session."""
    with _address(missing) as url:
        server = RunningPostgreSQL(url)
        yield server
        server.remove()


@pytest.fixture
def postgres_url(postgresql) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    url = postgresql.make_database()
    yield url
    postgresql.drop_database(url)


@pytest.fixture
def migrated_postgres_url(postgresql) -> Iterator[str]:
    """The URL of a database of this test's own, with every table and no row."""
    url = postgresql.make_database(migrated=True)
    yield url
    postgresql.drop_database(url)
