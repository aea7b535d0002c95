"""JSON of any shape by a mapping of the configuration: where its values stand, in which units.

The dialect `json`; docs/dialects.md shows worked mappings. A mapping is checked when it is made, so
that it can't fail a message: what a message lacks makes a refused reading or a reason.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from fractions import Fraction
from functools import partial
from typing import Any, cast

import msgspec
from paho.mqtt.client import topic_matches_sub

from ingest.decoders.decoded import (
    MILLISECONDS_FROM,
    Decoded,
    Unreadable,
    decode_reading,
    read_json,
    read_text,
)
from ingest.decoders.pointers import Found, Inside, Place, follow, look_up
from ingest.decoders.units import in_our_units
from ingest.decoders.wall_clock import read_wall_clock
from ingest.remembered import Remembered
from water.numbers import parse_number
from water.readings import QUANTITIES, Quality
from water.refusals import Refusal, SetAside, Undecodable

ISO, SECONDS, MILLISECONDS = "iso", "s", "ms"
"""How a mapping may write times; anything else is a pattern of strptime."""
_IN_A_SECOND = {SECONDS: 1, MILLISECONDS: 1000}


@dataclass(frozen=True, slots=True)
class MappedQuantity:
    """Where a quantity stands.

    Attributes:
        place: of its number.
        size: how many of our unit a one there is.
        sentinels: numbers there that mean "no value".
    """

    place: Place
    size: Fraction
    sentinels: frozenset[float] = frozenset()


@dataclass(frozen=True, slots=True)
class JsonMapping:
    """How to read the messages of one kind of device.

    Attributes:
        topic: filter over the levels behind the dialect.
        set_aside: filters of topics that hold no readings.
        readings: pointer to the reading, the list of readings or, where the address is a key,
            the object of readings.
        address: the place of the device's address.
        at: the place of the instant; None: the time of arrival stands for it.
        time_format: ISO, SECONDS, MILLISECONDS or a pattern of strptime.
        zone: of times that are written without one.
        receiver_clock: whether the instant is a receiver's and not the meter's.
        quantities: by their names in water.readings.
        simulated: the place of a mark of test messages.
        partial: whether a message may lack every quantity, because it tells what has changed.
    """

    topic: str
    address: Place
    quantities: Mapping[str, MappedQuantity]
    at: Place | None = None
    readings: tuple[str, ...] = ()
    set_aside: Sequence[str] = ()
    time_format: str = ISO
    zone: tzinfo | None = None
    receiver_clock: bool = False
    simulated: Place | None = None
    partial: bool = False
    sizes: Mapping[str, Fraction] = field(init=False)

    def __post_init__(self) -> None:
        """Note the sizes of all quantities."""
        sizes = {name: quantity.size for name, quantity in self.quantities.items()}
        object.__setattr__(self, "sizes", sizes)


_JSON = msgspec.json.Decoder()
_TOPICS = 16_384
"""Topics of a supplier that are remembered: 4 MB."""
_NO_QUANTITY = "no quantity"


def make_decoder(
    mappings: Sequence[JsonMapping],
) -> Callable[[str, bytes, int], list[Decoded] | SetAside]:
    """The decoder of a supplier: of its mappings the first that the topic fits reads a message."""
    find = Remembered(partial(_find, mappings), _TOPICS)

    def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:
        mapping = find[rest]
        if mapping is None:
            raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"no mapping for {rest!r:.80}")
        if not isinstance(mapping, JsonMapping):
            return mapping
        return _decode_message(mapping, rest, read_json(payload, _JSON), received_at)

    return decode


def _find(mappings: Sequence[JsonMapping], rest: str) -> JsonMapping | SetAside | None:
    """What reads the messages of a topic, if anything does."""
    for mapping in mappings:
        if any(topic_matches_sub(each, rest) for each in mapping.set_aside):
            return SetAside.STATUS
        if topic_matches_sub(mapping.topic, rest):
            return mapping
    return None


def _decode_message(
    mapping: JsonMapping, rest: str, payload: Any, received_at: int
) -> list[Decoded] | SetAside:
    levels = rest.split("/")
    each = [Found(reading, key, payload, levels) for key, reading in _members(mapping, payload)]
    if not each:
        return SetAside.EMPTY
    readings = [_decode_reading(mapping, found, received_at) for found in each]
    if all(reading.refusal is Refusal.SIMULATED for reading in readings):
        return SetAside.SIMULATED
    told = [reading for reading in readings if reading.detail != _NO_QUANTITY]
    if not told and not mapping.partial:
        raise Unreadable(Undecodable.NO_QUANTITY, "nothing stands where the mapping looks")
    if mapping.partial:
        return told or SetAside.STATUS
    return readings


def _members(mapping: JsonMapping, payload: Any) -> Iterator[tuple[str, Any]]:
    """Key and content of each reading."""
    content = follow(mapping.readings, payload)
    if isinstance(content, list):
        for number, reading in enumerate(cast("list[Any]", content)):
            yield str(number), reading
    elif mapping.address.inside is Inside.KEY and isinstance(content, dict):
        yield from cast("dict[str, Any]", content).items()
    else:
        yield "", content


def _decode_reading(mapping: JsonMapping, found: Found, received_at: int) -> Decoded:
    address = read_text(look_up(mapping.address, found))
    given = _given(mapping, found)
    if not given:
        return Decoded(address, None, refusal=Refusal.NOT_A_NUMBER, detail=_NO_QUANTITY)
    filled = {
        name: value
        for name, value in given.items()
        if _number(value) not in mapping.quantities[name].sentinels
    }
    at, quality = _instant(mapping, found, received_at)
    register, flow, pressure, level = map(filled.get, QUANTITIES)
    reading = decode_reading(address, at, (register, flow, pressure, level), int(quality))
    if mapping.simulated is not None and _is_true(look_up(mapping.simulated, found)):
        return reading._replace(refusal=Refusal.SIMULATED)
    if not filled:
        detail = f"{next(iter(given.values()))!r:.80}"
        return reading._replace(refusal=Refusal.SENTINEL, detail=detail)
    if not address:
        return reading._replace(refusal=Refusal.UNKNOWN_METER, detail="no address in the message")
    return in_our_units(reading, mapping.sizes)


def _given(mapping: JsonMapping, found: Found) -> dict[str, Any]:
    """The quantities that stand in a reading, as they stand."""
    places = ((name, look_up(each.place, found)) for name, each in mapping.quantities.items())
    return {name: value for name, value in places if value is not None}


def _is_true(mark: Any) -> bool:
    return mark is True or mark in (1, "1") or (isinstance(mark, str) and mark.lower() == "true")


def _instant(mapping: JsonMapping, found: Found, received_at: int) -> tuple[object, Quality]:
    """What decode_reading takes for an instant, or refuses, and the quality that goes with it."""
    if mapping.at is None:
        return received_at, Quality.CLOCK_ASSUMED
    quality = Quality.CLOCK_ASSUMED if mapping.receiver_clock else Quality.NONE
    value = look_up(mapping.at, found)
    if value is None:
        return None, quality
    per_second = _IN_A_SECOND.get(mapping.time_format)
    if per_second is not None:
        number = _number(value)
        # A list is no instant to anybody: so what is no number is refused as it stands.
        return [value] if number is None else _seconds(number, per_second), quality
    if not isinstance(value, str):
        return [value], quality
    iso = mapping.time_format == ISO
    at = read_wall_clock(value.strip(), "" if iso else mapping.time_format, mapping.zone)
    if at is not None:
        return at, quality
    return value if iso and _number(value) is None else [value], quality


def _seconds(number: float, per_second: int) -> object:
    seconds = number / per_second
    return math.floor(seconds) if abs(seconds) < MILLISECONDS_FROM else [number]


def _number(value: Any) -> float | None:
    """A finite number, given as one or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = parse_number(value) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
