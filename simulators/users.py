"""The virtual large users and what each of them uses a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from simulators.names import make_credit_code, make_name
from simulators.places import DIRTY, LORA, MAIN, PLACES, WMBUS, Supplier
from simulators.sectors import HABITS, day_factors, night_factors, quiet_at_night
from water.users import Sector, WaterUser

_LEAST_ANNUAL_M3 = 10_800
_MOST_ANNUAL_M3 = 180_000
_DAY_NOISE = 0.05
_QUIET_NIGHT_SHARE = 0.008
_QUIET_NIGHT_M3_H = 0.04

_MEDIAN_ANNUAL_M3 = {
    Sector.MARKET: 30_000, Sector.TEXTILE: 45_000, Sector.PRINTING: 32_000, Sector.FOOD: 35_000,
    Sector.MACHINERY: 18_000, Sector.HOTEL: 26_000, Sector.SCHOOL: 24_000,
    Sector.HOSPITAL: 48_000, Sector.OFFICE: 16_000, Sector.RESIDENTIAL: 34_000,
    Sector.OTHER: 22_000,
}  # fmt: skip

_MIX = (
    Sector.MARKET, Sector.TEXTILE, Sector.MACHINERY, Sector.PRINTING, Sector.HOTEL, Sector.SCHOOL,
    Sector.FOOD, Sector.RESIDENTIAL, Sector.MARKET, Sector.TEXTILE, Sector.MACHINERY,
    Sector.OFFICE, Sector.PRINTING, Sector.HOSPITAL, Sector.HOTEL, Sector.SCHOOL, Sector.MARKET,
    Sector.TEXTILE, Sector.FOOD, Sector.OTHER,
)  # fmt: skip
"""Twenty users of a Yiwu-like city; a greater city has the same mix."""


@dataclass(frozen=True, slots=True)
class VirtualUser:
    """A large user: who it is, the row of its zone in PLACES, who reads its meter."""

    user: WaterUser
    zone: int
    supplier: Supplier

    @property
    def quiet(self) -> bool:
        """Whether its nights are near zero."""
        return quiet_at_night(self.user.sector)


@dataclass(frozen=True, slots=True)
class Demand:
    """What users take in a day, without anything planted: litres, one row a user, a column a day.

    Attributes:
        by_day: what people cause, spread over the day by the sector's shape.
        by_night: what runs day and night.
        expected: the sum of both without noise (float), which plans are made from.
    """

    by_day: NDArray[np.int64]
    by_night: NDArray[np.int64]
    expected: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.int64]:
        """Litres a user and day."""
        return self.by_day + self.by_night


def make_users(count: int, rng: np.random.Generator) -> tuple[VirtualUser, ...]:
    """`count` users with distinct names, spread over the zones as the zones' connections are."""
    weights = np.array([place.connections for place in PLACES], dtype=np.float64)
    zones = rng.choice(len(PLACES), size=count, p=weights / weights.sum())
    suppliers = _share_out(count, rng)
    names: set[str] = set()
    users: list[VirtualUser] = []
    for i in range(count):
        sector, township = _MIX[i % len(_MIX)], PLACES[zones[i]].township
        while (name := make_name(sector, township, rng)) in names:
            pass
        names.add(name)
        volume = _MEDIAN_ANNUAL_M3[sector] * np.exp(0.5 * rng.standard_normal())
        user = WaterUser(
            id=f"330782{i + 1:05d}",
            name=name,
            sector=sector,
            credit_code=make_credit_code(sector, rng),
            township=township,
            annual_volume_m3=round(float(np.clip(volume, _LEAST_ANNUAL_M3, _MOST_ANNUAL_M3)), 1),
        )
        users.append(VirtualUser(user, int(zones[i]), suppliers[i]))
    return tuple(users)


def _share_out(count: int, rng: np.random.Generator) -> list[Supplier]:
    small = [
        supplier
        for supplier in (WMBUS, LORA, DIRTY)
        for _ in range(max(1, round(supplier.share * count)))
    ]
    suppliers = [*small, *[MAIN] * (count - len(small))]
    return [suppliers[i] for i in rng.permutation(count)]


def make_demand(
    users: Sequence[VirtualUser], days: Sequence[date], rng: np.random.Generator
) -> Demand:
    """What every user takes on every day; over the first 365 days its annual volume is met."""
    shapes = {
        sector: (day_factors(sector, days), night_factors(sector, days))
        for sector in {virtual.user.sector for virtual in users}
    }
    expected_day = np.empty((len(users), len(days)))
    expected_night = np.empty_like(expected_day)
    for i, virtual in enumerate(users):
        sector, annual = virtual.user.sector, virtual.user.annual_volume_m3 or 0.0
        by_day, by_night = shapes[sector]
        night_m3_h = annual / 8760 * HABITS[sector].night_share
        if virtual.quiet:
            night_m3_h = min(annual / 8760 * _QUIET_NIGHT_SHARE, _QUIET_NIGHT_M3_H)
        expected_night[i] = night_m3_h * 24_000 * by_night
        left = annual / 365 * 1000 - expected_night[i, :365].mean()
        expected_day[i] = left * by_day / by_day[:365].mean()
    noise = np.exp(_DAY_NOISE * np.clip(rng.standard_normal(expected_day.shape), -2.5, 2.5))
    by_day = np.rint(expected_day * noise).astype(np.int64)
    by_night = np.rint(expected_night).astype(np.int64)
    return Demand(by_day, by_night, expected_day + expected_night)
