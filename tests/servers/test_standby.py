"""Two analysis processes over one PostgreSQL; an api's readiness over an InfluxDB that stops."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from jieshui.config import Settings
from jieshui.processes import _checks
from jieshui.wiring import open_stores
from storage.errors import StoreUnavailableError

pytestmark = pytest.mark.servers


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Analyst:
    """A `jieshui serve analysis` process and what its health says."""

    def __init__(self, folder, registry_url, name):
        self.port, self.log = _free_port(), folder / f"{name}.log"
        config = folder / f"{name}.toml"
        config.write_text(
            f'[store]\nfolder = "{name}"\nregistry_url = "{registry_url}"\n'
            f"[analysis]\nport = {self.port}\npause_s = 0.2\n"
        )
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jieshui", "serve", "analysis", "-c", config],
                stdout=out,
                stderr=out,
            )

    def stands(self):
        """Its HTTP status and whose turn it says it is."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/readyz")
        except httpx.TransportError:
            return None
        return answer.status_code, answer.json()["turn"]

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start_analyst(tmp_path, migrated_postgres_url):
    analysts = []

    def start(name):
        analysts.append(Analyst(tmp_path, migrated_postgres_url, name))
        return analysts[-1]

    yield start
    for analyst in analysts:
        analyst.end()


def until(true, seconds):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def test_one_of_two_analyses_stands_by_and_takes_over_when_the_other_dies(start_analyst):
    both = [start_analyst("east"), start_analyst("west")]
    working, waiting = (200, "ours"), (200, "standby")
    assert until(lambda: {each.stands() for each in both} == {working, waiting}, 120)
    first, second = sorted(both, key=lambda each: each.stands() == waiting)
    os.kill(first.process.pid, signal.SIGKILL)
    assert until(lambda: second.stands() == working, 30)


def test_an_api_is_not_ready_while_influxdb_is_away(tmp_path, make_influxdb):
    influxdb = make_influxdb()
    token = tmp_path / "token"
    token.write_text(influxdb.token)
    settings = Settings(
        store={"folder": tmp_path / "store"},
        influx={
            "url": influxdb.url, "organisation": influxdb.organisation,
            "bucket": influxdb.make_bucket(), "token_file": token, "timeout_s": 5,
            "trust_network": True,
        },
    )  # fmt: skip
    with open_stores(settings) as stores:
        checks = _checks(stores)
        checks["readings"]()
        influxdb.stop()
        with pytest.raises(StoreUnavailableError):
            checks["readings"]()
        checks["registry"]()
        influxdb.start()
        checks["readings"]()
