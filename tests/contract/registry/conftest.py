"""The registry database on SQLite, and on PostgreSQL where a server can be started."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from storage.registry.engine import migrate, open_registry
from storage.registry.models import Base


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _postgres_folder() -> Path | None:
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres_url(missing):
    """A PostgreSQL server of our own on a free port; it refuses root, so user postgres runs it."""
    if find_spec("psycopg") is None:
        missing("psycopg is not installed (pip install 'psycopg[binary]')")
    if url := os.environ.get("JIESHUI_TEST_POSTGRES"):
        yield url
        return
    programs = _postgres_folder()
    if programs is None:
        missing("PostgreSQL is not on this machine (make servers)")
    account = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="jieshui-postgres-"))
    if os.getuid() == 0:
        shutil.chown(folder, account)
    as_user = {"user": account, "cwd": folder} if os.getuid() == 0 else {"cwd": folder}
    port = _free_port()
    subprocess.run(
        [programs / "initdb", "-D", folder / "d", "-A", "trust", "-U", "jieshui", "-N"],
        check=True, capture_output=True, **as_user,
    )  # fmt: skip
    server = subprocess.Popen(
        [programs / "postgres", "-D", folder / "d", "-p", str(port), "-k", "", "-F",
         "-h", "127.0.0.1"],
        stderr=subprocess.DEVNULL, **as_user,
    )  # fmt: skip
    try:
        url = f"postgresql+psycopg://jieshui@127.0.0.1:{port}/postgres"
        _wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder)


def _wait_for(url: str) -> None:
    probe = create_engine(url)
    deadline = time.monotonic() + 20
    while True:
        try:
            probe.connect().close()
            break
        except OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    probe.dispose()


BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]


@pytest.fixture(params=BOTH)
def empty(request, tmp_path) -> Engine:
    """An open registry database without a table."""
    if request.param == "sqlite":
        engine = open_registry(f"sqlite:///{tmp_path}/deeper/registry.db")
    else:
        engine = open_registry(request.getfixturevalue("postgres_url"))
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory) -> Path:
    """A migrated SQLite database, to be copied."""
    path = tmp_path_factory.mktemp("registry") / "registry.db"
    engine = open_registry(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(params=BOTH)
def engine(request, tmp_path) -> Engine:
    """A migrated registry database without a row."""
    if request.param == "sqlite":
        copy = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path)
        engine = open_registry(f"sqlite:///{copy}")
    else:
        engine = open_registry(request.getfixturevalue("postgres_url"))
        migrate(engine)
        with engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(Base.metadata.tables)}"))
    yield engine
    engine.dispose()
