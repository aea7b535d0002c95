"""What a LoRaWAN network server passes on of a device: the row that its codec made of the bytes.

A codec names its fields itself, so only names that say quantity and unit are read. It may give the
meter's own instant as `at` or, as the one of the Axioma Qalcosonic W1 does (lorawan-devices,
vendor/axioma), as `timestamp_unix`; else when the network heard the uplink stands for it. That
codec's `log_volume_m3` and `delta_{n}_m3` are hours back from an instant that no field names (the
first was the register 23 hours before), so only its `current_volume_m3` is read.
"""

from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, decode_reading
from water.readings import Quality
from water.refusals import SetAside, Undecodable


class Row(msgspec.Struct, gc=False):
    """One instant of a device."""

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


class Rows(Row, gc=False):
    """What a codec made of an uplink: a row, or many of them in `readings`."""

    simulated: Any = False
    readings: list[Row] | None = None


def decode_rows(rows: Rows, address: str, heard: object) -> list[Decoded] | SetAside:
    """The readings of an uplink that the network heard at `heard`.

    Raises:
        Unreadable: no row has a quantity, or its scale isn't known.
    """
    if rows.simulated is True:
        return SetAside.SIMULATED
    each = [rows] if rows.readings is None else rows.readings
    if not each:
        return SetAside.EMPTY
    if any(row.history_multiplier != 0 for row in each):
        raise Unreadable(Undecodable.NO_QUANTITY, "history_multiplier: volumes of unknown scale")
    readings = [_decode_row(row, address, heard) for row in each]
    if all(reading.detail == "no quantity" for reading in readings):
        raise Unreadable(Undecodable.NO_QUANTITY)
    return readings


def _decode_row(row: Row, address: str, heard: object) -> Decoded:
    register = _first(row.register_m3, row.total_m3, row.volume_m3, row.current_volume_m3)
    flow = _first(row.flow_m3_h, row.flow_m3h)
    at, quality = _first(row.at, row.timestamp_unix), _quality(row)
    if at is None:
        at, quality = heard, quality | Quality.CLOCK_ASSUMED.value
    return decode_reading(address, at, (register, flow, row.pressure_mpa, row.level_m), quality)


def _quality(row: Row) -> int:
    quality = 0
    if row.low_battery is True:
        quality |= Quality.LOW_BATTERY.value
    if row.pipe_empty is True:
        quality |= Quality.EMPTY_PIPE.value
    faults = (row.permanent_error, row.temporary_error, row.backflow, row.burst, row.leakage)
    if True in faults:
        quality |= Quality.DEVICE_ALARM.value
    return quality


def _first(*values: object) -> object:
    for value in values:
        if value is not None:
            return value
    return None
