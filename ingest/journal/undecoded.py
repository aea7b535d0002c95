"""What each message was counted as that was not decoded: a file of JSON lines beside its segment.

A replay must know it, to move the message in its sum. A line is the CRC-32 of the rest in hex, a
blank (older lines have neither) and either of a load,
    {"first": 1, "last": 900, "counted": {"undecodable/malformed": [17, 203]}}
that every entry from `first` to `last` was counted as decoded but those listed, or of an adopted
replay,
    {"counted": {"decoded": [17]}, "mark": "replay/5/ingest"}
that these entries are counted so once the store's position under the name `mark` lies behind
them. Both are durable before the load is committed, so that nothing which the store has counted is
missing here; what was written for a load that failed is overwritten by its repetition, and a line
that a crash or a full disk tore is of such a one: the next load that is noted begins where it did.
Of any other damaged line nobody knows which entries it told of: what stands before it is as if it
had not been written.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from zlib import crc32

import msgspec
import structlog

from ingest.journal.entries import Entry
from ingest.journal.segments import list_segments, sync_folder, undecoded_path

log = structlog.get_logger()

_TORN = re.compile(rb'(?:[0-9a-f]{8} )?\{"first":(\d+),.*(?<!\})', re.DOTALL)
"""What is left of a load's line without its end."""

DECODED, UNKNOWN = "decoded", "unknown"
"""What an entry was counted as: DECODED, UNKNOWN (there is no sound record of it) or
`account/reason`."""


class _Line(msgspec.Struct, omit_defaults=True):
    first: int = 0
    last: int = 0
    counted: dict[str, list[int]] = {}
    mark: str = ""

    def each(self) -> Iterator[tuple[int, str]]:
        """Every listed entry with what it is counted as."""
        return ((entry, label) for label, listed in self.counted.items() for entry in listed)


class UndecodedLog:
    """Writes the record of a journal; used by the thread that loads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._newest = max((n for n in list_segments(folder) if _exists(folder, n)), default=-1)
        lines = _read_lines(folder, self._newest)
        self._noted_to = max((line.last for line in lines if line), default=0)
        if lines and lines[-1] is None:
            self._newest = -1  # (the next load begins the record anew)

    def note(self, entries: Sequence[Entry], undecoded: Sequence[tuple[int, str]]) -> None:
        """Keep what a load is about to count its entries as; most loads have nothing to keep.

        Args:
            entries: all of the load, in order.
            undecoded: number of each entry that is not decoded, and what it is counted as.

        Raises:
            OSError: it can't be kept; the load must not be committed.
        """
        first, last = entries[0], entries[-1]
        if not undecoded and first.entry > self._noted_to and last.segment == self._newest:
            return
        for segment, group in groupby(entries, attrgetter("segment")):
            numbers = [entry.entry for entry in group]
            counted: dict[str, list[int]] = {}
            for entry, label in undecoded:
                if numbers[0] <= entry <= numbers[-1]:
                    counted.setdefault(label, []).append(entry)
            _append(self._folder, segment, _Line(numbers[0], numbers[-1], counted))
        self._newest, self._noted_to = last.segment, max(self._noted_to, last.entry)


def note_adopted(folder: Path, segment: int, counted: dict[str, list[int]], mark: str) -> None:
    """Keep what entries of a segment are counted as once the store's `mark` lies behind them.

    Raises:
        OSError: it can't be kept; the adoption must not be committed.
    """
    _append(folder, segment, _Line(counted=counted, mark=mark))


class CountedAs:
    """What the entries of one segment were counted as."""

    def __init__(self, folder: Path, segment: int, adopted_to: Callable[[str], int]) -> None:
        """`adopted_to` gives the entry of the store's position under a mark."""
        lines = _read_lines(folder, segment)
        marks = {line.mark for line in lines if line and line.mark}
        adopted = {mark: adopted_to(mark) for mark in marks}
        self._forget()
        for line in lines:
            if line is None:
                self._forget()
            elif line.mark:
                self._adopt(line, adopted[line.mark])
            else:
                self._load(line)

    def __getitem__(self, entry: int) -> str:
        """DECODED, UNKNOWN or `account/reason`."""
        if self._begins is None or entry < self._begins:
            return self._labels.get(entry, UNKNOWN)
        return self._labels.get(entry, DECODED)

    def _forget(self) -> None:
        self._begins: int | None = None
        self._labels: dict[int, str] = {}
        self._ends = 0

    def _load(self, line: _Line) -> None:
        if self._begins is None or line.first < self._begins:
            self._begins = line.first
        if line.first <= self._ends:
            void = [entry for entry in self._labels if line.first <= entry <= line.last]
            for entry in void:
                del self._labels[entry]
        self._ends = max(self._ends, line.last)
        self._labels.update(line.each())

    def _adopt(self, line: _Line, adopted_to: int) -> None:
        self._labels.update((n, label) for n, label in line.each() if n <= adopted_to)


def _exists(folder: Path, segment: int) -> bool:
    return undecoded_path(folder, segment).exists()


def _append(folder: Path, segment: int, line: _Line) -> None:
    """Append a line; the newline comes first, so that it ends one that a crash tore."""
    path = undecoded_path(folder, segment)
    new = not path.exists()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640), "ab") as file:
            text = msgspec.json.encode(line)
            file.write(b"\n%08x %b" % (crc32(text), text))
            file.flush()
            os.fdatasync(file.fileno())
        if new:
            sync_folder(folder)
    except OSError as error:
        raise OSError(error.errno, f"can't be written: {error.strerror}", str(path)) from error


def _read_lines(folder: Path, segment: int) -> list[_Line | None]:
    """The lines of a segment's record in order; None = a damaged one."""
    path = undecoded_path(folder, segment)
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return []
    lines: list[_Line | None] = []
    next_first = 0
    for number, text in reversed([*enumerate(written.split(b"\n"), 1)]):
        if not text:
            continue
        line = _read_line(text)
        if line is None and _is_repeated(text, next_first):
            log.warning("torn line skipped", file=str(path), line=number)
            continue
        if line is None:
            log.error("damaged line, what it told of is unknown", file=str(path), line=number)
        elif line.first:
            next_first = line.first
        lines.append(line)
    return lines[::-1]


def _is_repeated(text: bytes, next_first: int) -> bool:
    """Whether a line was torn while its load was noted, and the load was noted again after it."""
    torn = _TORN.fullmatch(text)
    return torn is not None and int(torn[1]) == next_first


def _read_line(text: bytes) -> _Line | None:
    checksum, _, content = text.partition(b" ")
    if text.startswith(b"{"):
        content = text
    elif checksum != b"%08x" % crc32(content):
        return None
    try:
        return msgspec.json.decode(content, type=_Line)
    except msgspec.DecodeError:
        return None
