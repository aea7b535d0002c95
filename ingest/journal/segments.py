"""The files of a journal: one folder, one file a segment, numbered."""

import os
from pathlib import Path

from ingest.errors import JournalError
from ingest.journal.entries import SegmentHeader, decode_header
from water.loading import Position

_SUFFIX = ".journal"
_HEADER_LIMIT = 1024 * 1024
"""Bytes read for a header; it holds one short count a supplier."""


def segment_path(folder: Path, segment: int) -> Path:
    """The file of a segment."""
    return folder / f"{segment:012d}{_SUFFIX}"


def list_segments(folder: Path) -> list[int]:
    """The numbers of the segments that are there, ascending."""
    names = (path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}"))
    return sorted(int(name) for name in names if name.isdigit())


def read_header(folder: Path, segment: int) -> tuple[bytes, SegmentHeader, int] | None:
    """Marker, header and its length; None when the header is torn or damaged."""
    with segment_path(folder, segment).open("rb") as file:
        return decode_header(file.read(_HEADER_LIMIT))


def find_marker(folder: Path, segments: list[int]) -> bytes:
    """The marker that all segments with a sound header have.

    Raises:
        JournalError: not one has a sound header, or segments of two journals lie here.
    """
    owners: dict[bytes, Path] = {}
    for segment in segments:
        header = read_header(folder, segment)
        if header is not None:
            owners.setdefault(header[0], segment_path(folder, segment))
    if not owners:
        raise JournalError(f"{folder}: no segment of the journal has a sound header")
    marker, *others = owners
    if others:
        raise JournalError(
            f"{owners[marker]} and {owners[others[0]]} are segments of two journals: "
            "leave those of one in this folder and move the others elsewhere"
        )
    return marker


def is_loaded(folder: Path, position: Position) -> bool:
    """Whether all that a journal holds lies before a position."""
    segments = list_segments(folder)
    if not segments:
        return True
    size = segment_path(folder, segments[-1]).stat().st_size
    header = read_header(folder, segments[-1])
    if header is not None and size == header[2]:
        return header[1].entry <= position.entry
    return (segments[-1], size) <= position[:2]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
