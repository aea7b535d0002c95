"""Zigbee2MQTT: water meters behind a Zigbee gateway (zigbee2mqtt.io, device pages, MQTT topics).

Topic `zigbee2mqtt/{friendly name}`, the name with slashes or without; the gateway's base topic may
also be `water/v1/{supplier}/zigbee2mqtt`, then the name alone is left. `water_consumed` is in m³,
`flow_rate` in m³/h (page of the TS0601 water meters). A message carries what changed, or the whole
kept state, also that of before a restart: without `last_seen` (a setting of the gateway) nothing
says when it was true, and the time of arrival is wrong.
"""

from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, decode_reading, read_json
from water.readings import Quality
from water.refusals import SetAside, Undecodable

_QUIET = frozenset({"no_fault", "arrearage_alarm", "credit_alarm"})
"""Nothing, or the prepaid credit: no fault of the device."""


class _State(msgspec.Struct, gc=False):
    last_seen: Any = None
    water_consumed: Any = None
    flow_rate: Any = None
    fault: Any = None
    battery_low: Any = False


_STATE = msgspec.json.Decoder(_State)


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one state of a device."""
    name = rest.removeprefix("zigbee2mqtt/")
    if not name:
        raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
    if name.endswith("/availability"):
        return SetAside.STATUS
    if name.startswith("bridge/") or name.rsplit("/", 1)[-1] in {"set", "get"}:
        return SetAside.EVENT
    state = read_json(payload, _STATE)
    if state.water_consumed is None and state.flow_rate is None:
        return SetAside.STATUS
    quantities = (state.water_consumed, state.flow_rate, None, None)
    return [decode_reading(name[:128], state.last_seen, quantities, _quality(state))]


def _quality(state: _State) -> int:
    quality = Quality.NONE
    fault = state.fault if isinstance(state.fault, str) else "no_fault"
    if state.battery_low is True or fault == "battery_alarm":
        quality |= Quality.LOW_BATTERY
    if fault == "empty_pipe_alarm":
        quality |= Quality.EMPTY_PIPE
    if fault not in _QUIET and fault != "battery_alarm":
        quality |= Quality.DEVICE_ALARM
    return int(quality)
