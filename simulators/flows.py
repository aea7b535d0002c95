"""Where every litre goes: cumulative litres of users and zones at the quarters of a day.

Everything is a whole number of litres since the model's first day, so that sums close exactly
and any day can be had without the days before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from simulators.places import PLACES
from simulators.plants import DAY_S, QUARTER_S, Plants
from simulators.sectors import day_shape
from simulators.users import Demand, VirtualUser

Litres = NDArray[np.int64]

QUARTERS = 96
_QUARTERS_STREAM = 7
_NOISE = 0.2
_NIGHT_NOISE = 0.05
_STEEPEST = 0.8


@dataclass(frozen=True, slots=True)
class ModelDays:
    """The local days of the model; the city's zone has no daylight saving, so a day is 86,400 s.

    `start` is the epoch second of the first local midnight.
    """

    first: date
    count: int
    start: int

    def index(self, day: date) -> int:
        """The column of a day."""
        return (day - self.first).days

    def edges(self, index: int) -> Litres:
        """The 97 quarter-hour instants of a day, both midnights included, epoch seconds."""
        return self.start + index * DAY_S + QUARTER_S * np.arange(QUARTERS + 1)

    @property
    def midnights(self) -> Litres:
        """Every local midnight of the model, epoch seconds."""
        return self.start + DAY_S * np.arange(self.count + 1)


@dataclass
class Flows:
    """Cumulative litres of each user and of each zone's supply.

    Zone: supply = real inflow + metered use of its large users + burst + what is passed on; so
    Σ inlets − Σ outlets = real inflow + users + burst.
    """

    days: ModelDays
    users: Sequence[VirtualUser]
    demand: Demand
    real_litres: Litres
    plants: Plants
    seed: int
    _shapes: NDArray[np.float64] = field(init=False)
    _before: Litres = field(init=False)
    _real_before: Litres = field(init=False)
    _membership: Litres = field(init=False)
    _stopped_at: int = field(init=False)
    _midnights: Litres = field(init=False)

    def __post_init__(self) -> None:
        """Sum up what runs before each day and each hour."""
        self._shapes = np.array([day_shape(user.user.sector) for user in self.users])
        self._before = _cumulate(self.demand.total)
        self._real_before = _cumulate(self.real_litres)
        zones = np.array([user.zone for user in self.users])
        self._membership = (zones == np.arange(len(PLACES))[:, None]).astype(np.int64)
        self._stopped_at = np.iinfo(np.int64).max
        self._stopped_at = self.user_litres(self.plants.stopped.row, self.plants.stopped.at)
        self._midnights = self._strike(self._before.copy(), self.days.midnights)

    def user_edges(self, index: int) -> Litres:
        """Litres of each user up to each of the 97 quarters of a day (users × 97)."""
        rng = np.random.default_rng(
            [self.seed, _QUARTERS_STREAM, self.days.first.toordinal() + index]
        )
        shape = (len(self.users), QUARTERS)
        noise = np.exp(_NOISE * np.clip(rng.standard_normal(shape), -2.5, 2.5))
        by_day = _spread(self.demand.by_day[:, index], self._shapes * noise)
        steady = 1 + _NIGHT_NOISE * (rng.random(shape) - 0.5)
        by_night = _spread(self.demand.by_night[:, index], steady)
        litres = self._before[:, index, None] + by_day + by_night
        return self._strike(litres, self.days.edges(index))

    def user_midnights(self) -> Litres:
        """Litres of each user up to every midnight of the model (users × days + 1)."""
        return self._midnights

    def user_litres(self, row: int, at: int) -> int:
        """Litres of one user up to an instant on a whole quarter."""
        index, seconds = divmod(at - self.days.start, DAY_S)
        return int(self.user_edges(index)[row, seconds // QUARTER_S])

    def real_edges(self, index: int) -> Litres:
        """Litres of each zone's real inflow up to each quarter of a day (zones × 97).

        Within an hour the flow runs along the slope between its neighbours; the hour's volume
        is kept.
        """
        hours = np.arange(index * 24, index * 24 + 24)
        last = self.real_litres.shape[1] - 1
        volume = self.real_litres[:, hours]
        earlier = self.real_litres[:, np.maximum(hours - 1, 0)]
        later = self.real_litres[:, np.minimum(hours + 1, last)]
        slope = np.clip((later - earlier) / (2 * np.maximum(volume, 1)), -_STEEPEST, _STEEPEST)
        part = np.arange(4) / 4
        share = part + slope[:, :, None] * (part**2 - part) / 2
        within = np.rint(volume[:, :, None] * share).astype(np.int64)
        edges = (self._real_before[:, hours, None] + within).reshape(len(PLACES), QUARTERS)
        return np.concatenate([edges, self._real_before[:, index * 24 + 24, None]], axis=1)

    def supply(self, real: Litres, users: Litres, instants: Litres) -> Litres:
        """Litres that enter each zone up to `instants`, from its real inflow and its users."""
        entering = real + self._membership @ users + self.passed_on(real)
        burst = self.plants.burst
        entering[burst.row] += burst.litres_until(instants)
        return entering

    def passed_on(self, real: Litres) -> Litres:
        """Litres that leave each zone by its outlet."""
        shares = np.array([place.passed_on for place in PLACES])
        return np.rint(shares[:, None] * real).astype(np.int64)

    def real_midnights(self) -> Litres:
        """Litres of each zone's real inflow up to every midnight of the model."""
        return self._real_before[:, ::24]

    def _strike(self, litres: Litres, instants: Litres) -> Litres:
        leak, stopped = self.plants.leak, self.plants.stopped
        litres[leak.row] += leak.litres_until(instants)
        litres[stopped.row] = np.minimum(litres[stopped.row], self._stopped_at)
        return litres


def _cumulate(litres: Litres) -> Litres:
    nothing = np.zeros((litres.shape[0], 1), dtype=np.int64)
    return np.concatenate([nothing, np.cumsum(litres, axis=1)], axis=1)


def _spread(day_litres: Litres, weights: NDArray[np.float64]) -> Litres:
    """Cumulative litres at the 97 quarters of a day that end at exactly `day_litres`."""
    running = np.cumsum(weights, axis=1)
    share = running / running[:, -1:]
    litres = np.zeros((len(day_litres), QUARTERS + 1), dtype=np.int64)
    litres[:, 1:] = np.rint(day_litres[:, None] * share)
    return litres
