"""What every kind of test shares: how a missing part is said, and the packaged broker.

The real servers are in tests/plugins.
"""

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from jieshui.broker import HOST, free_port

pytest_plugins = ["real_influxdb", "real_mosquitto", "real_postgresql", "server_versions"]


def _missing(what: str) -> NoReturn:
    if os.environ.get("JIESHUI_NO_SKIP"):
        pytest.fail(f"{what}, and nothing may be skipped here (JIESHUI_NO_SKIP)")
    pytest.skip(what)


@pytest.fixture(scope="session")
def missing():
    """Call with what is missing and how to get it: skips, or fails where skips are forbidden."""
    return _missing


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator:
    """The packaged broker (iotcore) on a free port (host, port): in memory, MQTT 3.1.1."""
    iotcore = pytest.importorskip("iotcore")
    broker = iotcore.Broker(port=free_port(), listen=HOST)
    broker.host = HOST
    broker.start()
    yield broker
    broker.stop()
