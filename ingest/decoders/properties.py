"""Properties of a product model: what China's IoT platforms (IoTDA, AEP, OneNET, Alink) pass on.

Whoever makes the model names its properties, and a message says no unit. So only names that say
quantity and unit are read: register_m3 (or total_m3, volume_m3), flow_m3_h (or flow_m3h),
pressure_mpa, level_m. Any other name is passed over, whatever it may mean.
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, decode_reading, read_json
from water.readings import Quality
from water.refusals import SetAside, Undecodable

_NAMES = (
    ("register_m3", "total_m3", "volume_m3"),
    ("flow_m3_h", "flow_m3h"),
    ("pressure_mpa",),
    ("level_m",),
)
QUANTITY_NAMES = tuple(name for names in _NAMES for name in names)


def decode_properties(
    address: str, properties: Mapping[str, Any], at: object, quality: Quality = Quality.NONE
) -> list[Decoded]:
    """The reading of properties that share an instant; none if none of them is a quantity."""
    register, flow, pressure, level = [_first(properties, names) for names in _NAMES]
    if register is flow is pressure is level is None:
        return []
    return [decode_reading(address, at, (register, flow, pressure, level), int(quality))]


def decode_timed(address: str, properties: Mapping[str, Any], arrived: int) -> list[Decoded]:
    """The readings of properties that may each have an instant, `{"value": …, "time": …}`.

    One reading for each instant. Without one the platform takes the time of arrival: so do we, and
    the quality says so.
    """
    rows: list[tuple[object, dict[str, object]]] = []
    for name in QUANTITY_NAMES:
        if name not in properties:
            continue
        value, time = _split(properties[name])
        row = next((row for at, row in rows if at == time), None)
        if row is None:
            rows.append((time, row := {}))
        row[name] = value
    return [
        reading
        for time, row in rows
        for reading in (
            decode_properties(address, row, arrived, Quality.CLOCK_ASSUMED)
            if time is None
            else decode_properties(address, row, time)
        )
    ]


def require_quantity(readings: list[Decoded], names: Mapping[str, Any]) -> list[Decoded]:
    """The readings.

    Raises:
        Unreadable: there is none; the detail tells people the names that were there.
    """
    if not readings:
        raise Unreadable(Undecodable.NO_QUANTITY, f"no quantity in {', '.join(names)}"[:200])
    return readings


def _split(given: Any) -> tuple[object, object]:
    """Value and instant of a property, which may be given as the value alone."""
    if isinstance(given, dict) and "value" in given:
        timed = cast("dict[str, object]", given)
        return timed["value"], timed.get("time")
    return cast("object", given), None


def _first(properties: Mapping[str, Any], names: tuple[str, ...]) -> object:
    for name in names:
        value = properties.get(name)
        if value is not None:
            return value
    return None


class _Params(msgspec.Struct, gc=False):
    params: dict[str, Any]


_PARAMS = msgspec.json.Decoder(_Params)


def decode_params(address: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:
    """Readings of a message whose `params` holds properties, as `decode_timed` reads them."""
    params = read_json(payload, _PARAMS).params
    if not params:
        return SetAside.EMPTY
    return require_quantity(decode_timed(address, params, received_at), params)
