"""The files of a journal: a folder, a numbered file a segment; closed ones may be compressed."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ingest.errors import JournalError
from ingest.journal.compressed import CompressedSegment
from ingest.journal.entries import Entry, SegmentHeader, decode_entries, decode_header
from water.loading import Position

_PLAIN, _COMPRESSED, _UNDECODED = ".journal", ".journal.zst", ".undecoded"
_HEADER_LIMIT = 1024 * 1024
"""Bytes read for a header; it holds one short count a supplier."""


def segment_path(folder: Path, segment: int) -> Path:
    """The file of a segment as it is written."""
    return folder / f"{segment:012d}{_PLAIN}"


def compressed_path(folder: Path, segment: int) -> Path:
    """The file of a segment once it is compressed."""
    return folder / f"{segment:012d}{_COMPRESSED}"


def undecoded_path(folder: Path, segment: int) -> Path:
    """The file that says which of a segment's messages were not decoded."""
    return folder / f"{segment:012d}{_UNDECODED}"


def kept_path(folder: Path, segment: int) -> Path:
    """The file that holds a segment now: the plain one as long as it is there."""
    plain = segment_path(folder, segment)
    return plain if plain.exists() else compressed_path(folder, segment)


def list_segments(folder: Path) -> list[int]:
    """The numbers of the segments that are there, ascending."""
    names = {
        path.name.removesuffix(suffix)
        for suffix in (_PLAIN, _COMPRESSED)
        for path in folder.glob(f"*{suffix}")
    }
    return sorted(int(name) for name in names if name.isdigit())


class SegmentFiles:
    """Reads segments of a folder, plain or compressed, by offsets of the plain one.

    Keeps the places of the compressed segment that was read last: who reads it mostly reads on.
    `marker` is the journal's; None = what each segment itself says at its beginning.
    """

    def __init__(self, folder: Path, marker: bytes | None) -> None:
        self.folder = folder
        self._marker = marker
        self._open: tuple[int, CompressedSegment] | None = None

    def read(self, segment: int, offset: int, size: int) -> bytes:
        """Up to `size` bytes of a segment.

        Raises:
            FileNotFoundError: the segment is not kept any more.
            JournalError: its disk does not give it; names the file.
        """
        try:
            return self._read(segment, offset, size)
        except FileNotFoundError:
            raise
        except OSError as error:
            path = kept_path(self.folder, segment)
            raise JournalError(f"{path}: can't be read: {error.strerror}") from error

    def _read(self, segment: int, offset: int, size: int) -> bytes:
        try:
            with segment_path(self.folder, segment).open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError:
            return self._compressed(segment).read(offset, size)

    def length(self, segment: int) -> int:
        """Bytes of a segment; 0 when it is gone, or nothing of it can be read."""
        try:
            return segment_path(self.folder, segment).stat().st_size
        except FileNotFoundError:
            pass
        try:
            return self._compressed(segment).length
        except FileNotFoundError:
            return 0

    def _compressed(self, segment: int) -> CompressedSegment:
        if self._open is None or self._open[0] != segment:
            self._open = (
                segment,
                open_compressed(compressed_path(self.folder, segment), self._marker),
            )
        return self._open[1]


def open_compressed(path: Path, marker: bytes | None) -> CompressedSegment:
    """A compressed segment of the journal with this marker; its file is opened for each read.

    Raises:
        FileNotFoundError: it is not there.
    """

    def read_at(offset: int, size: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    return CompressedSegment(read_at, path.stat().st_size, marker)


def read_header(folder: Path, segment: int) -> tuple[bytes, SegmentHeader, int] | None:
    """Marker, header and its length; None when the header is torn or damaged."""
    return decode_header(SegmentFiles(folder, None).read(segment, 0, _HEADER_LIMIT))


def find_marker(folder: Path, segments: list[int]) -> bytes:
    """The marker that all segments with a sound header have.

    Raises:
        JournalError: not one has a sound header, or segments of two journals lie here.
    """
    owners: dict[bytes, Path] = {}
    for segment in segments:
        header = read_header(folder, segment)
        if header is not None:
            owners.setdefault(header[0], kept_path(folder, segment))
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
    size = SegmentFiles(folder, None).length(segments[-1])
    header = read_header(folder, segments[-1])
    if header is not None and size == header[2]:
        return header[1].entry <= position.entry
    return (segments[-1], size) <= position[:2]


def count_entries(folder: Path, segment: int, marker: bytes) -> int:
    """How many entries the journal had when a segment ended, as far as the segment tells."""
    files = SegmentFiles(folder, marker)
    content = files.read(segment, 0, files.length(segment))
    header = decode_header(content)
    begun, at = (header[1].entry, header[2]) if header else (0, 0)
    found = decode_entries(content[at:], segment, at, marker)
    return max((one.entry for one in found if isinstance(one, Entry)), default=begun)


class Kept(NamedTuple):
    """What a journal keeps: segments, how many of them are compressed, and bytes on the disk."""

    segments: int
    compressed: int
    bytes: int


def measure_kept(folder: Path) -> Kept:
    """What the folder of a journal holds at present; nothing where there is none."""
    sizes: dict[str, int] = {}
    for suffix in (_PLAIN, _COMPRESSED):
        for path in folder.glob(f"*{suffix}"):
            with suppress(FileNotFoundError):  # (compressed or dropped meanwhile)
                sizes[path.name] = path.stat().st_size
    compressed = sum(name.endswith(_COMPRESSED) for name in sizes)
    return Kept(len({name.partition(".")[0] for name in sizes}), compressed, sum(sizes.values()))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(file: int, chunk: bytes, offset: int) -> None:
    """Write a chunk to a place of an open file, whole."""
    view = memoryview(chunk)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
