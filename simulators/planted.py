"""What is planted, as the truth tells it: subject, begin, size."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.city import City
from simulators.places import DIRTY, PLACES
from simulators.plans import month_starts
from simulators.plants import DAY_S, Flow
from simulators.tallies import refused_share
from water.plans import Plan

_RECENT_DAYS, _YEAR_DAYS = 56, 365


def tell_planted(city: City) -> list[dict[str, Any]]:
    """Every planted trouble that must be found; docs/virtual-city.md explains the fields."""
    plants, year = city.plants, str(city.until_day.year)
    plans = [("over_plan", row) for row in plants.over]
    plans += [("heading_over_plan", row) for row in plants.heading]
    stopped = plants.stopped
    days = (int(city.until.timestamp()) - stopped.at) / DAY_S
    return [
        *(
            _of_user(city, kind, row, period=year, size=tell_execution(city, row))
            for kind, row in plans
        ),
        _leak(city),
        _of_meter(city, "stopped_meter", stopped.row, stopped.at, {"days": round(days, 3)}),
        _burst(city),
        _entry(
            "supplier_refused",
            "supplier",
            DIRTY.id,
            size={"refused_share": round(refused_share(city), 4)},
        ),
    ]


def tell_events(city: City) -> list[dict[str, Any]]:
    """The rollover and the meter change: no finding may follow from them."""
    rollover, (change,) = city.plants.rollover, city.changes
    return [
        {
            "kind": "rollover",
            "meter_id": city.meters[rollover.row].meter.id,
            "user_id": city.users[rollover.row].user.id,
            "at": _instant(rollover.at),
            "modulus_m3": city.meters[rollover.row].meter.modulus_m3,
        },
        {
            "kind": "meter_change",
            "meter_id": change.meter_id,
            "user_id": city.users[city.plants.change.row].user.id,
            "at": change.at.isoformat(),
            "old_final_m3": change.old_final_m3,
            "new_initial_m3": change.new_initial_m3,
        },
    ]


def tell_execution(city: City, row: int) -> dict[str, float]:
    """Use of a user in the year of `until`, beside its plan, m³, as of `until`.

    Projected: the plan's remaining months at the pace kept so far.
    """
    until = city.until_day
    plan = next(
        plan
        for plan in city.plans
        if plan.user_id == city.users[row].user.id and plan.year == until.year
    )
    begin, end = city.days.index(date(until.year, 1, 1)), city.days.index(until)
    midnights = city.flows.user_midnights()[row]
    used = int(midnights[end] - midnights[begin]) / 1000
    to_date = _plan_to_date(plan, until)
    rate = used / to_date
    projected = used + rate * (plan.year_m3 - to_date)
    return {
        "used_m3": used,
        "plan_m3": plan.year_m3,
        "plan_to_date_m3": round(to_date, 3),
        "use_rate": round(rate, 4),
        "projected_rate": round(projected / plan.year_m3, 4),
    }


def zone_net_midnights(city: City) -> NDArray[np.int64]:
    """Net inflow of each zone, litres, up to every midnight of the model."""
    real, users = city.flows.real_midnights(), city.flows.user_midnights()
    supply = city.flows.supply(real, users, city.days.midnights)
    return supply - city.flows.passed_on(real)


def _entry(
    kind: str,
    subject_kind: str,
    subject_id: str,
    *,
    period: str = "",
    begin: int | None = None,
    ids: tuple[str | None, str | None, str | None] = (None, None, None),
    size: Mapping[str, float],
) -> dict[str, Any]:
    user_id, meter_id, zone_id = ids
    return {
        "kind": kind,
        "subject_kind": subject_kind,
        "subject_id": subject_id,
        "period": period,
        "begin": None if begin is None else _instant(begin),
        "user_id": user_id,
        "meter_id": meter_id,
        "zone_id": zone_id,
        "size": dict(size),
    }


def _ids(city: City, row: int) -> tuple[str, str, str]:
    virtual = city.users[row]
    return virtual.user.id, city.meters[row].meter.id, PLACES[virtual.zone].id


def _of_user(
    city: City,
    kind: str,
    row: int,
    *,
    period: str = "",
    begin: int | None = None,
    size: Mapping[str, float],
) -> dict[str, Any]:
    ids = _ids(city, row)
    return _entry(kind, "user", ids[0], period=period, begin=begin, ids=ids, size=size)


def _of_meter(
    city: City, kind: str, row: int, begin: int, size: Mapping[str, float]
) -> dict[str, Any]:
    ids = _ids(city, row)
    return _entry(kind, "meter", ids[1], begin=begin, ids=ids, size=size)


def _leak(city: City) -> dict[str, Any]:
    """The leak beside the user's mean flow of the year before `until` without it."""
    leak = city.plants.leak
    last = city.days.index(city.until_day)
    first = last - _YEAR_DAYS
    midnights = city.flows.user_midnights()[leak.row]
    used = int(midnights[last] - midnights[first]) - _let_out(city, leak, first, last)
    mean_m3_h = used / ((last - first) * 24_000)
    size = {
        "flow_m3_h": leak.litres_h / 1000,
        "share_of_mean_flow": round(leak.litres_h / 1000 / mean_m3_h, 4),
    }
    return _of_user(city, "continuous_flow", leak.row, begin=leak.begin, size=size)


def _burst(city: City) -> dict[str, Any]:
    """The burst beside the zone's mean inflow of the last 56 days without it."""
    burst = city.plants.burst
    last = city.days.index(city.until_day)
    first = last - _RECENT_DAYS
    net = zone_net_midnights(city)[burst.row]
    mean_m3_h = (int(net[last] - net[first]) - _let_out(city, burst, first, last)) / (
        (last - first) * 24_000
    )
    size = {
        "flow_m3_h": burst.litres_h / 1000,
        "share_of_mean_inflow": round(burst.litres_h / 1000 / mean_m3_h, 4),
    }
    zone_id = PLACES[burst.row].id
    ids = (None, None, zone_id)
    return _entry("night_flow_rise", "zone", zone_id, begin=burst.begin, ids=ids, size=size)


def _let_out(city: City, flow: Flow, first: int, last: int) -> int:
    """Litres that a planted flow let out between two midnights of the model."""
    return int(np.diff(flow.litres_until(city.days.midnights[[first, last]]))[0])


def _plan_to_date(plan: Plan, until: date) -> float:
    """The plan's whole months before `until` and its part of the month, by days."""
    edges = month_starts(date(until.year, 1, 1), 12)
    shares = [
        min(max((until - start).days / (end - start).days, 0), 1) for start, end in pairwise(edges)
    ]
    return sum(volume * share for volume, share in zip(plan.months_m3, shares, strict=True))


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
