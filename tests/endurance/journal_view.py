"""What stands in a journal, looked at from outside: nothing is opened for writing, nothing cut."""

from pathlib import Path

from ingest.journal import Entry, JournalReader
from ingest.journal.segments import find_marker, list_segments, segment_path
from water.loading import Position

_ALL = 1 << 62
"""More entries than any journal holds."""


def read_entries(
    folder: Path, position: Position, end: Position | None = None
) -> tuple[list[Entry], Position]:
    """Every sound entry after a position and up to `end`, and the position after them.

    None = up to what the files hold: only for a journal that no process is writing, for a group
    that is half written would be taken for damage.
    """
    segments = list_segments(folder)
    if not segments:
        return [], position
    stop = end or Position(segments[-1], segment_path(folder, segments[-1]).stat().st_size, _ALL)
    reader = JournalReader(folder, find_marker(folder, segments), lambda: stop)
    entries: list[Entry] = []
    while True:
        found, position = reader.read(position)
        if not found:
            return entries, position
        entries += found
