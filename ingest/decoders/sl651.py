"""SL 651-2014: reports of hydrological stations, as a gateway passes them on.

One frame a message, as bytes or in hex, in the coding HEX/BCD (7E7E first; not the one in ASCII):
`7E7E centre station[5] password[2] function length[2] 02 body end CRC[2]`. The high bit of the
length is set on the way down; the CRC is that of Modbus, high byte first, over all before it. The
body is serial number, time of sending, F1F1 station and its kind, F0F0 time of observation (Beijing
time, to the minute), then elements: identifier, a byte with their length (high 5 bits) and decimals
(low 3 bits), packed decimal digits, a negative number after FF (section 6.6.3). FF all through
stands for no value. An identifier FF takes a second byte: the sender's own elements.

Read are the reports 32H timed, 33H extra, 34H hourly and 37H asked for. The elements are those of
`_ELEMENTS` (annex C, table C.1). None of them is a register: 60H to 67H are volumes left of a
prepayment, 68H to 6FH those of an hour. An element that a station has eight of has its number in
the address: 0012345678-2.

Source of the frames in the tests: toymoban.com/news/detail-686475.html, "SL651-2014全协议解析".
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from ingest.decoders.decoded import Decoded, Unreadable
from ingest.decoders.frames import read_bcd, read_beijing, read_frame
from water.refusals import Refusal, SetAside, Undecodable

_START = b"\x7e\x7e"
_SINGLE, _ENDS = 0x02, (0x03, 0x17)
_HEAD, _TAIL = 14, 3
_SENT = 8
_STATION, _OBSERVED, _OWN = b"\xf1\xf1", b"\xf0\xf0", 0xFF
_NO_VALUE = 0xFF
_KEEP_ALIVE, _TEST, _SERIES = 0x2F, 0x30, (0x31, 0x38)
_REPORTS = (0x32, 0x33, 0x34, 0x37)


class _Element(NamedTuple):
    """What an identifier stands for: part of the address, quantity, size of its unit in ours."""

    suffix: str
    quantity: str
    size: Fraction


def _eight(first: int, quantity: str, size: Fraction) -> dict[int, _Element]:
    return {first + i: _Element(f"-{i + 1}", quantity, size) for i in range(8)}


_M3_S, _M, _KPA = Fraction(3600), Fraction(1), Fraction(1, 1000)
_ELEMENTS = {
    0x27: _Element("", "flow_m3_h", _M3_S),
    **_eight(0x28, "flow_m3_h", _M3_S),
    0x39: _Element("", "level_m", _M),
    0x3A: _Element("-down", "level_m", _M),
    0x3B: _Element("-up", "level_m", _M),
    **_eight(0x3C, "level_m", _M),
    **_eight(0x58, "pressure_mpa", _KPA),
}
"""27H flow; 28H to 2FH those of outlets 1 to 8; 39H level of a river, 3AH below and 3BH above a
gate, weir or dam, 3CH to 43H at outlets 1 to 8; 58H to 5FH pressures 1 to 8."""


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one frame."""
    frame = _check_frame(read_frame(payload, _START))
    function = frame[10]
    if frame[11] & 0x80:
        return SetAside.EVENT
    if function == _KEEP_ALIVE:
        return SetAside.STATUS
    if function == _TEST:
        return SetAside.SIMULATED
    if function in _SERIES:
        raise Unreadable(Undecodable.NO_QUANTITY, f"series of function {function:02X}")
    if function not in _REPORTS:
        return SetAside.EVENT
    readings = _decode_body(frame[3:8].hex(), frame[_HEAD + _SENT : -_TAIL])
    if not readings:
        raise Unreadable(Undecodable.NO_QUANTITY)
    return readings


def _check_frame(frame: bytes) -> bytes:
    """The frame, if its marks, its length and its CRC are right."""
    if len(frame) < _HEAD + _TAIL or frame[:2] != _START:
        raise Unreadable(Undecodable.MALFORMED, "no frame from 7E7E on")
    length = int.from_bytes(frame[11:13]) & 0x0FFF
    if len(frame) != _HEAD + length + _TAIL:
        raise Unreadable(Undecodable.MALFORMED, f"{len(frame)} bytes with a length of {length}")
    given, computed = int.from_bytes(frame[-2:]), _crc(frame[:-2])
    if given != computed:
        raise Unreadable(Undecodable.MALFORMED, f"CRC {given:04X}, computed {computed:04X}")
    if not frame[11] & 0x80 and (frame[13] != _SINGLE or frame[-3] not in _ENDS):
        raise Unreadable(Undecodable.MALFORMED, "one of several frames")
    return frame


def _divide(byte: int) -> int:
    """What a byte does to the CRC."""
    for _ in range(8):
        byte = (byte >> 1) ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRCS = [_divide(byte) for byte in range(256)]


def _crc(frame: bytes) -> int:
    """CRC-16/MODBUS."""
    crc = 0xFFFF
    for byte in frame:
        crc = crc >> 8 ^ _CRCS[(crc ^ byte) & 0xFF]
    return crc


def _decode_body(station: str, body: bytes) -> list[Decoded]:
    """The readings of a body, one an address and instant of observation."""
    readings: dict[tuple[str, bytes], Decoded] = {}
    observed = b""
    for identifier, decimals, value in _split(body):
        if identifier == _STATION:
            station = value[:5].hex()
        elif identifier == _OBSERVED:
            observed = value
        elif len(identifier) == 1 and identifier[0] in _ELEMENTS:
            element = _ELEMENTS[identifier[0]]
            key = station + element.suffix, observed
            reading = readings.get(key) or _start_reading(*key)
            readings[key] = _add(reading, element, decimals, value)
    return list(readings.values())


def _split(body: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Identifier, decimals and value of each part of a body.

    Raises:
        Unreadable: a part is longer than what is left.
    """
    i = 0
    while i < len(body):
        identifier, decimals = body[i : i + 1], 0
        if body[i : i + 2] in (_STATION, _OBSERVED):
            identifier = body[i : i + 2]
            length = 6 if identifier == _STATION else 5
            i += 2
        else:
            if body[i] == _OWN:
                identifier = body[i : i + 2]
            i += len(identifier)
            definition = int.from_bytes(body[i : i + 1])
            length, decimals = definition >> 3, definition & 7
            i += 1
        if i + length > len(body):
            raise Unreadable(Undecodable.MALFORMED, f"element {identifier.hex()} is cut off")
        yield identifier, decimals, body[i : i + length]
        i += length


def _start_reading(address: str, observed: bytes) -> Decoded:
    """A reading without quantities; refused as long as it has none."""
    if not observed:
        return Decoded(address, None, refusal=Refusal.NO_TIME)
    year = read_bcd(observed[:1])
    at = read_beijing(None if year is None else 2000 + year, observed[1:])
    if at is None:
        return Decoded(address, None, refusal=Refusal.BAD_TIME, detail=observed.hex())
    return Decoded(address, at, refusal=Refusal.SENTINEL, detail="no value")


def _add(reading: Decoded, element: _Element, decimals: int, value: bytes) -> Decoded:
    """The reading with one more quantity; without a value it stays as it is."""
    if reading.at is None or reading.refusal is Refusal.NOT_A_NUMBER:
        return reading
    if set(value) <= {_NO_VALUE}:
        return reading
    negative = len(value) > 1 and value[0] == _NO_VALUE
    number = read_bcd(value[negative:])
    if number is None:
        return Decoded(
            reading.address, reading.at, refusal=Refusal.NOT_A_NUMBER, detail=value.hex()
        )
    size = element.size
    scaled = (-number if negative else number) * size.numerator / (size.denominator * 10**decimals)
    return reading._replace(refusal=None, detail="", **{element.quantity: scaled})
