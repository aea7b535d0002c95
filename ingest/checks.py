"""Checks that one reading can answer by itself: pure, in the order in which they are told."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from ingest.decoders import Decoded
from water.limits import check_quantities
from water.meters import KnownMeter
from water.policy import Policy
from water.readings import Reading
from water.refusals import Refusal
from water.tuples import make_tuple


@dataclass(frozen=True, slots=True)
class Directory:
    """The registry as it stood at one version.

    `devices`: (supplier, dialect, address) → meter. `elsewhere`: (dialect, address) of every
    device of any supplier, to tell another's meter from one that nobody knows.
    """

    version: int = -1
    suppliers: frozenset[str] = frozenset()
    devices: Mapping[tuple[str, str, str], KnownMeter] = field(
        default_factory=dict[tuple[str, str, str], KnownMeter]
    )
    elsewhere: AbstractSet[tuple[str, str]] = frozenset()


def make_directory(
    version: int,
    suppliers: frozenset[str],
    devices: Mapping[tuple[str, str, str], KnownMeter],
) -> Directory:
    """The directory of a registry; a meter's own id is an address of dialect "jieshui"."""
    own = {(meter.supplier_id, "jieshui", meter.meter_id): meter for meter in devices.values()}
    every = {**own, **devices}
    return Directory(version, suppliers, every, frozenset(key[1:] for key in every))


def check(
    decoded: Decoded,
    supplier: str,
    dialect: str,
    received_at: int,
    directory: Directory,
    policy: Policy,
) -> Reading | tuple[Refusal, str]:
    """The reading to store, or why it is refused with a detail for people.

    `received_at` (epoch seconds) is the present that "future" and "too old" are held against, so
    that a replay judges as the first time did.
    """
    address, at, register, flow, pressure, level, quality, refusal, detail = decoded
    if refusal is not None:
        return refusal, detail
    if at is None:
        return Refusal.NO_TIME, ""
    meter = directory.devices.get((supplier, dialect, address))
    if meter is None:
        foreign = (dialect, address) in directory.elsewhere
        return (Refusal.OTHER_SUPPLIERS_METER if foreign else Refusal.UNKNOWN_METER), address
    meter_id, owner, modulus, _, begins, ends = meter
    if owner != supplier:
        return Refusal.OTHER_SUPPLIERS_METER, address
    if at > received_at + policy.future_tolerance_s:
        return Refusal.FUTURE, f"{at - received_at} s ahead"
    if at < received_at - policy.oldest_days * 86_400:
        return Refusal.TOO_OLD, f"{(received_at - at) // 86_400} days"
    if (begins is not None and at < begins) or (ends is not None and at > ends):
        return Refusal.OUT_OF_SERVICE, ""
    if reason := check_quantities(register, modulus, flow, pressure, level):
        return reason
    values = (meter_id, at, received_at, register, flow, pressure, level, quality)
    return make_tuple(Reading, values)
