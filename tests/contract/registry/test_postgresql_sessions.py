"""Each end of a connection to PostgreSQL notices soon that the other is gone."""

import socket
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from storage.registry.engine import open_registry
from storage.registry.ledger_session import loading_alone

NOTICING = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}


def settings_of(connection):
    """What libpq was told for a connection."""
    return connection.connection.dbapi_connection.info.get_parameters()


@pytest.mark.servers
def test_every_connection_notices_that_the_server_is_gone(postgres_url):
    engine = open_registry(postgres_url)
    with engine.connect() as connection:
        assert NOTICING.items() <= settings_of(connection).items()
    engine.dispose()


@pytest.mark.servers
def test_the_server_notices_that_a_loader_is_gone_and_ends_no_idle_session(postgres_url):
    engine = open_registry(postgres_url)
    names = "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count"
    with loading_alone(engine) as connection, connection.begin():
        shown = [
            connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in (*names, "idle_session_timeout")
        ]
        assert settings_of(connection)["keepalives_idle"] == "10"
    engine.dispose()
    assert shown == ["10", "5", "3", "0"]


def test_a_server_that_accepts_and_says_nothing_is_given_up_as_the_url_says():
    pytest.importorskip("psycopg")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        engine = open_registry(f"postgresql+psycopg://us@127.0.0.1:{port}/none?connect_timeout=2")
        began = time.monotonic()
        with pytest.raises(OperationalError), engine.connect():
            pytest.fail("nobody answers there")
        engine.dispose()
    assert time.monotonic() - began < 8
