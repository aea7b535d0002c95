"""Putting the end of a journal right when it is opened: a torn tail is cut, damage is counted."""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import structlog

from ingest.errors import JournalError
from ingest.journal.entries import (
    Entry,
    Head,
    SegmentHeader,
    decode_entries,
    holds_entry,
    read_tail,
)
from ingest.journal.segments import (
    SegmentFiles,
    read_header,
    segment_path,
    sync_folder,
    write_all,
)
from ingest.topics import NOBODY
from water.loading import Position

log = structlog.get_logger()


class Standing(NamedTuple):
    """Where a journal goes on.

    Attributes:
        committed: the end of what is durable.
        received: messages a supplier, those that damage took included.
        damaged: how many of them, a supplier, the newest segment held and no longer does; that it
            holds an earlier one no more is known from the one after it.
        sealed: whether that segment ends with damage: it stays as it is, the next one begins.
    """

    committed: Position
    received: Mapping[str, int]
    damaged: Mapping[str, int] = {}
    sealed: bool = False


def is_stillborn(folder: Path, segment: int) -> bool:
    """Whether a segment was torn while it was begun: nothing was acknowledged from it.

    A power cut may leave its first bytes, or as many zeros.
    """
    path = segment_path(folder, segment)
    if not path.exists() or read_header(folder, segment) is not None:
        return False
    return not holds_entry(path.read_bytes())


def put_aside(folder: Path, segment: int) -> None:
    """Move a stillborn segment out of the journal's way."""
    path = segment_path(folder, segment)
    aside = path.with_suffix(f".stillborn-{time.time_ns()}")
    path.rename(aside)
    sync_folder(folder)
    log.error("first segment without a header put aside, journal begun anew", file=str(aside))


def recover(
    folder: Path,
    segments: Sequence[int],
    marker: bytes,
    after: Position,
    known: Mapping[str, int],
) -> Standing:
    """Find the end of a journal and make it durable; a torn tail is cut, damage left as it is.

    Args:
        folder: the journal's.
        segments: those that are there, ascending.
        marker: the journal's.
        after: where the store stands: what lies before it was durable.
        known: messages a supplier that the store has counted as received: they were, too.

    Raises:
        JournalError: the newest segment holds entries, but none of this journal: nothing is cut.
    """
    headers = {segment: read_header(folder, segment) for segment in segments}
    first = max(segment for segment, header in headers.items() if header is not None)
    files, found = SegmentFiles(folder, marker), _Found()

    def read(segment: int) -> bytes:
        content = files.read(segment, 0, files.length(segment))
        found.read(segment, content, headers[segment], marker)
        return content

    *earlier, newest = segments[segments.index(first) :]
    for segment in earlier:
        content = read(segment)
        _settle(segment_path(folder, segment), content, len(content))
    path, content = segment_path(folder, newest), read(newest)
    tail = content[found.end :]
    if found.end == 0 and holds_entry(tail):
        raise JournalError(f"{path}: holds entries of another journal only: move it elsewhere")
    standing = found.judge(newest, tail, marker, after, known)
    _settle(path, content, standing.committed.offset)
    sync_folder(folder)
    return standing


@dataclass(slots=True)
class _Found:
    """What was read of a journal so far.

    Attributes:
        received: messages a supplier.
        entry: the count of the newest entry.
        end: the byte of its segment after it.
        uncounted: by how much `entry` is more than all that is received: the journal was begun
            anew, and its entries are counted on from another one's.
    """

    received: dict[str, int] = field(default_factory=dict[str, int])
    entry: int = 0
    end: int = 0
    uncounted: int = 0

    def read(
        self,
        segment: int,
        content: bytes,
        header: tuple[bytes, SegmentHeader, int] | None,
        marker: bytes,
    ) -> None:
        """Read the next segment."""
        self.end = 0
        if header is not None:
            _, begun, self.end = header
            self.received, self.entry = dict(begun.received), begun.entry
            self.uncounted = begun.entry - sum(begun.received.values())
        for found in decode_entries(content[self.end :], segment, self.end, marker):
            if isinstance(found, Entry):
                self.received[found.supplier] = found.number
                self.entry, self.end = found.entry, found.end

    def judge(
        self,
        segment: int,
        tail: bytes,
        marker: bytes,
        after: Position,
        known: Mapping[str, int],
    ) -> Standing:
        """Tell damage from a torn tail; `tail` follows the last sound entry of the last segment.

        Damage is what the store knows to have been durable, and else a whole frame whose checksum
        does not fit, or bytes with which no frame begins: a write that a crash ends leaves the
        beginning of a frame. A shorter copy of the journal is no damage: it ends before the place
        where the store stands.
        """
        heads, torn = read_tail(tail, marker) if self.end else ([], True)
        length = self.end + len(tail)
        if after.entry > self.entry + len(heads) and (segment, length) < after[:2]:
            after, known = Position(), {}
        received = self._add_damaged(heads, known)
        damaged = received - Counter(self.received)
        if torn and not damaged and after.entry <= self.entry:
            return Standing(Position(segment, self.end, self.entry), self.received)
        entry = max(self.entry, after.entry, received.total() + self.uncounted)
        return Standing(Position(segment, length, entry), received, damaged, sealed=True)

    def _add_damaged(self, heads: Sequence[Head | None], known: Mapping[str, int]) -> Counter[str]:
        """Messages a supplier with those that damage took; NOBODY's where it took the name too."""
        received = Counter(self.received)
        for entry, head in enumerate(heads, self.entry + 1):
            if head and head == (entry, received[head.supplier] + 1, head.supplier):
                received[head.supplier] += 1
        received |= Counter(known)
        unnamed = self.entry + len(heads) - self.uncounted - received.total()
        if unnamed > 0:
            received[NOBODY] += unnamed
        return received


def _settle(path: Path, content: bytes, end: int) -> None:
    """Make a segment durable up to `end`, and cut the torn bytes after it.

    What is read may only be in the page cache: the process ended before its sync, or the sync
    failed, after which the kernel calls the pages clean and the next sync good. So the bytes are
    written once more, to the same place, and then synced. What is compressed was synced.

    Raises:
        JournalError: the disk does not take it.
    """
    if not path.exists():
        return
    if end < len(content):
        log.warning("torn tail of the journal cut", file=path.name, bytes=len(content) - end)
    try:
        file = os.open(path, os.O_RDWR)
        try:
            write_all(file, content[:end], 0)
            os.ftruncate(file, end)
            os.fdatasync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise JournalError(f"{path}: can't be made durable: {error.strerror}") from error
