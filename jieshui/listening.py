"""The ports on which the processes of an installation listen."""

import socket
from collections.abc import Iterable

from jieshui.config import Settings
from jieshui.errors import JieshuiError


def listen(setting: str, host: str, port: int) -> socket.socket:
    """A socket bound to a port, on which nobody waits yet.

    Args:
        setting: what the configuration calls the port.
        host: the address of it.
        port: its number.

    Raises:
        JieshuiError: the port is taken, or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise JieshuiError(
            f"{setting}: can't listen on {host} port {port}: {error.strerror}"
        ) from None
    return listener


def require_free(settings: Settings, processes: Iterable[str]) -> None:
    """Say at once which port of a process is taken; port 0 is none.

    Raises:
        JieshuiError: naming its setting.
    """
    for name in processes:
        place = getattr(settings, name)
        if place.port:
            listen(f"{name}.port", place.host, place.port).close()
