"""The Things Stack v3: LoRaWAN uplinks as JSON (thethingsindustries.com, its data formats).

Topic `v3/{application}@{tenant}/devices/{device}/up`. Readings are taken from `decoded_payload`,
what the payload formatter made of the bytes. Empty fields (0, false, "") are left out of a message.
A formatter may give the meter's own instant as `at` or, as the one of the Axioma Qalcosonic W1 does
(lorawan-devices, vendor/axioma), as `timestamp_unix`; else `received_at` of the network server
stands for it. That formatter's `log_volume_m3` and `delta_{n}_m3` are hours back from an instant
that no field names, so only `current_volume_m3` is read.
"""

import re
from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, decode_reading, read_json, read_text
from water.readings import Quality
from water.refusals import SetAside, Undecodable

_TOPIC = re.compile(r"(?:.*/)?v3/[^/]+/devices/([^/]+)/(.+)", re.DOTALL)


class _Row(msgspec.Struct, gc=False):
    at: Any = None
    timestamp_unix: Any = None
    register_m3: Any = None
    total_m3: Any = None
    volume_m3: Any = None
    current_volume_m3: Any = None
    history_multiplier: Any = 0
    flow_m3_h: Any = None
    flow_m3h: Any = None
    pressure_mpa: Any = None
    level_m: Any = None
    low_battery: Any = False
    pipe_empty: Any = False
    permanent_error: Any = False
    temporary_error: Any = False
    backflow: Any = False
    burst: Any = False
    leakage: Any = False


class _Payload(_Row, gc=False):
    readings: list[_Row] | None = None


class _Uplink(msgspec.Struct, gc=False):
    received_at: Any = None
    frm_payload: Any = None
    decoded_payload: _Payload | None = None


class _Device(msgspec.Struct, gc=False):
    device_id: Any = None
    dev_eui: Any = None


class _Message(msgspec.Struct, gc=False):
    end_device_ids: _Device | None = None
    received_at: Any = None
    uplink_message: _Uplink | None = None
    simulated: Any = False


_MESSAGE = msgspec.json.Decoder(_Message)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one message of a device."""
    topic = _TOPIC.fullmatch(rest)
    if topic is None:
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    if topic[2] != "up":
        return SetAside.EVENT
    message = read_json(payload, _MESSAGE)
    if message.simulated is True:
        return SetAside.SIMULATED
    uplink = message.uplink_message
    if uplink is None:
        raise Unreadable(Undecodable.MALFORMED, "no uplink_message")
    if uplink.decoded_payload is None:
        if uplink.frm_payload is None:
            return SetAside.EMPTY
        raise Unreadable(Undecodable.NO_QUANTITY, "no decoded_payload: no payload formatter")
    heard = message.received_at if uplink.received_at is None else uplink.received_at
    return _decode_payload(uplink.decoded_payload, _address(message, topic[1]), heard)


def _address(message: _Message, device: str) -> str:
    """The device's EUI in lower case; its id where it has none (activated by hand)."""
    ids = message.end_device_ids
    named = (read_text(ids.dev_eui) or read_text(ids.device_id)) if ids else ""
    return (named or device).lower()


def _decode_payload(payload: _Payload, address: str, heard: object) -> list[Decoded] | SetAside:
    rows = [payload] if payload.readings is None else payload.readings
    if not rows:
        return SetAside.EMPTY
    if any(row.history_multiplier != 0 for row in rows):
        raise Unreadable(Undecodable.NO_QUANTITY, "history_multiplier: volumes of unknown scale")
    readings = [_decode_row(row, address, heard) for row in rows]
    if all(reading.detail == "no quantity" for reading in readings):
        raise Unreadable(Undecodable.NO_QUANTITY)
    return readings


def _decode_row(row: _Row, address: str, heard: object) -> Decoded:
    register = _first(row.register_m3, row.total_m3, row.volume_m3, row.current_volume_m3)
    flow = _first(row.flow_m3_h, row.flow_m3h)
    at, quality = _first(row.at, row.timestamp_unix), _quality(row)
    if at is None:
        at, quality = heard, quality | Quality.CLOCK_ASSUMED
    return decode_reading(
        address, at, (register, flow, row.pressure_mpa, row.level_m), int(quality)
    )


def _quality(row: _Row) -> Quality:
    quality = Quality.NONE
    if row.low_battery is True:
        quality |= Quality.LOW_BATTERY
    if row.pipe_empty is True:
        quality |= Quality.EMPTY_PIPE
    faults = (row.permanent_error, row.temporary_error, row.backflow, row.burst, row.leakage)
    if True in faults:
        quality |= Quality.DEVICE_ALARM
    return quality


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)
