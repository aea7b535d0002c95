"""Whose journal a folder holds: the store knows each journal by the marker that its segments bear.

A position counts entries of one journal. Compared with another one's it would skip messages that
were acknowledged and never loaded: two machines that go by the same `ingest.worker`, or a folder
that was swapped. So a name belongs to the first folder that bears it, until somebody says that
this folder is gone for good.
"""

from pathlib import Path

from ingest.accounting import count_lost
from ingest.errors import JournalError
from ingest.ports import ReadingsSink

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


def forget(sink: ReadingsSink, name: str) -> dict[str, int] | None:
    """Let a journal begin anew in an empty folder; what waited in it is counted as lost.

    Returns:
        Messages that are now counted as lost, a supplier; None: the store knew none by that name.
    """
    known = sink.marker(name)
    if known in {UNKNOWN, FORGOTTEN}:
        return None
    lost = count_lost(name, sink.tallies())
    if sink.swap_marker(name, known, FORGOTTEN, lost) != FORGOTTEN:
        return None
    return {
        tally.supplier: count for tally, count in lost.items() if tally.account == "undecodable"
    }
