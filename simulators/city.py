"""The virtual city: everything that follows from one seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from simulators.errors import CityError
from simulators.flows import Flows, Litres, ModelDays
from simulators.meters import QUARTER_S, VirtualMeter, all_passed, make_meters, show_dials
from simulators.places import CITY_ZONE, MAIN, PLACES, SUPPLIERS, Supplier
from simulators.plans import make_plans, make_returns
from simulators.plants import DAY_S, Plants, choose_plants
from simulators.real_inflow import RealInflow, load_real_inflow
from simulators.users import VirtualUser, make_demand, make_users
from water.meters import MeterChange
from water.plans import MonthlyReturn, Plan
from water.zones import Works, WorksKind

HORIZON_DAYS = 400
"""So many days the city goes on beyond `until`."""
_LEAST_USERS = 16
_RECENT_DAYS = 56


@dataclass(frozen=True)
class City:
    """A virtual city with its history from `history_from` to `until` and its life after that.

    `large` holds the rows of the users whose meters report every quarter of an hour.
    """

    seed: int
    until: datetime
    history_from: datetime
    flows: Flows
    real: RealInflow
    meters: tuple[VirtualMeter, ...]
    changes: tuple[MeterChange, ...]
    plans: tuple[Plan, ...]
    returns: tuple[MonthlyReturn, ...]
    works: tuple[Works, ...]

    @property
    def users(self) -> tuple[VirtualUser, ...]:
        """The large users; row i has meter i."""
        return tuple(self.flows.users)

    @property
    def plants(self) -> Plants:
        """What is planted."""
        return self.flows.plants

    @property
    def days(self) -> ModelDays:
        """The days that the model knows."""
        return self.flows.days

    @property
    def first_day(self) -> date:
        """The first local day of the history."""
        return self.history_from.astimezone(ZoneInfo(CITY_ZONE)).date()

    @property
    def until_day(self) -> date:
        """The first local day after the history."""
        return self.until.astimezone(ZoneInfo(CITY_ZONE)).date()

    @property
    def history_days(self) -> int:
        """Local days of history."""
        return (self.until - self.history_from).days

    @property
    def horizon(self) -> datetime:
        """The instant at which the virtual city ends."""
        return datetime.fromtimestamp(int(self.days.midnights[-1]), UTC)

    @cached_property
    def rows_of(self) -> Mapping[str, tuple[int, ...]]:
        """Supplier id → rows of its meters."""
        return {
            supplier.id: tuple(
                row for row, meter in enumerate(self.meters) if meter.supplier is supplier
            )
            for supplier in SUPPLIERS
        }

    @property
    def suppliers(self) -> tuple[Supplier, ...]:
        """Who streams."""
        return SUPPLIERS

    def passed(self, day: date) -> Litres:
        """Litres passed by every meter since the model began, at the 97 quarters of a day."""
        return all_passed(self.flows, self.days.index(day))

    def dials(self, day: date) -> Litres:
        """What every register shows at the 97 quarters of a local day, litres (meters × 97)."""
        return self.dials_of(self.passed(day), day)

    def dials_of(self, passed: Litres, day: date) -> Litres:
        """The same from the litres passed that day."""
        return show_dials(self.meters, passed, self.instants(day))

    def instants(self, day: date) -> Litres:
        """The 97 quarters of a local day, epoch seconds."""
        return self.days.edges(self.days.index(day))


def build_city(seed: int, *, until: datetime, days: int = 365, users: int = 240) -> City:
    """Build the city of a seed.

    Args:
        seed: everything random follows from it.
        until: end of the history, a local midnight.
        days: local days of history before it.
        users: how many large users.

    Raises:
        CityError: `until` is no local midnight, or there are too few users or days.
    """
    local = until.astimezone(ZoneInfo(CITY_ZONE))
    if local.time() != time():
        raise CityError(f"the history of the city ends at a local midnight, not at {local}")
    if users < _LEAST_USERS or days < 1:
        raise CityError(f"a city has at least {_LEAST_USERS} users and 1 day of history")
    model = _model_days(local.date(), days)
    numbers = np.random.default_rng([seed, 1])
    people = make_users(users, numbers)
    demand = make_demand(
        people, [model.first + timedelta(days=i) for i in range(model.count)], numbers
    )
    real = load_real_inflow(model.first, model.count)
    history = (int(until.timestamp()) - days * DAY_S, int(until.timestamp()))
    large = _largest(people, max(2, users // 8))
    recent = slice(model.index(local.date()) - _RECENT_DAYS, model.index(local.date()))
    in_zone = np.array([user.zone for user in people]) == np.arange(len(PLACES))[:, None]
    hours = slice(recent.start * 24, recent.stop * 24)
    plants = choose_plants(
        people,
        demand.total[:, recent.stop - 365 : recent.stop].mean(axis=1) / 24,
        real.litres[:, hours].mean(axis=1) + in_zone @ demand.total[:, recent].mean(axis=1) / 24,
        history=history,
        large=large,
        rng=np.random.default_rng([seed, 2]),
    )
    flows = Flows(model, people, demand, real.litres, plants, seed)
    meters, changes = make_meters(flows, history[0], large, np.random.default_rng([seed, 3]))
    papers = np.random.default_rng([seed, 4])
    return City(
        seed=seed,
        until=until.astimezone(UTC),
        history_from=datetime.fromtimestamp(history[0], UTC),
        flows=flows,
        real=real,
        meters=meters,
        changes=changes,
        plans=make_plans(flows, local.date(), papers),
        returns=make_returns(flows, date(local.year - 1, 1, 1), local.date(), papers),
        works=(_make_works(plants, history),),
    )


def _model_days(until: date, days: int) -> ModelDays:
    """From New Year of the year before (plans), or the history's start, to the horizon."""
    first = min(date(until.year - 1, 1, 1), until - timedelta(days=max(days, 365)))
    begin = datetime.combine(first, time(), ZoneInfo(CITY_ZONE))
    ends = max(until + timedelta(days=HORIZON_DAYS), date(until.year + 1, 1, 1))
    return ModelDays(first, (ends - first).days, int(begin.timestamp()))


def _largest(users: tuple[VirtualUser, ...], count: int) -> frozenset[int]:
    """Rows of the largest users of the water group, whose meters report every quarter."""
    own = [row for row, user in enumerate(users) if user.supplier is MAIN]
    own.sort(key=lambda row: -(users[row].user.annual_volume_m3 or 0))
    return frozenset(own[:count])


def _make_works(plants: Plants, history: tuple[int, int]) -> Works:
    """A flushing in a zone without a burst, half-way through the history."""
    quiet = next(place for row, place in enumerate(PLACES) if row != plants.burst.row)
    begins = history[0] + (history[1] - history[0]) // 2 // DAY_S * DAY_S + 9 * 4 * QUARTER_S
    return Works(
        zone_id=quiet.id,
        kind=WorksKind.FLUSHING,
        begins=datetime.fromtimestamp(begins, UTC),
        ends=datetime.fromtimestamp(begins + 4 * 3600, UTC),
        note="管网末梢冲洗",
    )
