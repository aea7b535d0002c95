"""Opening a worker's journal where the store says that it stands, and as the one that it knows."""

import threading

import structlog
from tenacity import RetryError

from ingest.errors import JournalError
from ingest.groups import Loaded
from ingest.journal import JournalWriter, open_journal
from ingest.journal.segments import list_segments
from ingest.loader import begin_after
from ingest.markers import require_known
from ingest.outages import until_it_answers
from ingest.ports import ReadingsSink
from ingest.settings import JournalSettings
from water.loading import Position

log = structlog.get_logger()


def open_own_journal(
    settings: JournalSettings, sink: ReadingsSink, stop: threading.Event
) -> tuple[JournalWriter, Loaded]:
    """Open the journal of a name, once the store says that this folder bears it.

    Returns:
        The journal, and how far it is loaded.

    Raises:
        JournalError: the folder can't be used as it is.
        JournalTakenError: another process has it.
        RetryError: `stop` was set while the store was away.
    """
    after, received, loaded = until_it_answers(lambda: begin_after(sink, settings.name), stop)
    journal = open_journal(settings.folder, settings.segment_bytes, after=after, received=received)
    try:
        _claim(journal, settings, sink, after, stop)
    except (JournalError, RetryError):
        journal.close()
        raise
    return journal, Loaded(after.entry, loaded)


def _claim(
    journal: JournalWriter,
    settings: JournalSettings,
    sink: ReadingsSink,
    after: Position,
    stop: threading.Event,
) -> None:
    """See that the folder is the one that bears the name, and let the store know it."""
    folder, name, marker = settings.folder, settings.name, journal.marker.hex()
    known = until_it_answers(lambda: sink.marker(name), stop)
    require_known(folder, name, known, marker, begun=bool(list_segments(folder)))
    if after.entry > journal.committed().entry:
        raise JournalError(
            f"{folder}: the store has loaded {after.entry} entries of journal {name!r}, "
            f"this folder holds {journal.committed().entry}: "
            "bring the right folder back or give the journal a new name"
        )
    if journal.found.sealed:
        log.error(
            "journal ends with damage: what nobody had loaded counts as lost, a new segment begins",
            folder=str(folder),
            segment=journal.found.committed.segment,
            messages=dict(journal.found.damaged),
        )
    if known != marker or journal.found.sealed:
        # On the disk before the store knows it: the folder must not forget its own marker, and
        # what damage took is counted by what the next segment begins with.
        until_it_answers(lambda: journal.append(()), stop)
    if known != marker:
        known = until_it_answers(lambda: sink.swap_marker(name, known, marker), stop)
        require_known(folder, name, known, marker, begun=True)
