"""CJ/T 188-2004: frames of household meters, read over a wire and passed on by a collector.

One answer a message, as bytes or in hex: `68 T A0…A6 C L DATA CS 16`, behind any number of FE that
wake the line. A is the address and the maker's code, low byte first; CS the sum of all bytes
before it, modulo 256. Of water meters (T 10H to 19H) the answer to "read data" (C 81H, DI 901FH) is
read: register and its unit, register of the settlement day and its unit, clock, status, numbers in
packed decimal digits, low byte first. Makers send the two bytes of DI in either order.
The clock is Beijing time. The status is not read: makers disagree where its bits are.

Source of the frame in the tests: cnblogs.com/yangykaifa/p/7010777.html, "CJ/T-188 水表协议解析".
"""

from ingest.decoders.decoded import Decoded, Unreadable
from ingest.decoders.frames import read_bcd, read_beijing, read_frame
from water.refusals import Refusal, SetAside, Undecodable

_WAKE, _START, _END = 0xFE, 0x68, 0x16
_WATER = range(0x10, 0x1A)
_READ_DATA = 0x81
_CURRENT = (b"\x1f\x90", b"\x90\x1f")
_UNITS = {0x29: 100_000, 0x2C: 100}
"""Unit → hundredths of it in a m³: a register has two decimals; 29H is litre, 2CH m³ (table 4)."""
_HEAD, _TAIL = 11, 2
_DATA_LENGTH = 22


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one frame."""
    frame = _check_frame(read_frame(payload, bytes((_WAKE, _START))).lstrip(bytes((_WAKE,))))
    kind, control, data = frame[1], frame[9], frame[_HEAD:-_TAIL]
    if control != _READ_DATA:
        return SetAside.EVENT
    if kind not in _WATER:
        raise Unreadable(Undecodable.NO_QUANTITY, f"type {kind:02X} is no water meter")
    if data[:2] not in _CURRENT:
        raise Unreadable(Undecodable.NO_QUANTITY, f"data {data[:2].hex()}, not 901F")
    if len(data) != _DATA_LENGTH:
        raise Unreadable(Undecodable.MALFORMED, f"{len(data)} bytes of data, not {_DATA_LENGTH}")
    return [_decode_data(frame[8:1:-1].hex(), data)]


def _check_frame(frame: bytes) -> bytes:
    """The frame, if its marks, its length and its checksum are right."""
    if len(frame) < _HEAD + _TAIL or frame[0] != _START or frame[-1] != _END:
        raise Unreadable(Undecodable.MALFORMED, "no frame from 68 to 16")
    if len(frame) != _HEAD + frame[10] + _TAIL:
        raise Unreadable(Undecodable.MALFORMED, f"{len(frame)} bytes with a length of {frame[10]}")
    checksum = sum(frame[:-_TAIL]) & 0xFF
    if checksum != frame[-2]:
        detail = f"checksum {frame[-2]:02X}, computed {checksum:02X}"
        raise Unreadable(Undecodable.MALFORMED, detail)
    return frame


def _decode_data(address: str, data: bytes) -> Decoded:
    digits, unit = data[6:2:-1], data[7]
    clock = data[19:12:-1]
    at = read_beijing(read_bcd(clock[:2]), clock[2:])
    if at is None:
        return Decoded(address, None, refusal=Refusal.BAD_TIME, detail=clock.hex())
    if unit not in _UNITS:
        raise Unreadable(Undecodable.NO_QUANTITY, f"unit {unit:02X}")
    hundredths = read_bcd(digits)
    if hundredths is None:
        filled = len(set(digits)) == 1
        refusal = Refusal.SENTINEL if filled else Refusal.NOT_A_NUMBER
        return Decoded(address, at, refusal=refusal, detail=digits.hex())
    return Decoded(address, at, hundredths / _UNITS[unit])
