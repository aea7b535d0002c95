"""What stands in a journal, looked at from outside: nothing is opened for writing, nothing cut."""

from pathlib import Path

from ingest.journal import Entry, JournalReader
from ingest.journal.segments import find_marker, list_segments, segment_path
from water.loading import Position

_ALL = 1 << 62
"""More entries than any journal holds."""


def read_entries(folder: Path, position: Position) -> tuple[list[Entry], Position]:
    """Every sound entry after a position, and the position after them."""
    segments = list_segments(folder)
    if not segments:
        return [], position
    newest = segments[-1]
    end = Position(newest, segment_path(folder, newest).stat().st_size, _ALL)
    reader = JournalReader(folder, find_marker(folder, segments), lambda: end)
    entries: list[Entry] = []
    while True:
        found, position = reader.read(position)
        if not found:
            return entries, position
        entries += found
