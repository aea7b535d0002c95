"""Tasmota: pulses that a device counts (tasmota.github.io/docs, Counter; MQTT, topic prefixes).

Topic `tele/{device}/SENSOR`. `COUNTER` holds whole pulses since the device's counters were set to
zero, which a power cut may do; how many litres one pulse is, only the meter's owner knows. `Time`
is the device's local time without a zone, so the configuration names the zone too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from fractions import Fraction
from typing import Any

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, decode_reading, read_json, read_text
from ingest.decoders.units import in_our_units
from ingest.decoders.wall_clock import read_wall_clock
from water.refusals import Refusal, SetAside, Undecodable

_TOPIC = re.compile(r"(?:.*/)?(tele|stat|cmnd)/([^/]+)/([^/]+)", re.DOTALL)
_LITRE = Fraction(1, 1000)
_NO_WATER = {"register_m3": Fraction(0)}
"""The size of a pulse of a counter that the configuration says is no meter."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What the configuration says of a supplier's devices.

    Attributes:
        zone: the zone of their clocks.
        litres_per_pulse: by `{device}/{counter}`, which is the address too; 0 = no water.
    """

    zone: tzinfo
    litres_per_pulse: Mapping[str, Fraction]


class _Sensor(msgspec.Struct, gc=False):
    time: Any = msgspec.field(name="Time", default=None)
    counter: dict[str, Any] | None = msgspec.field(name="COUNTER", default=None)


_SENSOR = msgspec.json.Decoder(_Sensor)


def make_decoder(counters: Counters) -> Callable[[str, bytes, int], list[Decoded] | SetAside]:
    """The decoder of a supplier's devices."""
    sizes = {
        address: {"register_m3": litres * _LITRE}
        for address, litres in counters.litres_per_pulse.items()
    }

    def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
        topic = _TOPIC.fullmatch(rest)
        if topic is None:
            raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
        prefix, device, kind = topic.groups()
        if prefix != "tele":
            return SetAside.EVENT
        if kind != "SENSOR":
            return SetAside.STATUS
        return _decode_sensor(device, read_json(payload, _SENSOR), counters.zone, sizes)

    return decode


def _decode_sensor(
    device: str, sensor: _Sensor, zone: tzinfo, sizes: Mapping[str, Mapping[str, Fraction]]
) -> list[Decoded] | SetAside:
    """The readings of a device; `sizes`: address → size of a pulse in our unit."""
    if not sensor.counter:
        return SetAside.STATUS
    at = _instant(sensor.time, zone)
    pulses = {read_text(f"{device}/{name}"): count for name, count in sensor.counter.items()}
    readings = [
        _decode_counter(address, at, count, sizes.get(address))
        for address, count in pulses.items()
        if sizes.get(address) != _NO_WATER
    ]
    return readings or SetAside.STATUS


def _instant(time: Any, zone: tzinfo) -> object:
    """The moment of a local time; what names none as it stands, to be refused for what it is."""
    at = read_wall_clock(time, "", zone) if isinstance(time, str) else None
    return time if at is None else at


def _decode_counter(
    address: str, at: object, count: Any, sizes: Mapping[str, Fraction] | None
) -> Decoded:
    reading = decode_reading(address, at, (count, None, None, None))
    if sizes is None:
        detail = "the configuration has no litres_per_pulse of it"
        return Decoded(address, reading.at, refusal=Refusal.UNKNOWN_METER, detail=detail)
    pulses = reading.register_m3
    if pulses is not None and not pulses.is_integer():
        detail = f"{pulses} pulses"
        return Decoded(address, reading.at, refusal=Refusal.NOT_A_NUMBER, detail=detail)
    return in_our_units(reading, sizes)
