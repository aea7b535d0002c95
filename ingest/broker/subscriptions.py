"""What a session is subscribed to, kept beside the journal: MQTT has no way of asking a broker.

A session outlives its configuration. A filter that is configured no longer stays subscribed in it
until it is unsubscribed by name, so names are kept: before a filter is subscribed to, until the
broker has confirmed that it is gone.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

from ingest.settings import MqttSettings

log = structlog.get_logger()


class Subscriptions:
    """The filters of one session, in a file that several sessions may stand in.

    Args:
        path: the file; it is no loss.
        settings: name the broker and the session.
    """

    def __init__(self, path: Path, settings: MqttSettings) -> None:
        self._path = path
        self._session = f"{settings.client_id}@{settings.host}:{settings.port}"

    def load(self) -> set[str]:
        """Every filter that the session may be subscribed to."""
        return set(read_sessions(self._path).get(self._session, ()))

    def keep(self, filters: Iterable[str]) -> None:
        """Remember that it may be subscribed to exactly these; a disk that is full is said."""
        sessions = read_sessions(self._path)
        wanted = sorted(filters)
        if sessions.get(self._session) == wanted:
            return
        aside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(msgspec.json.encode({**sessions, self._session: wanted}))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except OSError as error:
            log.warning("subscriptions can't be remembered", file=str(self._path), error=str(error))


def read_sessions(path: Path) -> dict[str, list[str]]:
    """Every session that stands in a file, with its filters."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        log.warning("subscriptions can't be read", file=str(path), error=str(error))
        return {}
