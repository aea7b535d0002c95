"""Sparkplug B 3.0: metrics in protobuf (sparkplug.eclipse.org, chapters 4 and 6).

Topic `spBv1.0/{group}/{type}/{edge node}[/{device}]`. Who makes a metric names it, so only names
are read whose last level says quantity and unit (those of `properties`), or of which the
configuration says it; the levels before it are the meter's: a metric `M1/register_m3` of device D
has the address `{group}/{edge node}/D/M1`. Metrics of one address and instant are one reading.

Names may be given in the births alone, data messages then have aliases. What an alias stands for
depends on messages before this one, which another worker may have had or a replay does not see: a
decoder that remembered it could read the same message in two ways. So metrics without a name are
not read: a message of such metrics alone is counted as `alias_unknown`, and beside readings each
is a refused one.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from ingest.decoders.decoded import MILLISECONDS_FROM, Decoded, Unreadable
from ingest.decoders.properties import QUANTITY_NAMES, decode_properties
from ingest.decoders.sparkplug_payload import read_payload
from ingest.decoders.units import Unit, in_our_units
from water.readings import Quality
from water.refusals import Refusal, SetAside, Undecodable

_TOPIC = re.compile(
    r"(?:.*/)?spBv1\.0/(?:STATE/[^/]+|([^/]+)/([^/]+)/([^/]+)(?:/([^/]+))?)", re.DOTALL
)
_READ = frozenset({"NBIRTH", "DBIRTH", "NDATA", "DDATA"})
_DEATHS = frozenset({"NDEATH", "DDEATH"})
_COMMANDS = frozenset({"NCMD", "DCMD"})
_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""Data types Int8 to Int64 (6.4.16): signed, in fields of unsigned numbers."""
_UNSIGNED = frozenset({5, 6, 7, 8})
_COMPRESSED = "SPBV1.0_COMPRESSED"
"""So Tahu marks a message whose whole content is in `body`, packed by gzip or deflate."""
_GOOD = 192
"""Of the property Quality (6.4.17): 0 is bad, 500 stale."""


def make_decoder(
    units: Mapping[str, Unit],
) -> Callable[[str, bytes, int], list[Decoded] | SetAside]:
    """The decoder of a supplier; `units`: last level of a metric's name → what its numbers are."""

    def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
        topic = _TOPIC.fullmatch(rest)
        if topic is None:
            raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"{rest!r:.80}")
        group, kind, node, device = topic.groups()
        if kind is None or kind in _DEATHS:
            return SetAside.STATUS
        if kind in _COMMANDS:
            return SetAside.EVENT
        if kind not in _READ:
            raise Unreadable(Undecodable.UNKNOWN_TOPIC, f"type {kind!r:.40}")
        message = read_payload(payload)
        sender = "/".join(filter(None, (group, node, device)))
        readings = list(_decode_metrics(sender, message, units))
        if not readings:
            return _without_readings(kind, message)
        return readings + list(_refuse_nameless(sender, message))

    return decode


decode = make_decoder({})
"""The decoder of a supplier whose metrics have names that say quantity and unit."""


def _refuse_nameless(sender: str, message: Any) -> Iterator[Decoded]:
    """What has no name, beside readings that have one: each may be a quantity or anything else."""
    for metric in message.metrics:
        if metric.name or metric.is_null or metric.is_transient:
            continue
        at = metric.timestamp // 1000 if metric.HasField("timestamp") else None
        detail = f"alias {metric.alias} without a name" if metric.HasField("alias") else "no name"
        yield Decoded(sender, at, refusal=Refusal.UNKNOWN_METER, detail=detail)


def _without_readings(kind: str, message: Any) -> SetAside:
    """Why a message has no reading: data tell what has changed, births should have all.

    Raises:
        Unreadable: there may be readings that can't be read.
    """
    if message.uuid == _COMPRESSED:
        raise Unreadable(Undecodable.NO_QUANTITY, "compressed")
    if any(metric.HasField("alias") and not metric.name for metric in message.metrics):
        raise Unreadable(Undecodable.ALIAS_UNKNOWN, "metrics without names")
    if kind == "DBIRTH":
        names = ", ".join(metric.name for metric in message.metrics)
        raise Unreadable(Undecodable.NO_QUANTITY, f"no quantity in {names}"[:200])
    return SetAside.STATUS


class _Row(NamedTuple):
    """What one meter says of one instant: values, and the sizes of those in other units."""

    values: dict[str, Any]
    sizes: dict[str, Fraction]


def _decode_metrics(sender: str, message: Any, units: Mapping[str, Unit]) -> Iterator[Decoded]:
    """A reading for each meter and instant.

    A quantity that comes again makes a further reading, so that the store says whether it is a
    duplicate or a conflict.
    """
    rows: dict[tuple[str, int | None, int], _Row] = {}
    times: dict[tuple[str, int | None, str], int] = {}
    bad: list[Decoded] = []
    for metric in message.metrics:
        folder, _, name = metric.name.rpartition("/")
        unit = units.get(name)
        quantity = unit.quantity if unit else name
        if quantity not in QUANTITY_NAMES or metric.is_null or metric.is_transient:
            continue
        address = (f"{sender}/{folder}" if folder else sender)[:128]
        stamp = metric.timestamp if metric.HasField("timestamp") else None
        quality = _quality(metric)
        if quality is None or quality == _GOOD:
            place = address, stamp, quantity
            times[place] = again = times.get(place, -1) + 1
            row = rows.get((address, stamp, again))
            if row is None:
                row = rows[address, stamp, again] = _Row({}, {})
            row.values[quantity] = _value(metric)
            if unit:
                row.sizes[quantity] = unit.size
        else:
            at = None if stamp is None else stamp // 1000
            bad.append(Decoded(address, at, refusal=Refusal.SENTINEL, detail=f"quality {quality}"))
    sent = message.timestamp if message.HasField("timestamp") else None
    for (address, stamp, _), (values, sizes) in rows.items():
        at, quality = (sent, Quality.CLOCK_ASSUMED) if stamp is None else (stamp, Quality.NONE)
        for reading in decode_properties(address, values, _seconds(at), quality):
            yield in_our_units(reading, sizes)
    yield from bad


def _seconds(milliseconds: int | None) -> object:
    """What decode_properties takes for an instant, or refuses: a list is none to anybody."""
    if milliseconds is None:
        return None
    seconds = milliseconds // 1000
    return seconds if seconds < MILLISECONDS_FROM else [milliseconds]


def _quality(metric: Any) -> int | None:
    """What the sender says of a value, if it says anything."""
    if not metric.HasField("properties"):
        return None
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key == "Quality":
            return value.int_value
    return None


def _value(metric: Any) -> Any:
    """The value as a number; what is none, as it is given, to be refused."""
    field: str | None = metric.WhichOneof("value")
    value: Any = getattr(metric, field) if field else None
    if field == "float_value":
        return _shortest(value)
    if field not in {"int_value", "long_value"}:
        return value
    bits = _BITS.get(metric.datatype)
    if bits:
        value &= (1 << bits) - 1
        return value - (1 << bits) if value >> (bits - 1) else value
    top = 31 if field == "int_value" else 63
    # Data may leave the type out. Then only the top bit says that a number could be negative.
    return value if metric.datatype in _UNSIGNED or not value >> top else [value]


def _shortest(value: float) -> float:
    """The decimal with the fewest digits that is this number in 32 bits: 12.3, not 12.3000002."""
    for digits in (6, 7, 8):
        shortened = float(f"{value:.{digits}g}")
        if struct.pack("f", shortened) == struct.pack("f", value):
            return shortened
    return value
