"""Units in which senders give the four quantities, and their exact size in ours.

Sources: SI; RFC 8428 section 12.1 and RFC 8798 for the spelling; NIST SP 811 appendix B for the US
gallon (231 cubic inches) and the cubic foot.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from ingest.decoders.decoded import Decoded
from water.readings import QUANTITIES
from water.refusals import Refusal
from water.tuples import make_tuple


class Unit(NamedTuple):
    """A unit: the quantity it is one of, and how many of our unit it is."""

    quantity: str
    size: Fraction


def _of(quantity: str, sizes: Mapping[str, Fraction | int | str]) -> dict[str, Unit]:
    return {symbol: Unit(quantity, Fraction(size)) for symbol, size in sizes.items()}


UNITS: Mapping[str, Unit] = {
    **_of("register_m3", {
        "m3": 1, "m³": 1, "l": "1/1000", "L": "1/1000",
        "gal_us": "0.003785411784", "ft3": "0.028316846592",
    }),
    **_of("flow_m3_h", {
        "m3/h": 1, "m³/h": 1, "m3/s": 3600, "m3/d": "1/24",
        "l/s": "3.6", "L/s": "3.6", "l/min": "0.06", "L/min": "0.06",
        "l/h": "1/1000", "L/h": "1/1000",
    }),
    **_of("pressure_mpa", {
        "MPa": 1, "kPa": "1/1000", "hPa": "1/10000", "Pa": "1/1000000",
        "bar": "1/10", "mbar": "1/10000",
    }),
    **_of("level_m", {"m": 1, "cm": "1/100", "mm": "1/1000"}),
}  # fmt: skip


def rescale(number: float, size: Fraction) -> float:
    """`number` times `size`, rounded once: 5938 litres are 5.938 m³; infinite if out of range."""
    if not math.isfinite(number):
        return number
    numerator, denominator = number.as_integer_ratio()
    try:
        # (The quotient of two whole numbers is rounded right, and no Fraction is made.)
        return numerator * size.numerator / (denominator * size.denominator)
    except OverflowError:
        return math.copysign(math.inf, number)


def in_our_units(reading: Decoded, sizes: Mapping[str, Fraction]) -> Decoded:
    """The reading with the quantities that `sizes` names brought into our units.

    One that no float can hold then makes a refused reading.
    """
    if not sizes:
        return reading
    address, at, *given, quality, refusal, detail = reading
    values = [
        rescale(value, sizes[name]) if value is not None and name in sizes else value
        for name, value in zip(QUANTITIES, given, strict=True)
    ]
    if math.inf in values or -math.inf in values:
        return Decoded(address, at, refusal=Refusal.NOT_FINITE, detail="beyond any number")
    return make_tuple(Decoded, (address, at, *values, quality, refusal, detail))
