"""The virtual meters: what is on the dial plate, and what the register shows."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from simulators.flows import Flows, Litres
from simulators.places import MAIN, PLACES, Place, Supplier
from simulators.sectors import day_shape
from water.meters import Device, Meter, MeterChange, MeterRole

QUARTER_S, HOUR_S = 900, 3600

_Q3_M3_H = (
    2.5, 4.0, 6.3, 10.0, 16.0, 25.0, 40.0, 63.0, 100.0, 160.0, 250.0, 400.0, 630.0, 1000.0, 1600.0,
)  # fmt: skip
_OVERLOAD = 1.25
"""Q4 = 1.25 Q3 (GB/T 778.1-2018)."""
_PEAK_OF_Q4 = 0.7
_PEAK_OF_NOISE = 1.7
_ZONE_DIGITS = 8
_LEAST_USER_DIGITS = 5


@dataclass(frozen=True, slots=True)
class NewDial:
    """After a meter change at `at` (epoch seconds) the dial shows `offset_litres` + passed."""

    at: int
    offset_litres: int


@dataclass(frozen=True, slots=True)
class VirtualMeter:
    """A meter with its supplier and its address in the supplier's dialect.

    The dial shows (`offset_litres` + litres passed) modulo the register's modulus.
    """

    meter: Meter
    supplier: Supplier
    address: str
    offset_litres: int
    new_dial: NewDial | None = None

    @property
    def modulus_litres(self) -> int:
        """The dial begins again at this many litres."""
        return round((self.meter.modulus_m3 or 0) * 1000)

    @property
    def device(self) -> Device:
        """The address as the registry has it."""
        return Device(self.supplier.id, self.supplier.dialect, self.address, self.meter.id)


def show_dials(meters: tuple[VirtualMeter, ...], passed: Litres, instants: Litres) -> Litres:
    """What every register shows, litres, from what has passed it (meters × instants)."""
    offsets = np.array([meter.offset_litres for meter in meters])
    moduli = np.array([meter.modulus_litres for meter in meters])
    shown = (passed + offsets[:, None]) % moduli[:, None]
    for row, meter in enumerate(meters):
        if meter.new_dial and instants[-1] >= meter.new_dial.at:
            new = passed[row] + meter.new_dial.offset_litres
            shown[row] = np.where(instants >= meter.new_dial.at, new, shown[row])
    return shown


def split_supply(users: Litres, supply: Litres, passed_on: Litres) -> Litres:
    """Litres passed by every meter: users' first, then each zone's inlets and its outlet."""
    rows = [users]
    for place, entering, leaving in zip(PLACES, supply, passed_on, strict=True):
        bounds = np.array([0.0, *np.cumsum(place.inlet_shares)[:-1], 1.0])
        rows.append(np.diff(np.rint(bounds[:, None] * entering).astype(np.int64), axis=0))
        if place.passed_on:
            rows.append(leaving[None])
    return np.concatenate(rows)


def make_meters(
    flows: Flows, history_start: int, large: frozenset[int], rng: np.random.Generator
) -> tuple[tuple[VirtualMeter, ...], tuple[MeterChange, ...]]:
    """Every meter in the order of `split_supply`, and the meter changes.

    Args:
        flows: what passes the meters.
        history_start: epoch second of the first reading.
        large: rows of the users whose meters report every quarter of an hour.
        rng: the source of dials, serials and addresses.
    """
    passed = all_passed(flows, (history_start - flows.days.start) // 86_400)[:, 0]
    peaks = _user_peaks_m3_h(flows)
    users = [
        _make_user_meter(flows, row, int(passed[row]), peaks[row], row in large, rng)
        for row in range(len(flows.users))
    ]
    change = _plant_change(flows, users, rng)
    zones: list[VirtualMeter] = []
    for row, place in enumerate(PLACES):
        inside = sum(peaks[i] for i, user in enumerate(flows.users) if user.zone == row)
        real_peak = float(flows.real_litres[row].max()) / 1000
        peak = 1.3 * real_peak * (1 + place.passed_on) + 0.7 * inside
        first = len(users) + len(zones)
        zones += _make_zone_meters(place, passed[first:], peak, rng)
    return (*users, *zones), (change,)


def all_passed(flows: Flows, index: int) -> Litres:
    """Litres passed by every meter up to each quarter of a day."""
    users, real = flows.user_edges(index), flows.real_edges(index)
    supply = flows.supply(real, users, flows.days.edges(index))
    return split_supply(users, supply, flows.passed_on(real))


def _user_peaks_m3_h(flows: Flows) -> NDArray[np.float64]:
    shapes = np.array([day_shape(user.user.sector).max() for user in flows.users])
    by_day = flows.demand.by_day.max(axis=1) * shapes * 4 * _PEAK_OF_NOISE
    peaks = (by_day + flows.demand.by_night.max(axis=1) / 24) / 1000
    peaks[flows.plants.leak.row] += flows.plants.leak.litres_h / 1000
    return peaks


def _fitting_q3(peak_m3_h: float) -> float:
    return next(q3 for q3 in _Q3_M3_H if peak_m3_h < _PEAK_OF_Q4 * _OVERLOAD * q3)


def _make_user_meter(
    flows: Flows, row: int, passed: int, peak: float, large: bool, rng: np.random.Generator
) -> VirtualMeter:
    virtual = flows.users[row]
    digits = max(
        _LEAST_USER_DIGITS, math.ceil(math.log10(4 * (virtual.user.annual_volume_m3 or 1)))
    )
    modulus = 10**digits
    begin = int(rng.integers(modulus * 20, modulus * 300))
    if row == flows.plants.rollover.row:
        begin = modulus * 1000 - flows.user_litres(row, flows.plants.rollover.at) + passed
    meter = Meter(
        id=f"U{row + 1:04d}",
        supplier_id=virtual.supplier.id,
        role=MeterRole.CUSTOMER,
        serial=f"{rng.integers(18, 26)}{rng.integers(10**8):08d}",
        user_id=virtual.user.id,
        zone_id=PLACES[virtual.zone].id,
        modulus_m3=float(modulus),
        q3_m3_h=_fitting_q3(peak),
        interval_s=QUARTER_S if large else HOUR_S,
    )
    address = _make_address(virtual.supplier, meter.id, rng)
    return VirtualMeter(meter, virtual.supplier, address, begin - passed)


def _make_address(supplier: Supplier, meter_id: str, rng: np.random.Generator) -> str:
    """The meter number, the dev EUI or our own id, as the dialect has it."""
    if supplier.dialect == "wmbusmeters":
        return f"{rng.integers(10**7, 10**8)}"
    if supplier.dialect == "chirpstack":
        return f"70b3d5{rng.integers(16**10):010x}"
    return meter_id


def _make_zone_meters(
    place: Place, passed: Litres, peak: float, rng: np.random.Generator
) -> list[VirtualMeter]:
    shares = {f"{place.id}-IN{i + 1}": share for i, share in enumerate(place.inlet_shares)}
    roles = dict.fromkeys(shares, MeterRole.ZONE_INLET)
    if place.passed_on:
        shares[f"{place.id}-OUT1"] = place.passed_on
        roles[f"{place.id}-OUT1"] = MeterRole.ZONE_OUTLET
    meters: list[VirtualMeter] = []
    for i, (meter_id, share) in enumerate(shares.items()):
        meter = Meter(
            id=meter_id,
            supplier_id=MAIN.id,
            role=roles[meter_id],
            serial=f"{rng.integers(18, 26)}{rng.integers(10**8):08d}",
            zone_id=place.id,
            modulus_m3=float(10**_ZONE_DIGITS),
            q3_m3_h=_fitting_q3(peak * share),
            interval_s=QUARTER_S,
        )
        begin = int(rng.integers(10**9, 4 * 10**10))
        meters.append(VirtualMeter(meter, MAIN, meter_id, begin - int(passed[i])))
    return meters


def _plant_change(
    flows: Flows, meters: list[VirtualMeter], rng: np.random.Generator
) -> MeterChange:
    """Give the planted user's meter a new dial, in place; the event that the registry gets."""
    event = flows.plants.change
    old, passed = meters[event.row], flows.user_litres(event.row, event.at)
    initial = int(rng.integers(0, 5000))
    meters[event.row] = VirtualMeter(
        old.meter,
        old.supplier,
        old.address,
        old.offset_litres,
        NewDial(event.at, initial - passed),
    )
    return MeterChange(
        meter_id=old.meter.id,
        at=datetime.fromtimestamp(event.at, UTC),
        old_final_m3=(passed + old.offset_litres) / 1000,
        new_initial_m3=initial / 1000,
        reason="到期轮换",
    )
