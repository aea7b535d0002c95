"""One at a time: a PostgreSQL advisory lock over machines, the lock of a file on one."""

import os
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage.errors import StoreUnavailableError
from storage.locks import FileLock
from storage.registry.engine import open_registry
from storage.registry.ledger_session import loading_alone
from storage.registry.locks import ANALYSIS_LOCK, AdvisoryLock

HOLDER = """
import sys, time
from storage.registry.engine import open_registry
from storage.registry.locks import ANALYSIS_LOCK, AdvisoryLock
lock = AdvisoryLock(open_registry(sys.argv[1]), ANALYSIS_LOCK)
print(lock.take(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def database(postgres_url):
    engine = open_registry(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def lock_in_postgres(database):
    locks = []

    def make():
        locks.append(AdvisoryLock(database, ANALYSIS_LOCK))
        return locks[-1]

    yield make
    for lock in locks:
        lock.release()


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.servers)])
def make_lock(request, tmp_path):
    """Call for the lock of one more process."""
    if request.param == "postgresql":
        return request.getfixturevalue("lock_in_postgres")
    return lambda: FileLock(tmp_path / "deeper" / "analysis.lock")


def test_one_has_the_turn_until_it_gives_it_back(make_lock):
    one, other = make_lock(), make_lock()
    assert (one.take(), other.take()) == (True, False)
    assert one.take(), "what is ours can be taken again"
    assert (one.holds(), other.holds()) == (True, False)
    one.release()
    assert (one.holds(), other.take()) == (False, True)
    other.release()


def eventually(true, seconds=10):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


@pytest.mark.servers
def test_the_death_of_a_process_frees_its_turn(postgres_url, lock_in_postgres):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, postgres_url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "True\n"
        ours = lock_in_postgres()
        assert not ours.take()
        os.kill(holder.pid, signal.SIGKILL)
        assert eventually(ours.take)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


@pytest.mark.servers
def test_a_turn_is_lost_with_its_connection_and_noticed(database, lock_in_postgres):
    ours, other = lock_in_postgres(), lock_in_postgres()
    assert ours.take()
    session = ours._connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with database.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": session})
    assert eventually(other.take)
    assert not ours.holds()
    assert not ours.take(), "it is the other's now"
    other.release()
    assert ours.take()


@pytest.mark.servers
def test_the_server_watches_the_holder_and_never_ends_its_idle_session(lock_in_postgres):
    ours = lock_in_postgres()
    ours.take()
    names = "tcp_keepalives_idle", "idle_session_timeout"
    shown = [ours._connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]
    assert shown == ["10", "0"]


def test_a_database_that_is_away_is_no_free_turn():
    pytest.importorskip("psycopg")
    away = open_registry("postgresql+psycopg://jieshui@127.0.0.1:1/none")
    with pytest.raises(OperationalError):
        AdvisoryLock(away, ANALYSIS_LOCK).take()
    away.dispose()


def test_a_loader_waits_for_another_and_then_gives_up(engine):
    refused = pytest.raises(StoreUnavailableError)
    with loading_alone(engine), refused, loading_alone(engine, patience_s=0.1):
        pytest.fail("two load at once")
    with loading_alone(engine, patience_s=10):
        pass
