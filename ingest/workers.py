"""Several ingest processes on one stream: what each of them calls its own.

The broker deals the messages of a shared subscription out to the group's sessions. A worker has a
journal and a session of its own under the same number, so that the process that takes a dead one's
place takes over its journal and what the broker keeps for it.
"""

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import structlog

from ingest.journal.lock import is_taken
from ingest.journal.segments import is_loaded
from ingest.places import DOORS, IMPORTS, OVERFLOW, name_place
from ingest.settings import IngestSettings, JournalSettings
from ingest.topics import TOPIC_FILTER
from water.loading import Position

log = structlog.get_logger()

_PLACE = re.compile(r"(?:-(.+))?-([1-9]\d*)")
"""What the name of a group's journal ends with: worker, if any, and number."""


def each_place(settings: IngestSettings) -> Iterator[IngestSettings]:
    """The places that a process may take, in the order to try them: one when nothing is shared."""
    if not settings.shared_group:
        yield settings
        return
    for number in count(1):
        name = f"{settings.worker}-{number}" if settings.worker else str(number)
        yield name_place(settings, name)


def list_filters(settings: IngestSettings) -> list[str]:
    """What to subscribe to."""
    filters = [TOPIC_FILTER, *(source.topic_filter for source in settings.sources)]
    group = settings.shared_group
    return [f"$share/{group}/{one}" for one in filters] if group else filters


def find_unread(settings: JournalSettings, position: Callable[[str], Position]) -> dict[str, str]:
    """Journals of this machine with unloaded messages that no process has open at the moment.

    Fewer processes than before leave them, or a process that is stopped.

    Args:
        settings: where the first journal is and what it is called, before a place is taken.
        position: how far the store has loaded a journal, by its name.

    Returns:
        Folder → how to bring it in.
    """
    unread: dict[str, str] = {}
    for folder, ending in _each_folder(settings):
        if is_taken(folder) or is_loaded(folder, position(settings.name + ending)):
            continue
        unread[str(folder)] = _how_to_load(_worker_of(ending))
    return unread


def find_abandoned(settings: IngestSettings, position: Callable[[str], Position]) -> dict[str, str]:
    """Journals with unloaded messages beside ours that no place of this configuration reads.

    A changed `shared_group`, `worker` or `pushing`, or a restore, leaves them. Each is logged as
    an error.

    Args:
        settings: as configured, before a place is taken.
        position: how far the store has loaded a journal, by its name.

    Returns:
        Folder → how to bring it in.
    """
    own = settings.journal
    abandoned: dict[str, str] = {}
    for folder, ending in _each_folder(own):
        place = _worker_of(ending)
        if _is_place(settings, place) or is_loaded(folder, position(own.name + ending)):
            continue
        abandoned[str(folder)] = _how_to_load(place)
        log.error("journal is read by nobody", folder=str(folder), mend=abandoned[str(folder)])
    return abandoned


def _each_folder(own: JournalSettings) -> Iterator[tuple[Path, str]]:
    """The folders of journals on this machine, with what their names have after the first one's."""
    for folder in sorted(own.folder.parent.glob(f"{own.folder.name}*/")):
        yield folder, folder.name.removeprefix(own.folder.name)


def _worker_of(ending: str) -> str:
    """What the journal of the worker ends with whose overflow this is; else the same ending."""
    return ending if IMPORTS.fullmatch(ending) else ending.removesuffix(OVERFLOW)


def _is_place(settings: IngestSettings, ending: str) -> bool:
    if door := DOORS.fullmatch(ending):
        return settings.pushing and (door[1] or "") == settings.worker
    if not settings.shared_group:
        return not ending
    numbered = _PLACE.fullmatch(ending)
    return numbered is not None and (numbered[1] or "") == settings.worker


def _how_to_load(ending: str) -> str:
    if IMPORTS.fullmatch(ending):
        return "where no import is running: jieshui import readings, without a file"
    until = "until jieshui status shows nothing waiting"
    if door := DOORS.fullmatch(ending):
        worker = f'ingest.worker = "{door[1] or ""}"'
        return f"start api with api.push = true and {worker} {until}"
    numbered = _PLACE.fullmatch(ending)
    if ending and not numbered:
        return "ingest names no journal so: move the folder elsewhere"
    start = "start ingest without ingest.shared_group"
    if numbered:
        worker = f'ingest.worker = "{numbered[1] or ""}"'
        start = f"start ingest {numbered[2]} times with ingest.shared_group and {worker}"
    return f"{start} {until}"
