"""Plans of the users and monthly returns of the water group."""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from simulators.flows import Flows
from simulators.places import CITY_OUTLET_PRESSURE_MPA
from water.city_time import next_month
from water.plans import MonthlyReturn, Plan

_ORDINARY = (0.79, 0.91)
_LEAKING = 0.76
"""Use so far / plan to date of the leaking user: low, so that the leak breaks no plan as well."""
_ISSUED_BY = "义乌市水务局"

_SUPPLY_OF_ZONES = 0.83
"""Share of the city's supply that enters through the ten zones; the rest lies outside them."""
_GROSS_LOSS = (0.096, 0.104)
_HOUSEHOLD_SHARE = 0.27
_FREE_METERED, _FREE_UNMETERED, _BILLED_UNMETERED = 0.006, 0.004, 0.003
_MAINS_KM_PER_10000_M3 = 0.0745
"""单位供水量管长 A of CJJ 92: makes R2 = 0.99 (A − 0.0693) about half a percent."""


def make_plans(flows: Flows, until: date, rng: np.random.Generator) -> tuple[Plan, ...]:
    """The plans of every user for the year before `until` and for its year.

    Months follow the user's own expected season. In the year of `until` the scale is set so that
    use so far / plan to date is what was planted; in the year before every user kept its plan.
    """
    return tuple(
        plan
        for row in range(len(flows.users))
        for plan in (
            _make_plan(flows, row, until.year - 1, until, float(rng.uniform(*_ORDINARY))),
            _make_plan(flows, row, until.year, until, _target(flows, row, until, rng)),
        )
    )


def _target(flows: Flows, row: int, until: date, rng: np.random.Generator) -> float:
    """Use so far / plan to date of a user in the year of `until`."""
    ordinary, plants = float(rng.uniform(*_ORDINARY)), flows.plants
    if row in plants.over:
        return plants.over[row] / _expected_share(flows, row, until)
    if row == plants.leak.row:
        return _LEAKING
    return plants.heading.get(row, ordinary)


def _expected_share(flows: Flows, row: int, until: date) -> float:
    """Which share of the year's expected use lies before `until`."""
    year = slice(
        flows.days.index(date(until.year, 1, 1)), flows.days.index(date(until.year + 1, 1, 1))
    )
    expected = flows.demand.expected[row]
    return float(expected[year.start : flows.days.index(until)].sum() / expected[year].sum())


def _make_plan(flows: Flows, row: int, year: int, until: date, target: float) -> Plan:
    starts = month_starts(date(year, 1, 1), 12)
    columns = [flows.days.index(day) for day in starts]
    end = min(columns[-1], flows.days.index(until))
    midnights = flows.user_midnights()[row]
    expected = np.add.reduceat(flows.demand.expected[row][: columns[-1]], columns[:-1])
    so_far = flows.demand.expected[row][columns[0] : end].sum()
    scale = (midnights[end] - midnights[columns[0]]) / so_far / target
    months = tuple(float(round(litres * scale / 1000)) for litres in expected)
    return Plan(
        user_id=flows.users[row].user.id,
        year=year,
        months_m3=months,
        issued_by=_ISSUED_BY,
        issued_on=date(year, 1, 20),
        reason="年度计划",
    )


def make_returns(
    flows: Flows, first: date, until: date, rng: np.random.Generator
) -> tuple[MonthlyReturn, ...]:
    """The returns of every closed month from `first` on; system input follows the zones' supply."""
    count = (until.year - first.year) * 12 + until.month - first.month
    starts = month_starts(first, count)
    columns = [flows.days.index(day) for day in starts]
    input_m3 = np.diff(city_supply_midnights(flows)[columns]) / 1000 / _SUPPLY_OF_ZONES
    mains_km = round(float(input_m3[-12:].mean()) * 12 / 10_000 * _MAINS_KM_PER_10000_M3, 1)
    return tuple(
        _make_return(month, float(round(volume)), float(rng.uniform(*_GROSS_LOSS)), mains_km)
        for month, volume in zip(starts, input_m3, strict=False)
    )


def city_supply_midnights(flows: Flows) -> NDArray[np.int64]:
    """Litres that entered all zones, net of what was passed on, up to every midnight."""
    real, users = flows.real_midnights(), flows.user_midnights()
    supply = flows.supply(real, users, flows.days.midnights) - flows.passed_on(real)
    return supply.sum(axis=0)


def _make_return(month: date, input_m3: float, gross_loss: float, mains_km: float) -> MonthlyReturn:
    unmetered = float(round(input_m3 * _BILLED_UNMETERED))
    free_metered = float(round(input_m3 * _FREE_METERED))
    free_unmetered = float(round(input_m3 * _FREE_UNMETERED))
    authorised = round(input_m3 * (1 - gross_loss))
    return MonthlyReturn(
        month=month,
        own_m3=input_m3,
        purchased_m3=0.0,
        billed_metered_m3=authorised - unmetered - free_metered - free_unmetered,
        billed_unmetered_m3=unmetered,
        free_metered_m3=free_metered,
        free_unmetered_m3=free_unmetered,
        household_m3=float(round(input_m3 * _HOUSEHOLD_SHARE)),
        mains_km=mains_km,
        outlet_pressure_mpa=CITY_OUTLET_PRESSURE_MPA,
    )


def cjj92_rates(returns: Sequence[MonthlyReturn]) -> tuple[float, float]:
    """Gross and corrected loss rate of twelve months (CJJ 92-2018 5.2.2, 5.2.3), fractions.

    The few lines that the truth needs; frost depth 0, so R4 = 0.
    """
    supplied = sum(month.system_input_m3 for month in returns)
    gross = (supplied - sum(month.authorised_m3 for month in returns)) / supplied
    r1 = 0.08 * sum(month.household_m3 for month in returns) / supplied
    pipe = returns[-1].mains_km / (supplied / 10_000)
    r2 = min(max(0.99 * (pipe - 0.0693), -0.03), 0.03)
    r3 = 0.005  # 0.35 < outlet pressure ≤ 0.55 MPa
    return gross, gross - r1 - r2 - r3


def month_starts(first: date, months: int) -> list[date]:
    """The first days of `months` months from that of `first` on, and of the one after."""
    starts = [first.replace(day=1)]
    for _ in range(months):
        starts.append(next_month(starts[-1]))
    return starts


def days_of(first: date, count: int) -> list[date]:
    """`count` days from `first` on."""
    return [first + timedelta(days=i) for i in range(count)]
