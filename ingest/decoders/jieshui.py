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
    read_instant,
    read_json,
    read_text,
)
from water.refusals import Refusal, SetAside, Undecodable
from water.tuples import make_tuple


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


class _Plain(msgspec.Struct, gc=False):
    """A reading with nothing to settle: its instant is text, its quantities are numbers."""

    at: str | None = None
    register_m3: float | None = None
    flow_m3_h: float | None = None
    pressure_mpa: float | None = None
    level_m: float | None = None
    meter: str | None = None
    simulated: bool | None = False


class _PlainMessage(_Plain, gc=False):
    readings: list[_Plain] | None = None


_ONE_PLAIN = msgspec.json.Decoder(_PlainMessage)
_MANY_PLAIN = msgspec.json.Decoder(list[_Plain])
_ONE = msgspec.json.Decoder(_Message)
_MANY = msgspec.json.Decoder(list[_Reading])


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one message of our own dialect."""
    meter, _, kind = rest.rpartition("/")
    if kind == "status":
        return SetAside.STATUS
    if kind == "event":
        return SetAside.EVENT
    if kind != "reading" or not meter:
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    return _decode_plain(payload, meter) or _decode_any(payload, meter)


def _decode_plain(payload: bytes, meter: str) -> list[Decoded] | None:
    """The readings of a message in which all is as it should be; None: look closer.

    Gives what `_decode_any` gives, without asking of each value what it is: msgspec takes
    only finite numbers. One loop, for nearly every reading of a city goes through it.
    """
    readings: list[Decoded] = []
    try:
        for item in _plain_items(payload):
            register, flow = item.register_m3, item.flow_m3_h
            pressure, level = item.pressure_mpa, item.level_m
            if item.simulated or register is flow is pressure is level is None:
                return None
            address = meter if item.meter is None else read_text(item.meter)
            at = read_instant(item.at)
            values = (address, at, register, flow, pressure, level, 0, None, "")
            readings.append(make_tuple(Decoded, values))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return readings


def _plain_items(payload: bytes) -> Sequence[_Plain]:
    if payload[:1] == b"[":
        return _MANY_PLAIN.decode(payload)
    message = _ONE_PLAIN.decode(payload)
    if message.readings is None or message.simulated:
        return (message,)
    return message.readings


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
    return message.readings, message.simulated is True


def _decode_item(item: _Reading, meter: str) -> Decoded:
    address = meter if item.meter is None else read_text(item.meter)
    reading = decode_reading(
        address, item.at, (item.register_m3, item.flow_m3_h, item.pressure_mpa, item.level_m)
    )
    if item.simulated is True:
        return reading._replace(refusal=Refusal.SIMULATED, detail="")
    return reading
