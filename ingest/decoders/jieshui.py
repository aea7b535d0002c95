"""Our own dialect: canonical JSON, one reading or many a message.

Topic `…/{meter}/reading`, `…/{meter}/status`, `…/{meter}/event`. A reading is
`{"at": "2026-01-01T00:15:00+08:00", "register_m3": 123.456, …}`; many are `{"readings": [...]}`
or a bare array. `meter` in a reading names the meter of a batch whose topic has `-`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ingest.decoders.decoded import (
    Decoded,
    Unreadable,
    decode_reading,
    read_json,
    read_text,
)
from water.refusals import Refusal, SetAside, Undecodable


class _Reading(msgspec.Struct, gc=False):
    at: Any = None
    register_m3: Any = None
    flow_m3_h: Any = None
    pressure_mpa: Any = None
    level_m: Any = None
    meter: Any = None
    simulated: Any = False


class _Message(_Reading, gc=False):
    readings: list[_Reading] | None = None


class Plain(msgspec.Struct, gc=False):
    """A reading with nothing to settle; msgspec takes only finite numbers for its quantities."""

    at: str | int | None = None
    register_m3: float | None = None
    flow_m3_h: float | None = None
    pressure_mpa: float | None = None
    level_m: float | None = None
    meter: str | None = None
    simulated: bool | None = False


class _PlainMessage(Plain, gc=False):
    readings: list[Plain] | None = None


_OPENING_BRACKET = ord("[")
_ONE_PLAIN = msgspec.json.Decoder(_PlainMessage)
_MANY_PLAIN = msgspec.json.Decoder(list[Plain])
_ONE = msgspec.json.Decoder(_Message)
_MANY = msgspec.json.Decoder(list[_Reading])


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one message of our own dialect."""
    kind = rest.rpartition("/")[2]
    if kind == "status":
        return SetAside.STATUS
    if kind == "event":
        return SetAside.EVENT
    address = read_address(rest)
    if address is None:
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    return _decode_any(payload, address)


def read_address(rest: str) -> str | None:
    """The meter that a topic of readings names ("-" = the readings do); None: it is no such."""
    meter, _, kind = rest.rpartition("/")
    return meter if meter and kind == "reading" else None


def read_plain(payload: bytes) -> Sequence[Plain]:
    """The readings of a message, if they are all plain; none where a quantity stands beside them.

    Raises:
        msgspec.DecodeError, LookupError, ValueError, RecursionError: they are not, or it is no
            message at all.
    """
    if payload[0] == _OPENING_BRACKET:
        return _MANY_PLAIN.decode(payload)
    message = _ONE_PLAIN.decode(payload)
    if message.readings is None or message.simulated:
        return (message,)
    return () if _holds_quantity(message) else message.readings


def _decode_any(payload: bytes, meter: str) -> list[Decoded] | SetAside:
    items, simulated = _items(payload)
    if not items:
        return SetAside.EMPTY
    if simulated:
        return SetAside.SIMULATED
    readings = [_decode_item(item, meter) for item in items]
    if readings[0].refusal is None:
        return readings
    if all(reading.refusal is Refusal.SIMULATED for reading in readings):
        return SetAside.SIMULATED
    if all(reading.detail == "no quantity" for reading in readings):
        raise Unreadable(Undecodable.NO_QUANTITY)
    return readings


def _items(payload: bytes) -> tuple[list[_Reading], bool]:
    """The readings of a message, and whether the message as a whole is simulated."""
    if payload.lstrip()[:1] == b"[":
        return read_json(payload, _MANY), False
    message = read_json(payload, _ONE)
    if message.readings is None:
        return [message], False
    if _holds_quantity(message):
        raise Unreadable(Undecodable.MALFORMED, "a quantity beside readings")
    return message.readings, message.simulated is True


def _holds_quantity(item: _Reading | Plain) -> bool:
    return not (item.register_m3 is item.flow_m3_h is item.pressure_mpa is item.level_m is None)


def _decode_item(item: _Reading, meter: str) -> Decoded:
    address = meter if item.meter is None else read_text(item.meter)
    reading = decode_reading(
        address, item.at, (item.register_m3, item.flow_m3_h, item.pressure_mpa, item.level_m)
    )
    if item.simulated is True:
        return reading._replace(refusal=Refusal.SIMULATED, detail="")
    return reading
