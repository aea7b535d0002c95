"""Connections to PostgreSQL of which each end notices within half a minute that the other is gone.

Without it a machine or a network that vanishes without a word holds a process up for as long as the
system goes on trying: minutes to hours.
"""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, text

_IDLE_S, _INTERVAL_S, _PROBES = 10, 5, 3
"""After so long without a word it is asked whether the other lives: three times, 25 s in all."""

_CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": _IDLE_S,
    "keepalives_interval": _INTERVAL_S,
    "keepalives_count": _PROBES,
    "tcp_user_timeout": 25_000,
}
"""How libpq notices that the server is gone; seconds, the last in milliseconds."""

_WATCHING = text(
    f"SELECT set_config('tcp_keepalives_idle', '{_IDLE_S}', false),"
    f" set_config('tcp_keepalives_interval', '{_INTERVAL_S}', false),"
    f" set_config('tcp_keepalives_count', '{_PROBES}', false),"
    " set_config('idle_session_timeout', '0', false)"
)


def open_postgresql(url: URL, **options: Any) -> Engine:
    """An engine of SQLAlchemy with its `options`; what the URL itself says of a connection wins."""
    own = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    return create_engine(url, connect_args=own, **options)


def keep_session(connection: Connection) -> None:
    """For whoever holds a lock of the session: the server watches it, and never ends it as idle.

    It needs a session: no pooler in transaction mode may stand between.
    """
    connection.execute(_WATCHING)
