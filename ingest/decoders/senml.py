"""SenML packs as JSON (RFC 8428; versions: RFC 9100).

The address is the resolved name (bn + n); the unit says which quantity a record is, so records of
other units are passed over. A record of a flow may carry the integral over time in `s`, in the unit
times seconds: that is its register. Base values hold from their record on (section 4.1); a time
(bt + t) below 2**28 counts from now, which is when the message arrived (section 4.5.3).
"""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec

from ingest.decoders.decoded import Decoded, Unreadable, decode_reading, read_json, read_text
from ingest.decoders.units import UNITS, in_our_units
from water.readings import QUANTITIES, Quality
from water.refusals import SetAside, Undecodable

_Record = dict[str, Any]

_VERSIONS = frozenset({*range(1, 11), 26})
"""10 is RFC 8428, lower ones are its drafts; 26 = 10 + 2**4 adds the secondary units (RFC 9100)."""
_ABSOLUTE_FROM = 2**28
_HOUR_S = 3600
_BASES = ("bn", "bt", "bu", "bv", "bs", "bver")
_PACK = msgspec.json.Decoder(list[_Record])


class _Measured(NamedTuple):
    """What the records of a unit are: their quantity, and sizes of `v` and `s` in our units."""

    quantity: str
    sizes: Mapping[str, Fraction]


_MEASURED = {
    symbol: _Measured(quantity, {"register_m3": size / _HOUR_S, quantity: size})
    for symbol, (quantity, size) in UNITS.items()
}


def decode(rest: str, payload: bytes, received_at: int) -> list[Decoded] | SetAside:  # noqa: ARG001 (every decoder is handed the same)
    """Decode one pack."""
    pack = read_json(payload, _PACK)
    if not pack:
        return SetAside.EMPTY
    readings = list(_decode_records(pack, received_at))
    if not readings:
        raise Unreadable(Undecodable.NO_QUANTITY, "no record in a unit of water")
    return readings


def _decode_records(pack: list[_Record], received_at: int) -> Iterator[Decoded]:
    bases: _Record = {}
    for record in pack:
        _check_labels(record)
        bases.update({label: record[label] for label in _BASES if label in record})
        version = bases.get("bver", 10)
        if not isinstance(version, int) or version not in _VERSIONS:
            raise Unreadable(Undecodable.MALFORMED, f"version {version!r:.40}")
        measured = _measured(record.get("u", bases.get("bu")))
        if measured is not None and (record.get("v") is not None or record.get("s") is not None):
            yield _decode_record(record, bases, measured, received_at)


def _check_labels(record: _Record) -> None:
    """Section 4.4: a label that ends in _ must be understood, and we understand none."""
    for label in record:
        if label.endswith("_"):
            raise Unreadable(Undecodable.MALFORMED, f"label {label!r:.40}")


def _measured(symbol: object) -> _Measured | None:
    return _MEASURED.get(symbol) if isinstance(symbol, str) else None


def _decode_record(
    record: _Record, bases: _Record, measured: _Measured, received_at: int
) -> Decoded:
    raw: dict[str, object] = {}
    quantity, sizes = measured
    if record.get("v") is not None:
        raw[quantity] = _add(bases.get("bv"), record["v"])
    if quantity == "flow_m3_h" and ("s" in record or "bs" in bases):
        raw["register_m3"] = _add(bases.get("bs"), record.get("s"))
    at, quality = _instant(_add(bases.get("bt"), record.get("t")), received_at)
    register, flow, pressure, level = map(raw.get, QUANTITIES)
    quantities = (register, flow, pressure, level)
    return in_our_units(decode_reading(_name(record, bases), at, quantities, quality), sizes)


def _name(record: _Record, bases: _Record) -> str:
    base, own = bases.get("bn", ""), record.get("n", "")
    if not isinstance(base, str) or not isinstance(own, str) or not base + own:
        raise Unreadable(Undecodable.MALFORMED, "a record without a name")
    return read_text(base + own)


def _add(base: object, own: object) -> object:
    """The sum, a missing one counting as zero; what is no number stands for it, to be refused."""
    total = 0.0
    for part in (base, own):
        if part is None:
            continue
        if isinstance(part, bool) or not isinstance(part, int | float):
            return [part]
        try:
            total += part
        except OverflowError:
            return math.inf
    return None if base is own is None else total


def _instant(seconds: object, received_at: int) -> tuple[object, int]:
    """What decode_reading takes for an instant, and the quality that goes with it."""
    if seconds is None:
        return received_at, int(Quality.CLOCK_ASSUMED)
    if isinstance(seconds, int | float) and seconds < _ABSOLUTE_FROM:
        return received_at + seconds, int(Quality.CLOCK_ASSUMED)
    return seconds, 0
