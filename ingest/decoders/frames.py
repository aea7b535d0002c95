"""Frames of bytes in a message: as they are or written in hex, their decimal digits and clocks.

The standards that use them (CJ/T 188, SL 651) write times of China without a zone: Beijing time,
UTC+8 in the whole country and without summer time since 1992.
"""

from datetime import datetime, timedelta, timezone

from ingest.decoders.decoded import Unreadable
from water.refusals import Undecodable

BEIJING = timezone(timedelta(hours=8))


def read_frame(payload: bytes, first: bytes) -> bytes:
    """The bytes of a frame that begins with one of `first`, none of which is a hex digit's.

    Raises:
        Unreadable: neither such bytes nor pairs of hex digits (blanks between them are allowed).
    """
    if payload[:1] in first:
        return payload
    try:
        return bytes.fromhex(payload.decode("ascii"))
    except ValueError:
        raise Unreadable(Undecodable.MALFORMED, "neither a frame nor its hex") from None


def read_bcd(digits: bytes) -> int | None:
    """The number of packed decimal digits, high ones first; None where a half byte is no digit."""
    text = digits.hex()
    return int(text) if text.isdecimal() else None


def read_beijing(year: int | None, rest: bytes) -> int | None:
    """Epoch seconds of a year and month, day, hour and so on in packed decimal digits.

    None where they name no moment, as those of a meter whose clock was never set.
    """
    parts = [year, *(read_bcd(rest[i : i + 1]) for i in range(len(rest)))]
    try:
        return int(datetime(*parts, tzinfo=BEIJING).timestamp())  # pyright: ignore[reportArgumentType] - None is the TypeError below
    except (TypeError, ValueError, OverflowError):
        return None
