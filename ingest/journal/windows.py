"""Where in a journal the messages of a span of time stand."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ingest.journal.entries import Entry, decode_entries, decode_header
from ingest.journal.segments import SegmentFiles, list_segments
from water.loading import Position

_SLACK_MS = 10 * 60_000
"""A segment whose neighbours say that it lies so far outside of a span is not read for it: the
clock that dates arrivals may be set back by less."""
_FIRST_SEGMENT = 1
"""What a journal begins with: as long as it is there, nothing was dropped."""
_READ_BYTES = (64 * 1024, 4 * 1024 * 1024)


class Span(NamedTuple):
    """Read from `begin` on, up to the end of segment `last`.

    `kept_from_ms`: when the oldest message arrived that is kept, where older segments were dropped;
    None where none was, or nothing is kept.
    """

    begin: Position
    last: int
    kept_from_ms: int | None


def find_span(folder: Path, marker: bytes, end: Position, start_ms: int, end_ms: int) -> Span:
    """Where messages stand that arrived from `start_ms` on and before `end_ms`, up to `end`."""
    files = SegmentFiles(folder, marker)
    segments = [number for number in list_segments(folder) if number <= end.segment]
    firsts = [_find_first(files, marker, number) for number in segments]
    known = [first for first in firsts if first is not None]
    if not known:
        return Span(end, end.segment, None)
    begin = _find_begin(firsts, start_ms - _SLACK_MS)
    wanted = [n for n, first in enumerate(firsts) if first is None or first < end_ms + _SLACK_MS]
    last = segments[max(wanted, default=0)]
    header = decode_header(files.read(segments[begin], 0, _READ_BYTES[1]))
    entry = header[1].entry if header else 0
    kept_from_ms = known[0] if segments[0] > _FIRST_SEGMENT else None
    return Span(Position(segments[begin], 0, entry), last, kept_from_ms)


def _find_begin(firsts: Sequence[int | None], start_ms: int) -> int:
    """The first segment whose successor begins with a message of the span or a later one."""
    for number, following in enumerate(firsts[1:]):
        if following is not None and following >= start_ms:
            return number
    return len(firsts) - 1


def _find_first(files: SegmentFiles, marker: bytes, segment: int) -> int | None:
    """When the first sound message of a segment arrived."""
    for size in _READ_BYTES:
        try:
            chunk = files.read(segment, 0, size)
        except FileNotFoundError:
            return None
        header = decode_header(chunk)
        begin = header[2] if header else 0
        for found in decode_entries(chunk[begin:], segment, begin, marker):
            if isinstance(found, Entry):
                return found.received_ms
    return None
