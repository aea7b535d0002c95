"""Several ingest processes on one stream: what each of them calls its own. Pure.

The broker deals the messages of a shared subscription out to the group's sessions. A worker has a
journal and a session of its own under the same number, so that the process that takes a dead one's
place takes over its journal and what the broker keeps for it.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from ingest.settings import IngestSettings
from ingest.topics import TOPIC_FILTER


def each_place(settings: IngestSettings) -> Iterator[IngestSettings]:
    """The places that a process may take, in the order to try them: one when nothing is shared."""
    if not settings.shared_group:
        yield settings
        return
    for number in count(1):
        name = f"{settings.worker}-{number}" if settings.worker else str(number)
        yield _named(settings, name)


def list_filters(settings: IngestSettings) -> list[str]:
    """What to subscribe to."""
    filters = [TOPIC_FILTER, *(source.topic_filter for source in settings.sources)]
    group = settings.shared_group
    return [f"$share/{group}/{one}" for one in filters] if group else filters


def _named(settings: IngestSettings, name: str) -> IngestSettings:
    mqtt, journal = settings.mqtt, settings.journal
    return replace(
        settings,
        mqtt=replace(mqtt, client_id=f"{mqtt.client_id}-{name}"),
        journal=replace(
            journal,
            folder=journal.folder.with_name(f"{journal.folder.name}-{name}"),
            name=f"{journal.name}-{name}",
        ),
    )
