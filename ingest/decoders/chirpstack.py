"""ChirpStack v4: LoRaWAN uplinks as JSON (chirpstack.io, integrations, event types).

Topic `application/{application}/device/{eui}/event/{event}`. Readings are taken from `object`,
what the device profile's codec made of the bytes; without a codec there is none. `time` is when
the gateway heard the uplink; a codec may give each reading its own `at`.
"""

from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, decode_reading, read_json, read_text
from water.readings import Quality
from water.refusals import SetAside, Undecodable


class _Device(msgspec.Struct, gc=False, rename="camel"):
    dev_eui: Any = None


class _Row(msgspec.Struct, gc=False):
    at: Any = None
    register_m3: Any = None
    total_m3: Any = None
    volume_m3: Any = None
    log_volume_m3: Any = None
    flow_m3_h: Any = None
    flow_m3h: Any = None
    pressure_mpa: Any = None
    level_m: Any = None


class _Object(_Row, gc=False):
    simulated: Any = False
    readings: list[_Row] | None = None


class _Uplink(msgspec.Struct, gc=False, rename="camel"):
    time: Any = None
    device_info: _Device | None = None
    object: _Object | None = None


_UPLINK = msgspec.json.Decoder(_Uplink)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one event of a device."""
    levels = rest.split("/")
    if len(levels) < 6 or levels[-6] != "application" or levels[-2] != "event":
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    if levels[-1] != "up":
        return SetAside.STATUS if levels[-1] == "status" else SetAside.EVENT
    uplink = read_json(payload, _UPLINK)
    if uplink.object is None:
        raise Unreadable(Undecodable.NO_QUANTITY, "no object: the device profile has no codec")
    if uplink.object.simulated is True:
        return SetAside.SIMULATED
    address = _address(uplink, levels[-3])
    rows = [uplink.object] if uplink.object.readings is None else uplink.object.readings
    if not rows:
        return SetAside.EMPTY
    readings = [_decode_row(row, address, uplink.time) for row in rows]
    if all(reading.detail == "no quantity" for reading in readings):
        raise Unreadable(Undecodable.NO_QUANTITY)
    return readings


def _address(uplink: _Uplink, eui: str) -> str:
    """The device's EUI, lower case as ChirpStack writes it; the topic's if the payload has none."""
    named = read_text(uplink.device_info.dev_eui) if uplink.device_info else ""
    return (named or eui).lower()


def _decode_row(row: _Row, address: str, heard: object) -> Decoded:
    register = _first(row.register_m3, row.total_m3, row.volume_m3, row.log_volume_m3)
    flow = _first(row.flow_m3_h, row.flow_m3h)
    quantities = (register, flow, row.pressure_mpa, row.level_m)
    if row.at is not None:
        return decode_reading(address, row.at, quantities)
    return decode_reading(address, heard, quantities, int(Quality.CLOCK_ASSUMED))


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)
