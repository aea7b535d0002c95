"""Follows the writer from a position, across segments, in bounded memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import structlog

from ingest.journal.entries import FRAME_BYTES, LOST, Entry, decode_entries, remember_names
from ingest.journal.recent import Recent
from ingest.journal.segments import SegmentFiles, kept_path, list_segments, read_header
from water.loading import Position

log = structlog.get_logger()

_CHUNK_BYTES = 1024 * 1024


@dataclass(slots=True)
class Damage:
    """What was skipped since the reader began: bytes that belonged to no sound entry."""

    bytes: int = 0
    places: int = 0


class JournalReader:
    """Reads entries in the order written, up to what the writer has made durable."""

    def __init__(
        self,
        folder: Path,
        marker: bytes,
        committed: Callable[[], Position],
        recent: Recent | None = None,
    ) -> None:
        """`committed` tells how far the journal is durable; nothing is read beyond it.

        What the writer has left in `recent` for this reader alone is not read from the files.
        """
        self.folder = folder
        self._files = SegmentFiles(folder, marker)
        self.marker = marker
        self._committed = committed
        self._closed = (-1, 0)
        self._names = remember_names()
        self._recent = recent
        self.damage = Damage()

    def up_to(self, end: Position) -> Self:
        """A reader of the same journal that reads no further than `end`."""
        return type(self)(self.folder, self.marker, lambda: end)

    def read(self, position: Position) -> tuple[list[Entry], Position]:
        """The next entries after a position (about a MiB of them), and the position after them."""
        if self._recent and (found := self._recent.read(position)):
            return found
        while True:
            end = self._committed()
            if position[:2] >= end[:2]:
                return [], position
            here = position.segment == end.segment
            stop = end.offset if here else self._find_length(position.segment)
            if position.offset >= stop:
                position = Position(self._next(position.segment, end), 0, position.entry)
                continue
            entries, position = self._read_chunk(position, stop)
            if entries:
                return entries, position

    def read_entry(self, segment: int, offset: int) -> Entry | None:
        """The entry at a place, or None when it is damaged or no longer kept."""
        try:
            head = self._files.read(segment, offset, FRAME_BYTES)
            length = int.from_bytes(head[-8:-4], "little")
            chunk = self._files.read(segment, offset, FRAME_BYTES + min(length, 1 << 30))
        except FileNotFoundError:
            return None
        found = next(decode_entries(chunk, segment, offset, self.marker), None)
        return found if isinstance(found, Entry) and found.offset == offset else None

    def lost_before(self, segment: int, numbers: Mapping[str, int]) -> list[Entry]:
        """What stands for messages that damage took before a segment, by the counts in its header.

        Nothing need follow them, so that else nobody would miss them: of each supplier one entry
        with the number of its newest such message, and the others in `lost`.

        Args:
            segment: the segment that begins.
            numbers: each supplier's newest message that was read before it.
        """
        if not kept_path(self.folder, segment).exists():
            return []
        header = read_header(self.folder, segment)
        if header is None:
            return []
        _, begun, end = header
        counts = {s: (n, n - numbers.get(s, 0)) for s, n in begun.received.items()}
        missing = [(s, n, lost) for s, (n, lost) in counts.items() if lost > 0]
        written_ms = round(kept_path(self.folder, segment).stat().st_mtime * 1000)
        return [
            Entry(segment, 0, end, entry, number, supplier, "", b"", written_ms, LOST, lost - 1)
            for entry, (supplier, number, lost) in enumerate(
                missing, begun.entry - len(missing) + 1
            )
        ]

    def _read_chunk(self, position: Position, stop: int) -> tuple[list[Entry], Position]:
        """Entries of one stretch of one segment; the stretch grows until it holds a whole one."""
        segment, offset, entry = position
        if offset == 0:
            header = read_header(self.folder, segment)
            offset = header[2] if header else 0
        newest = self._newest_entry(segment)
        size = _CHUNK_BYTES
        while True:
            chunk = self._files.read(segment, offset, min(size, stop - offset))
            entries, reached = self._sound(chunk, segment, offset, range(entry + 1, newest))
            if reached > offset:
                last = entries[-1].entry if entries else entry
                return entries, Position(segment, reached, last)
            if offset + len(chunk) >= stop:
                self._skip(segment, offset, stop)
                return [], Position(segment, stop, entry)
            size *= 4

    def _sound(
        self, chunk: bytes, segment: int, base: int, wanted: range
    ) -> tuple[list[Entry], int]:
        """Entries whose count is `wanted`, and the byte up to which the chunk is read.

        A group whose fdatasync failed was not acknowledged and may still be found at the end of
        its segment; the next segment's header says where the journal really went on.
        """
        entries: list[Entry] = []
        reached = base
        for found in decode_entries(chunk, segment, base, self.marker, self._names):
            if isinstance(found, Entry):
                entries.append(found)
            else:
                self._skip(segment, *found)
                reached = found[1]
        if entries:
            reached = max(reached, entries[-1].end)
            if entries[0].entry not in wanted or entries[-1].entry not in wanted:
                entries = [entry for entry in entries if entry.entry in wanted]
        return entries, reached

    def _skip(self, segment: int, first: int, end: int) -> None:
        if end > first:
            self.damage.bytes += end - first
            self.damage.places += 1
            log.error("journal damage skipped", segment=segment, offset=first, bytes=end - first)

    def _find_length(self, segment: int) -> int:
        """Bytes of a closed segment; one of which nothing can be read is damage as a whole."""
        length, path = self._files.length(segment), kept_path(self.folder, segment)
        if not length and path.exists():
            self._skip(segment, 0, path.stat().st_size)
        return length

    def _newest_entry(self, segment: int) -> int:
        """One more than the count of the newest entry that belongs to a segment."""
        if self._closed[0] == segment:
            return self._closed[1]
        end = self._committed()
        if segment < end.segment:
            header = read_header(self.folder, self._next(segment, end))
            if header is not None:
                self._closed = segment, header[1].entry + 1
                return self._closed[1]
        return end.entry + 1

    def _next(self, segment: int, end: Position) -> int:
        """The segment after one; a segment that is missing is passed over."""
        later = (number for number in list_segments(self.folder) if number > segment)
        return min(later, default=end.segment)
