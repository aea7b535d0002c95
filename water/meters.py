"""Meters, the addresses their payloads carry, and the change of a meter."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class MeterRole(StrEnum):
    """What a meter measures."""

    CUSTOMER = "customer"
    ZONE_INLET = "zone_inlet"
    ZONE_OUTLET = "zone_outlet"
    TANK_LEVEL = "tank_level"
    PLANT_OUTLET = "plant_outlet"


@dataclass(frozen=True, slots=True)
class Meter:
    """A water meter 水表.

    Attributes:
        id: our name of the meter, for ever.
        supplier_id: who streams it.
        role: what it measures.
        serial: number on the dial plate.
        user_id: 户号 of the water user, for customer meters.
        zone_id: the zone that it feeds (inlet), drains (outlet) or lies in (customer).
        modulus_m3: the register rolls over to 0 at this value (10 ** digits); None = never.
        q3_m3_h: permanent flow rate Q3 常用流量; overload Q4 = 1.25 Q3 (GB/T 778.1-2018).
        interval_s: nominal seconds between readings.
        in_service_from: first instant of service, UTC; None = since ever.
        in_service_to: end of service, UTC; None = still in service.
    """

    id: str
    supplier_id: str
    role: MeterRole
    serial: str = ""
    user_id: str | None = None
    zone_id: str | None = None
    modulus_m3: float | None = None
    q3_m3_h: float | None = None
    interval_s: int = 3600
    in_service_from: datetime | None = None
    in_service_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """The address under which a supplier's dialect names a meter (dev EUI, meter number …)."""

    supplier_id: str
    dialect: str
    address: str
    meter_id: str


@dataclass(frozen=True, slots=True)
class MeterChange:
    """A meter change 换表: an event with both indexes, never a negative volume.

    `at` is the instant of the change (UTC); the old dial ended at `old_final_m3`, the new one
    began at `new_initial_m3`.
    """

    meter_id: str
    at: datetime
    old_final_m3: float
    new_initial_m3: float
    reason: str = ""


class MeterEvent(NamedTuple):
    """A meter change as a supplier sent it, held against the registry; instants in epoch seconds.

    `entry` is its number in the journal. Either `refusal` is "" and the meter, the instant and both
    indexes are there, or it says why the event can't be used, with `detail` for people; then
    nothing else is said of it.
    """

    entry: int
    supplier_id: str
    received_at: int
    meter_id: str | None = None
    at: int | None = None
    old_final_m3: float | None = None
    new_initial_m3: float | None = None
    reason: str = ""
    refusal: str = ""
    detail: str = ""


class KnownMeter(NamedTuple):
    """What one message can be checked against; instants in epoch seconds, q4 = 1.25 Q3."""

    meter_id: str
    supplier_id: str
    modulus_m3: float | None
    q4_m3_h: float | None
    in_service_from: int | None
    in_service_to: int | None
