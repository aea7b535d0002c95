"""What journals beside a worker's own are called: of its overflow, of HTTP doors, of imports."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from ingest.journal.segments import is_loaded
from ingest.settings import IngestSettings
from water.loading import Position

DOORS = re.compile(r"-http(?:-(.+))?-([1-9]\d*)")
"""What the folder of a door's journal ends with: worker, if any, and number."""
IMPORTS = re.compile(r"-import(?:-(.+))?")
"""What the folder of the imports' journal ends with: worker, if any."""
OVERFLOW = "-overflow"
"""What the folder of an overflow ends with, after that of its worker's own journal."""
_OVERFLOW_BATCH = 5_000
"""Readings in a load of an overflow: others don't wait long until the store is free for theirs."""


def each_door(
    settings: IngestSettings, position: Callable[[str], Position]
) -> Iterator[IngestSettings]:
    """The places of doors: first those that still hold something to load, then by number.

    So where fewer doors are opened than before, what the last one has left is loaded by another.
    """
    for place in _doors_begun(settings):
        if not is_loaded(place.journal.folder, position(place.journal.name)):
            yield place
    for number in count(1):
        yield name_place(settings, _named(settings, "http", str(number)))


def overflow_place(settings: IngestSettings) -> IngestSettings:
    """Beside the place of a worker that of its overflow, of which nothing stays in memory."""
    place, limits = name_place(settings, OVERFLOW.removeprefix("-")), settings.limits
    smaller = min(limits.batch_readings, _OVERFLOW_BATCH)
    return replace(
        place,
        journal=replace(place.journal, recent_messages=0),
        limits=replace(limits, batch_readings=smaller),
    )


def import_place(settings: IngestSettings) -> IngestSettings:
    """The one place of imports."""
    return name_place(settings, _named(settings, "import"))


def is_of_imports(journal: str) -> bool:
    """Whether a journal of this name is written by imports of files."""
    return IMPORTS.fullmatch(journal.removeprefix("ingest")) is not None


def name_place(settings: IngestSettings, name: str) -> IngestSettings:
    """The session and the journal of one place."""
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


def _doors_begun(settings: IngestSettings) -> Iterator[IngestSettings]:
    own = settings.journal.folder
    for folder in sorted(own.parent.glob(f"{own.name}-http-*/")):
        ending = folder.name.removeprefix(own.name)
        found = DOORS.fullmatch(ending)
        if found and (found[1] or "") == settings.worker:
            yield name_place(settings, ending.removeprefix("-"))


def _named(settings: IngestSettings, kind: str, *number: str) -> str:
    return "-".join(part for part in (kind, settings.worker, *number) if part)
