"""Appends groups of messages, each made durable by one fdatasync."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from ingest.errors import JournalError, JournalUnwritableError
from ingest.journal.compression import compress_segment
from ingest.journal.entries import (
    MARKER_BYTES,
    Entry,
    Message,
    SegmentHeader,
    decode_entries,
    encode_entries,
    encode_header,
    holds_entry,
)
from ingest.journal.lock import take_lock
from ingest.journal.segments import (
    SegmentFiles,
    compressed_path,
    find_marker,
    kept_path,
    list_segments,
    read_header,
    segment_path,
    sync_folder,
    undecoded_path,
)
from water.loading import Position

log = structlog.get_logger()

_BEGINNING = Position()


class JournalWriter:
    """The one writer of a journal folder; made by `open_journal`."""

    def __init__(
        self,
        folder: Path,
        marker: bytes,
        lock: int,
        segment_bytes: int,
        committed: Position,
        received: Mapping[str, int],
    ) -> None:
        self.marker = marker
        self._folder = folder
        self._lock = lock
        self._segment_bytes = segment_bytes
        self._committed = committed
        self._received = dict(received)
        self._file: int | None = None
        self._abandoned = -1
        self._incompressible: set[int] = set()

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
        segment, offset, entry = self._committed
        self._received = received
        self._committed = Position(segment, offset + len(frames), entry + len(messages))

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
            _write_all(file, encoded, 0)
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
            _write_all(file, frames, self._committed.offset)
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
        after: for a journal that is only now begun: the position at which the store already
            stands, so that places never repeat.
        received: for such a journal: messages a supplier that the store has already counted.

    Raises:
        JournalTakenError: another process writes there.
        JournalError: no segment can be understood, they are not of one journal, or the newest one
            can't be made durable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = take_lock(folder)
    segments = list_segments(folder)
    if len(segments) == 1 and _is_stillborn(folder, segments[0]):
        _put_aside(folder, segments.pop())
    if not segments:
        marker = os.urandom(MARKER_BYTES)
        return JournalWriter(folder, marker, lock, segment_bytes, after, received or {})
    try:
        marker = find_marker(folder, segments)
        committed, counts = _recover(folder, segments, marker)
    except JournalError:
        os.close(lock)
        raise
    return JournalWriter(folder, marker, lock, segment_bytes, committed, counts)


def _is_stillborn(folder: Path, segment: int) -> bool:
    """Whether a segment was torn while it was begun: nothing was acknowledged from it.

    A power cut may leave its first bytes, or as many zeros.
    """
    path = segment_path(folder, segment)
    if not path.exists() or read_header(folder, segment) is not None:
        return False
    return not holds_entry(path.read_bytes())


def _put_aside(folder: Path, segment: int) -> None:
    path = segment_path(folder, segment)
    aside = path.with_suffix(f".stillborn-{time.time_ns()}")
    path.rename(aside)
    sync_folder(folder)
    log.error("first segment without a header put aside, journal begun anew", file=str(aside))


def _recover(
    folder: Path, segments: Sequence[int], marker: bytes
) -> tuple[Position, dict[str, int]]:
    """The end of what is sound, made durable, and the messages a supplier; cuts a torn tail.

    Raises:
        JournalError: the newest segment holds entries, but none of this journal: nothing is cut.
    """
    headers = {segment: read_header(folder, segment) for segment in segments}
    first = max(segment for segment, header in headers.items() if header is not None)
    received: dict[str, int] = {}
    files, entry, end = SegmentFiles(folder, marker), 0, 0
    for segment in segments[segments.index(first) :]:
        header = headers[segment]
        if header is not None:
            received, entry, end = dict(header[1].received), header[1].entry, header[2]
        else:
            end = 0
        path = segment_path(folder, segment)
        content = files.read(segment, 0, files.length(segment))
        for found in decode_entries(content[end:], segment, end, marker):
            if isinstance(found, Entry):
                received[found.supplier] = found.number
                entry, end = found.entry, found.end
        torn = content[end:] if segment == segments[-1] else b""
        if end == 0 and holds_entry(torn):
            raise JournalError(f"{path}: holds entries of another journal only: move it elsewhere")
        if path.exists():  # (what is compressed was synced)
            _settle(path, content.removesuffix(torn), len(torn))
    sync_folder(folder)
    return Position(segments[-1], end, entry), received


def _settle(path: Path, kept: bytes, torn: int) -> None:
    """Make what is kept of a segment durable, and cut the torn bytes after it.

    What is read may only be in the page cache: the process ended before its sync, or the sync
    failed, after which the kernel calls the pages clean and the next sync good. So the bytes are
    written once more, to the same place, and then synced.

    Raises:
        JournalError: the disk does not take it.
    """
    if torn:
        log.warning("torn tail of the journal cut", file=path.name, bytes=torn)
    try:
        file = os.open(path, os.O_RDWR)
        try:
            _write_all(file, kept, 0)
            os.ftruncate(file, len(kept))
            os.fdatasync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise JournalError(f"{path}: can't be made durable: {error.strerror}") from error


def _write_all(file: int, chunk: bytes, offset: int) -> None:
    view = memoryview(chunk)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
