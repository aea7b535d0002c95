"""Appends groups of messages, each made durable by one fdatasync."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.errors import JournalError, JournalUnwritableError
from ingest.journal.compression import compress_segment
from ingest.journal.entries import (
    MARKER_BYTES,
    Message,
    SegmentHeader,
    encode_entries,
    encode_header,
)
from ingest.journal.lock import take_lock
from ingest.journal.recent import Recent
from ingest.journal.recovery import Standing, is_stillborn, put_aside, recover
from ingest.journal.segments import (
    compressed_path,
    find_marker,
    kept_path,
    list_segments,
    read_header,
    segment_path,
    sync_folder,
    undecoded_path,
    write_all,
)
from water.loading import Position

_BEGINNING = Position()


class JournalWriter:
    """The one writer of a journal folder; made by `open_journal`."""

    def __init__(
        self,
        folder: Path,
        marker: bytes,
        lock: int,
        segment_bytes: int,
        found: Standing,
    ) -> None:
        """`found` is how the journal stood when it was opened.

        `recent` is told of every group, if there is one.
        """
        self.marker = marker
        self.found = found
        self._folder = folder
        self._lock = lock
        self._segment_bytes = segment_bytes
        self._committed = found.committed
        self._received = dict(found.received)
        self._file: int | None = None
        self._abandoned = found.committed.segment if found.sealed else -1
        self._incompressible: set[int] = set()
        self.recent: Recent | None = None

    def committed(self) -> Position:
        """The end of what is durable."""
        return self._committed

    def received(self) -> dict[str, int]:
        """Messages a supplier since the journal began."""
        return dict(self._received)

    def received_of(self, supplier: str) -> int:
        """Messages of one supplier since the journal began."""
        return self._received.get(supplier, 0)

    def append(self, messages: Sequence[Message]) -> None:
        """Make a group durable: on return, and not before, it may be acknowledged.

        Raises:
            JournalUnwritableError: nothing of the group counts; it may be tried again.
        """
        received = dict(self._received)
        frames = encode_entries(self.marker, self._committed.entry, received, messages)
        try:
            file = self._open_segment(len(frames))
            self._write(file, frames)
        except OSError as error:
            raise JournalUnwritableError(f"{self._folder}: {error.strerror}") from error
        begin, numbers = self._committed, self._received
        end = Position(begin.segment, begin.offset + len(frames), begin.entry + len(messages))
        self._received, self._committed = received, end
        if self.recent:
            self.recent.note(begin, end, numbers, messages)

    def drop_loaded(self, loaded: Position, keep_s: float, needed: int | None = None) -> int:
        """Delete segments that are loaded, were closed `keep_s` ago and lie before `needed`.

        Age is by the machine's clock and the file's time, which is set when the segment closes;
        not by the clock handed in: a replay that runs fast must not throw away today's archive.
        It is also the margin for a store that a power cut takes back to an older position.

        Returns:
            How many went.
        """
        oldest = time.time() - keep_s
        end = min(loaded.segment, self._committed.segment)
        if needed is not None:
            end = min(end, needed)
        dropped = 0
        for segment in list_segments(self._folder):
            if segment >= end or kept_path(self._folder, segment).stat().st_mtime > oldest:
                break
            for path_of in (segment_path, compressed_path, undecoded_path):
                path_of(self._folder, segment).unlink(missing_ok=True)
            dropped += 1
        if dropped:
            sync_folder(self._folder)
        return dropped

    def compress_loaded(self, loaded: Position, rest_s: float) -> bool:
        """Compress the oldest plain segment that is loaded and was closed `rest_s` ago.

        One that could not be is left as it is until the next start: its disk may be bad there.

        Returns:
            Whether one was compressed: there may be more.
        """
        oldest = time.time() - rest_s
        end = min(loaded.segment, self._committed.segment)
        for segment in list_segments(self._folder):
            path = segment_path(self._folder, segment)
            if segment >= end:
                return False
            if segment in self._incompressible or not path.exists():
                continue
            if path.stat().st_mtime <= oldest:
                compressed = compress_segment(self._folder, segment, self.marker)
                if not compressed:
                    self._incompressible.add(segment)
                return compressed
        return False

    def close(self) -> None:
        """Let go of the folder."""
        self._close_segment()
        os.close(self._lock)

    def _open_segment(self, size: int) -> int:
        """The file to append to; a new segment when this one is full, lost or not there yet."""
        if self._file is not None and self._committed.offset + size > self._segment_bytes:
            self._close_segment()
            self._file = self._begin_segment()
        if self._file is None:
            self._file = self._reopen_segment() or self._begin_segment()
        return self._file

    def _reopen_segment(self) -> int | None:
        """The newest segment, when it may be written on: there, sound, not full, not abandoned."""
        segment, offset, _ = self._committed
        path = segment_path(self._folder, segment)
        if segment == self._abandoned or offset >= self._segment_bytes or not path.exists():
            return None
        return os.open(path, os.O_RDWR) if read_header(self._folder, segment) else None

    def _begin_segment(self) -> int:
        segment = self._committed.segment + 1
        path = segment_path(self._folder, segment)
        header = SegmentHeader(segment, self._committed.entry, self._received)
        encoded = encode_header(self.marker, header)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            write_all(file, encoded, 0)
            os.fsync(file)
            self._date_closed(self._committed.segment)
            sync_folder(self._folder)
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        self._committed = Position(segment, len(encoded), self._committed.entry)
        return file

    def _date_closed(self, segment: int) -> None:
        path = segment_path(self._folder, segment)
        if path.exists():
            os.utime(path)

    def _write(self, file: int, frames: bytes) -> None:
        try:
            write_all(file, frames, self._committed.offset)
        except OSError:
            os.ftruncate(file, self._committed.offset)
            raise
        try:
            os.fdatasync(file)
        except OSError:
            # After a failed sync the kernel may have dropped the pages and would call the next
            # one good: this segment is over, the group goes to a new one.
            self._abandoned = self._committed.segment
            self._close_segment()
            raise

    def _close_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def open_journal(
    folder: Path,
    segment_bytes: int,
    *,
    after: Position = _BEGINNING,
    received: Mapping[str, int] | None = None,
) -> JournalWriter:
    """Open or begin the journal of a folder, and put its tail right.

    Args:
        folder: the journal's own folder.
        segment_bytes: length at which a segment is closed.
        after: the position at which the store stands: a journal that is only now begun goes on
            behind it, so that places never repeat, and so does one whose end is damaged.
        received: messages a supplier that the store has counted as received: so many have been
            durable.

    Raises:
        JournalTakenError: another process writes there.
        JournalError: no segment can be understood, they are not of one journal, or the newest one
            can't be made durable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = take_lock(folder)
    segments = list_segments(folder)
    if len(segments) == 1 and is_stillborn(folder, segments[0]):
        put_aside(folder, segments.pop())
    if not segments:
        marker, found = os.urandom(MARKER_BYTES), Standing(after, received or {})
        return JournalWriter(folder, marker, lock, segment_bytes, found)
    try:
        marker = find_marker(folder, segments)
        found = recover(folder, segments, marker, after, received or {})
    except JournalError:
        os.close(lock)
        raise
    return JournalWriter(folder, marker, lock, segment_bytes, found)
