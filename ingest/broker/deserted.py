"""Sessions of this machine that the broker still deals messages to, and that no process receives.

A worker that is gone leaves its session: of a shared subscription the broker goes on dealing it a
share, which nobody sees until a process takes its place again. What a session is subscribed to
stands beside its journal.
"""

import time
from pathlib import Path

from ingest.broker.subscriptions import read_sessions
from ingest.journal.lock import is_taken

_SETTLED_S = 120.0
"""For so long a process may be gone that starts anew."""


def list_deserted(store: Path) -> dict[str, list[str]]:
    """Name of a journal's folder that no process has open → its sessions that are subscribed.

    Args:
        store: the folder in which the journals are.
    """
    deserted: dict[str, list[str]] = {}
    for path in sorted(store.glob("*/subscriptions.json")):
        sessions = [name for name, filters in sorted(read_sessions(path).items()) if filters]
        if sessions and not is_taken(path.parent):
            deserted[path.parent.name] = sessions
    return deserted


class Deserted:
    """Tells of such sessions once they have been so for two minutes.

    Args:
        store: the folder in which the journals are.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._since: dict[str, float] = {}

    def list_settled(self) -> dict[str, list[str]]:
        """Those that nobody has taken for two minutes, as far as somebody asked meanwhile."""
        now, deserted = time.monotonic(), list_deserted(self._store)
        self._since = {name: self._since.get(name, now) for name in deserted}
        return {
            name: sessions
            for name, sessions in deserted.items()
            if now - self._since[name] >= _SETTLED_S
        }
