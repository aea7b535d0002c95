"""What is planted into the city: the troubles that the system must find, and where they begin."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.errors import CityError
from simulators.places import BURST_ZONES, DIRTY, MAIN, PLACES
from simulators.users import VirtualUser
from water.users import Sector

_STEADY_OVER_THE_YEAR = {
    Sector.MARKET, Sector.TEXTILE, Sector.PRINTING, Sector.FOOD, Sector.MACHINERY, Sector.HOTEL,
    Sector.HOSPITAL, Sector.RESIDENTIAL,
}  # fmt: skip
"""Sectors whose use so far says how the year ends, however it is projected."""
_MAY_LEAK = {Sector.MARKET, Sector.PRINTING, Sector.FOOD, Sector.MACHINERY, Sector.OFFICE}
_LEAST_LEAK_L_H = 300
_LEAK_SHARE = (0.16, 0.28)
"""Of the user's mean flow; above 0.28 a month with the leak would break the plan as well."""

DAY_S = 86_400
QUARTER_S = 900


@dataclass(frozen=True, slots=True)
class Flow:
    """Water that runs steadily from an instant on and goes on: a burst or a leak.

    `row` is the row of the zone or the user, `begin` epoch seconds on a whole quarter.
    """

    row: int
    begin: int
    litres_h: int

    def litres_until(self, instants: NDArray[np.int64]) -> NDArray[np.int64]:
        """Litres that have run out since it began, at each instant."""
        elapsed = np.maximum(instants - self.begin, 0)
        return elapsed * self.litres_h // 3600


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to a user's meter at an instant (epoch seconds)."""

    row: int
    at: int


@dataclass(frozen=True, slots=True)
class Plants:
    """Everything planted.

    `heading` maps a user's row to use so far / plan to date; `over` to use so far / plan of the
    year. `burst.row` is a row of PLACES, all other rows are rows of users, no user twice.
    """

    heading: dict[int, float]
    over: dict[int, float]
    burst: Flow
    leak: Flow
    stopped: Event
    rollover: Event
    change: Event

    @property
    def users(self) -> frozenset[int]:
        """Rows of the users with something planted."""
        events = {self.leak.row, self.stopped.row, self.rollover.row, self.change.row}
        return frozenset(events | set(self.heading) | set(self.over))


def choose_plants(
    users: Sequence[VirtualUser],
    mean_user_l_h: NDArray[np.float64],
    mean_zone_l_h: NDArray[np.float64],
    *,
    history: tuple[int, int],
    large: frozenset[int],
    rng: np.random.Generator,
) -> Plants:
    """Choose who is struck, when and how hard.

    Args:
        users: the large users.
        mean_user_l_h: mean flow of each user, litres an hour.
        mean_zone_l_h: mean supply of each zone without the burst, litres an hour.
        history: epoch seconds of the first and the last instant of the history.
        large: rows of the users whose meters report every quarter of an hour.
        rng: the source of every choice.

    Raises:
        CityError: too few users to choose from.
    """
    start, until = history
    free = {i for i, user in enumerate(users) if user.supplier is not DIRTY}

    def take(fit: set[int], count: int, what: str) -> list[int]:
        candidates = sorted(free & fit)
        if len(candidates) < count:
            raise CityError(f"too few users for {what}; a city needs about 20")
        rows = [int(row) for row in rng.choice(candidates, size=count, replace=False)]
        free.difference_update(rows)
        return rows

    def by_sector(sectors: set[Sector]) -> set[int]:
        return {i for i, user in enumerate(users) if user.user.sector in sectors}

    enough = set(np.flatnonzero(mean_user_l_h * _LEAK_SHARE[0] >= _LEAST_LEAK_L_H).tolist())
    hourly = {i for i, user in enumerate(users) if user.supplier is MAIN and i not in large}
    (leaking,) = take(by_sector(_MAY_LEAK) & enough, 1, "a continuous leak")
    changed, rolled = take(hourly, 2, "a meter change and a rollover")
    heading = take(by_sector(_STEADY_OVER_THE_YEAR), 3, "heading over plan")
    (over,) = take(by_sector(_STEADY_OVER_THE_YEAR), 1, "over plan")
    (stopped,) = take(set(free), 1, "a stopped meter")
    bursting = [place.id for place in PLACES].index(str(rng.choice(BURST_ZONES)))

    def days_back(least: float, most: float) -> int:
        """An instant on a whole quarter, so many days before the end."""
        return until - int(rng.uniform(least, most) * DAY_S) // QUARTER_S * QUARTER_S

    def within_history() -> int:
        """An instant on a whole local hour of a working day's middle, inside the history."""
        days = (until - start) // DAY_S
        return start + int(days * rng.uniform(0.2, 0.8)) * DAY_S + int(rng.integers(9, 16)) * 3600

    leak_l_h = round(mean_user_l_h[leaking] * rng.uniform(*_LEAK_SHARE))
    burst_l_h = round(mean_zone_l_h[bursting] * rng.uniform(0.125, 0.145))
    return Plants(
        heading={row: float(rng.uniform(1.10, 1.23)) for row in heading},
        over={over: float(rng.uniform(1.03, 1.19))},
        burst=Flow(bursting, days_back(12, 35), burst_l_h),
        leak=Flow(leaking, days_back(12, 40), max(_LEAST_LEAK_L_H, leak_l_h)),
        stopped=Event(stopped, days_back(5.1, 9.9) // 3600 * 3600),
        rollover=Event(rolled, within_history()),
        change=Event(changed, within_history() + 1800),
    )
