# pyright: standard
# pyarrow ships no stubs: strict rules about unknown types have nothing to hold on to.
"""The compressed form of a closed segment; no I/O but by what is handed in.

Each MiB of the plain segment is a zstd frame of its own, and before it stands a skippable frame
that says which MiB it is:

    0x184D2A50 (u32) · length of the rest (u32) · marker (8 bytes) · offset (u64) · bytes (u32)
    · bytes of the whole segment (u64) · bytes of the zstd frame (u32) · its CRC-32 (u32)
    · CRC-32 of all before (u32)

little-endian. Any zstd tool passes over skippable frames: `zstd -d` gives the plain segment.
Damage takes the MiB that it lies in; offsets of entries are those of the plain segment. What
stands behind damage is a block by the journal's marker, which no sender knows: a head that somebody
wrote into a payload is none.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import crc32

import pyarrow as pa

BLOCK_BYTES = 1024 * 1024
"""Bytes of the plain segment in a block, but for the last one."""

_SKIPPABLE = 0x184D2A50  # RFC 8878, 3.1.2
_LEVEL = 3
"""Higher ones cost three times as long for 5 % less."""
_HEAD = struct.Struct("<II8sQIQII")
_CHECK = struct.Struct("<I")
_HEAD_BYTES = _HEAD.size + _CHECK.size
_REST = _HEAD_BYTES - 8
_MAGIC = struct.pack("<II", _SKIPPABLE, _REST)
_CODEC = pa.Codec("zstd", compression_level=_LEVEL)


ReadAt = Callable[[int, int], bytes]
"""Gives up to so many bytes (second) from an offset (first) of the file."""


class _Block(NamedTuple):
    """Where the zstd frame of a block lies, how long it is, its checksum and its plain length."""

    at: int
    packed: int
    checksum: int
    length: int


def pack_block(marker: bytes, plain: bytes, offset: int, total: int) -> bytes:
    """One block: `plain` stands at `offset` of a segment of `total` bytes."""
    packed: bytes = _CODEC.compress(plain, asbytes=True)
    head = _HEAD.pack(
        _SKIPPABLE, _REST, marker, offset, len(plain), total, len(packed), crc32(packed)
    )
    return b"".join((head, _CHECK.pack(crc32(head)), packed))


class CompressedSegment:
    """Reads a compressed segment as if it were plain; what damage took reads as zeros.

    Attributes:
        length: bytes of the plain segment; 0 when no block says them.
    """

    def __init__(self, read_at: ReadAt, size: int, marker: bytes | None) -> None:
        """Find the blocks of a file of `size` bytes.

        `marker` is the journal's; None = that of the head with which the file begins.
        """
        self._read_at = read_at
        self._blocks: dict[int, _Block] = {}
        self._last: tuple[int, bytes] = (-1, b"")
        self.length = 0
        for number, total, block in _find_blocks(read_at, size, marker):
            self._blocks[number] = block
            self.length = total

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset` of the plain segment."""
        end = min(offset + size, self.length)
        if end <= offset:
            return b""
        first = offset // BLOCK_BYTES
        blocks = map(self._unpack, range(first, (end - 1) // BLOCK_BYTES + 1))
        begin = first * BLOCK_BYTES
        return b"".join(blocks)[offset - begin : end - begin]

    def _unpack(self, number: int) -> bytes:
        """The plain bytes of a block; the last one is kept, for reads rarely end with a block."""
        if self._last[0] != number:
            length = min(BLOCK_BYTES, self.length - number * BLOCK_BYTES)
            self._last = number, self._unpack_sound(number) or bytes(length)
        return self._last[1]

    def _unpack_sound(self, number: int) -> bytes | None:
        block = self._blocks.get(number)
        if block is None:
            return None
        packed = self._read_at(block.at, block.packed)
        if crc32(packed) != block.checksum:
            return None
        return _CODEC.decompress(packed, block.length, asbytes=True)


def _find_blocks(
    read_at: ReadAt, size: int, marker: bytes | None
) -> Iterator[tuple[int, int, _Block]]:
    """(number, bytes of the whole segment, block) of every block with a sound head."""
    at = 0
    while 0 <= at <= size - _HEAD_BYTES:
        head = _unpack_head(read_at(at, _HEAD_BYTES))
        if marker is None:
            if head is None:
                return
            marker = head[2]
        if head is None or head[2] != marker:
            at = _find_magic(read_at, at + 1)
            continue
        _, _, _, offset, length, total, packed, checksum = head
        begin = at + _HEAD_BYTES
        yield offset // BLOCK_BYTES, total, _Block(begin, packed, checksum, length)
        at = begin + packed


def _unpack_head(chunk: bytes) -> tuple[int, int, bytes, int, int, int, int, int] | None:
    """The fields of a head; None when it is damaged."""
    head, check = chunk[: _HEAD.size], chunk[_HEAD.size :]
    if len(check) < _CHECK.size or crc32(head) != _CHECK.unpack(check)[0]:
        return None
    return _HEAD.unpack(head)


def _find_magic(read_at: ReadAt, at: int) -> int:
    """Where a head may begin next, or -1."""
    while len(chunk := read_at(at, BLOCK_BYTES)) >= len(_MAGIC):
        if (found := chunk.find(_MAGIC)) >= 0:
            return at + found
        at += len(chunk) - len(_MAGIC) + 1
    return -1
