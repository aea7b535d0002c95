"""Whose journal a folder holds: the store knows each journal by the marker that its segments bear.

A position counts entries of one journal. Compared with another one's it would skip messages that
were acknowledged and never loaded: two machines that go by the same `ingest.worker`, or a folder
that was swapped. So a name belongs to the first folder that bears it, until somebody says that
this folder is gone for good.
"""

from pathlib import Path

from ingest.accounting import count_lost
from ingest.errors import JournalError
from ingest.journal.lock import is_taken
from ingest.journal.segments import count_entries, find_marker, list_segments
from ingest.ports import ReadingsSink
from ingest.settings import JournalSettings

UNKNOWN = ""
"""No folder has borne the name yet, or only under a version that kept no markers."""
FORGOTTEN = "forgotten"
"""The folder that bore the name is gone for good: an empty one may begin anew."""


def require_known(folder: Path, name: str, known: str, marker: str, *, begun: bool) -> None:
    """See that a folder is the one that the store knows.

    Args:
        folder: the journal's folder.
        name: the journal's name.
        known: what the store keeps.
        marker: what the folder bears, or would bear.
        begun: whether the folder holds any segment.

    Raises:
        JournalError: it is another one; says what to do.
    """
    if known == FORGOTTEN and begun:
        raise JournalError(
            f"{folder} holds segments, but journal {name!r} was said to be gone for good and "
            "begins anew in an empty folder: move them elsewhere"
        )
    if known in {UNKNOWN, FORGOTTEN, marker}:
        return
    found = f"bears {marker}" if begun else "is empty"
    raise JournalError(
        f"the store knows journal {name!r} by the marker {known}, and {folder} {found}: "
        "it is another machine's (give each an ingest.worker of its own), or not the folder that "
        "was here before (bring that one back). Only where that one is gone for good, with what "
        f"it had not loaded: jieshui journal forget {name}"
    )


def forget(sink: ReadingsSink, own: JournalSettings, name: str) -> dict[str, int] | None:
    """Let a journal begin anew in an empty folder; what waited in it is counted as lost.

    Args:
        sink: the store that knows the journal.
        own: the journal settings of this installation: the folder of `name` lies beside its own.
        name: the journal's name.

    Returns:
        Messages that are now counted as lost, a supplier; None: the store knew none by that name.

    Raises:
        JournalError: the folder is not gone: a process has it open, or it bears the marker.
    """
    known = sink.marker(name)
    if known in {UNKNOWN, FORGOTTEN}:
        return None
    folder = own.folder.with_name(own.folder.name + name.removeprefix(own.name))
    _require_gone(folder, known, sink.position(name).entry)
    lost = count_lost(name, sink.tallies())
    if sink.swap_marker(name, known, FORGOTTEN, lost) != FORGOTTEN:
        return None
    return {
        tally.supplier: count for tally, count in lost.items() if tally.account == "undecodable"
    }


def _require_gone(folder: Path, known: str, loaded: int) -> None:
    """See that the journal known by a marker, of which so many entries are loaded, is not there.

    Raises:
        JournalError: it is.
    """
    if is_taken(folder):
        raise JournalError(
            f"{folder} is not gone: a process has it open. What it receives from now on would be "
            "lost: stop that process first"
        )
    segments = list_segments(folder)
    if not segments or find_marker(folder, segments).hex() != known:
        return
    unloaded = max(0, count_entries(folder, segments[-1], bytes.fromhex(known)) - loaded)
    raise JournalError(
        f"{folder} is not gone: it bears the marker that the store knows, and {unloaded} of its "
        "messages are not loaded and would be lost: start ingest with it. To give them up all the "
        "same, move the folder elsewhere first"
    )
