"""The form of a segment: bytes in, entries out; no I/O.

A segment is a header and entries, each framed as

    marker (8 bytes) · length of the body (u32) · CRC-32 of the body (u32) · body

little-endian. The marker is 8 random bytes drawn when the journal began and the same in all of
its segments: after damage the next entry is found by it, and no sender can put a forged entry
into a payload. The body of the header is JSON; that of an entry is

    entry (u64) · number (u64) · received_ms (i64) · flags (u8) · lengths of supplier (u8) and
    topic (u16) · supplier · topic · payload

`entry` counts all entries since the journal began, `number` those of the supplier, both from 1:
so what damage took is known exactly, supplier by supplier.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from zlib import crc32

import msgspec

from ingest.remembered import Remembered
from water.tuples import make_tuple

RETAINED, REPEATED, OVERSIZE, LOST = 1, 2, 4, 8
"""Flags: replayed by the broker on subscription; sent again (DUP); payload cut, it was too long;
never written: stands for a message that damage took."""

_TOPICS = 131_072
"""Topics whose names are remembered: 40 MB."""

MARKER_BYTES = 8
FRAME_BYTES = MARKER_BYTES + 8
_FRAME = struct.Struct("<II")
_MARKED = struct.Struct(f"<{MARKER_BYTES}sII")
_BODY = struct.Struct("<QQqBBH")
_WHOLE = struct.Struct(f"<{MARKER_BYTES}sIIQQqBBH")
"""A frame and what stands before the names of the body in it."""
HEAD_BYTES = _WHOLE.size
"""What stands before the names of an entry."""
_LENGTHS_BYTES = 3
"""The lengths of the names, directly before them."""


class Message(NamedTuple):
    """A message as it arrived: what the journal is asked to keep."""

    supplier: str
    topic: str
    payload: bytes
    received_ms: int
    flags: int = 0


class Entry(NamedTuple):
    """A message as the journal holds it, with its place (`offset` to `end` in `segment`).

    `lost` messages of its supplier, directly before it, are not in the journal any more: damage
    took them. Whoever reads in order fills it in.
    """

    segment: int
    offset: int
    end: int
    entry: int
    number: int
    supplier: str
    topic: str
    payload: bytes
    received_ms: int
    flags: int
    lost: int = 0


class Head(NamedTuple):
    """What a whole frame says of the entry in it, although its checksum does not fit."""

    entry: int
    number: int
    supplier: str


class SegmentHeader(msgspec.Struct, frozen=True):
    """What stood when a segment began: the entries before it and the messages a supplier."""

    segment: int
    entry: int
    received: dict[str, int]


def frame(marker: bytes, body: bytes) -> bytes:
    """Put the marker, length and checksum before a body."""
    return _MARKED.pack(marker, len(body), crc32(body)) + body


def encode_header(marker: bytes, header: SegmentHeader) -> bytes:
    """The bytes with which a segment begins."""
    return frame(marker, msgspec.json.encode(header))


def decode_header(chunk: bytes) -> tuple[bytes, SegmentHeader, int] | None:
    """Marker, header and length of the header, or None when the bytes hold no sound one."""
    marker = chunk[:MARKER_BYTES]
    body = _body_at(chunk, 0, marker)
    if body is None:
        return None
    try:
        header = msgspec.json.decode(body, type=SegmentHeader)
    except msgspec.DecodeError:
        return None
    return marker, header, FRAME_BYTES + len(body)


def encode_entries(
    marker: bytes, entry: int, numbers: dict[str, int], messages: Iterable[Message]
) -> bytes:
    """The bytes of a group; one loop without calls of our own, for it runs for every message.

    Args:
        marker: the journal's.
        entry: the count of the newest entry before the group.
        numbers: each supplier's newest number before the group; brought up to date.
        messages: the group.
    """
    pieces: list[bytes] = []
    known = numbers.get
    for count, (supplier, topic, payload, received_ms, flags) in enumerate(messages, entry + 1):
        numbers[supplier] = number = known(supplier, 0) + 1
        owner, name = supplier.encode(), topic.encode()
        head = _BODY.pack(count, number, received_ms, flags, len(owner), len(name))
        body = b"".join((head, owner, name, payload))
        pieces.append(_MARKED.pack(marker, len(body), crc32(body)))
        pieces.append(body)
    return b"".join(pieces)


Names = Mapping[bytes, tuple[str, str]]
"""Supplier and topic as an entry has them, with the lengths before → both as texts."""


def remember_names() -> Names:
    """For who reads many entries: names are decoded once and stand in memory once."""
    return Remembered(_decode_names, _TOPICS)


def decode_entries(
    chunk: bytes, segment: int, base: int, marker: bytes, names: Names | None = None
) -> Iterator[Entry | tuple[int, int]]:
    """Every whole entry of a chunk that lies at byte `base` of a segment; one loop, as above.

    Bytes that belong to no entry come out as (first, end) of the damage, once a sound entry
    follows them; what is left at the end of the chunk is for the caller to read on from.
    """
    names = remember_names() if names is None else names
    at, size = 0, len(chunk)
    while at + _WHOLE.size <= size:
        (mark, length, checksum, entry, number, received_ms, flags,
         supplier_bytes, topic_bytes) = _WHOLE.unpack_from(chunk, at)  # fmt: skip
        start = at + FRAME_BYTES
        end = start + length
        body = chunk[start:end] if mark == marker and end <= size else None
        if not body or crc32(body) != checksum:  # (zeros behind a marker are a body of no bytes)
            found = _next_sound(chunk, at, marker)
            if found < 0:
                return
            yield base + at, base + found
            at = found
            continue
        payload_at = _BODY.size + supplier_bytes + topic_bytes
        supplier, topic = names[body[_BODY.size - _LENGTHS_BYTES : payload_at]]
        yield make_tuple(
            Entry,
            (segment, base + at, base + end, entry, number, supplier, topic, body[payload_at:],
             received_ms, flags, 0),
        )  # fmt: skip
        at = end


def _decode_names(names: bytes) -> tuple[str, str]:
    """Supplier and topic."""
    topic_at = _LENGTHS_BYTES + names[0]
    return names[_LENGTHS_BYTES:topic_at].decode(), names[topic_at:].decode()


def read_tail(chunk: bytes, marker: bytes) -> tuple[list[Head | None], bool]:
    """What may have been in the bytes after the last sound entry of a segment.

    Returns:
        Of each whole frame what it says, None = nothing that can be; and whether the rest is what a
        crash leaves of a write: the beginning of a frame, zeros, or nothing.
    """
    heads: list[Head | None] = []
    at = 0
    while at + FRAME_BYTES <= len(chunk):
        mark, length, checksum = _MARKED.unpack_from(chunk, at)
        start = at + FRAME_BYTES
        left = len(chunk) - start
        if mark != marker or not _BODY.size <= length <= left:
            if left < _BODY.size or crc32(chunk[start:]) != checksum:
                break
            length = left  # only marker or length is damaged
        at = start + length
        heads.append(_read_head(chunk[start:at]))
    rest = chunk[at:]
    return heads, marker.startswith(rest[:MARKER_BYTES]) or not rest.strip(b"\0")


def holds_entry(chunk: bytes) -> bool:
    """Whether a sound entry stands anywhere in a chunk, whatever marker frames it; slow."""
    for at in range(MARKER_BYTES, len(chunk) - FRAME_BYTES + MARKER_BYTES - _BODY.size + 1):
        length, checksum = _FRAME.unpack_from(chunk, at)
        start = at + _FRAME.size
        fits = _BODY.size <= length <= len(chunk) - start
        if fits and crc32(chunk[start : start + length]) == checksum:
            return True
    return False


def _body_at(chunk: bytes, at: int, marker: bytes) -> bytes | None:
    """The body framed at `at`, or None when it is cut, damaged or not framed by `marker`."""
    if len(chunk) < at + FRAME_BYTES or not chunk.startswith(marker, at):
        return None
    length, checksum = _FRAME.unpack_from(chunk, at + MARKER_BYTES)
    start = at + FRAME_BYTES
    body = chunk[start : start + length]
    return body if 0 < length == len(body) and crc32(body) == checksum else None


def _read_head(body: bytes) -> Head | None:
    entry, number, _, _, supplier_bytes, _ = _BODY.unpack_from(body)
    try:
        supplier = body[_BODY.size : _BODY.size + supplier_bytes].decode()
    except UnicodeDecodeError:
        return None
    return Head(entry, number, supplier)


def _next_sound(chunk: bytes, at: int, marker: bytes) -> int:
    """Where the next sound frame begins after `at`, or -1."""
    found = chunk.find(marker, at + 1)
    while found >= 0 and _body_at(chunk, found, marker) is None:
        found = chunk.find(marker, found + 1)
    return found
