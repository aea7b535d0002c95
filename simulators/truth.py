"""The truth about the city, for whoever compares it with what was found.

Detectors can't read it.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from simulators.city import City
from simulators.flows import Litres
from simulators.meters import split_supply
from simulators.places import DIRTY, PLACES
from simulators.plans import cjj92_rates, month_starts
from simulators.planted import tell_events, tell_execution, tell_planted, zone_net_midnights
from simulators.tallies import tally_readings, tally_suppliers

FORMAT = 1


def write_truth(city: City, path: Path) -> None:
    """Write the truth as JSON; docs/virtual-city.md explains every field."""
    path.write_text(json.dumps(compute_truth(city), ensure_ascii=False, indent=1), "utf-8")


def compute_truth(city: City) -> dict[str, Any]:
    """Everything planted, every exact volume, every count of the history."""
    midnights = _midnights(city)
    return {
        "format": FORMAT,
        "seed": city.seed,
        "until": city.until.isoformat(),
        "history_from": city.history_from.isoformat(),
        "first_day": city.first_day.isoformat(),
        "days": city.history_days,
        "planted": tell_planted(city),
        "events": tell_events(city),
        "clear": _clear(city),
        "virtual": {
            "users": [user.user.id for user in city.users],
            "customer_meters": [_meter_of(city, row) for row in range(len(city.users))],
            "burst_zone": PLACES[city.plants.burst.row].id,
        },
        "meters": _meters(city, midnights),
        "zones": _zones(city, midnights),
        "suppliers": tally_suppliers(city),
        "plans": {
            city.users[row].user.id: tell_execution(city, row) for row in range(len(city.users))
        },
        "city": _city_rates(city),
    }


def _midnights(city: City) -> Litres:
    """Litres passed by every meter up to each midnight of the history (meters × days + 1)."""
    first = city.days.index(city.first_day)
    real, users = city.flows.real_midnights(), city.flows.user_midnights()
    supply = city.flows.supply(real, users, city.days.midnights)
    passed = split_supply(users, supply, city.flows.passed_on(real))
    return passed[:, first : first + city.history_days + 1]


def _clear(city: City) -> dict[str, list[str]]:
    rows = [row for row in range(len(city.users)) if row not in city.plants.users]
    return {
        "users": [city.users[row].user.id for row in rows],
        "meters": [_meter_of(city, row) for row in rows],
        "zones": [place.id for row, place in enumerate(PLACES) if row != city.plants.burst.row],
        "suppliers": [supplier.id for supplier in city.suppliers if supplier is not DIRTY],
    }


def _meters(city: City, midnights: Litres) -> dict[str, dict[str, Any]]:
    opening = city.dials(city.first_day)[:, 0]
    closing = city.dials(city.until_day)[:, 0]
    months = _months(city)
    return {
        virtual.meter.id: {
            "supplier_id": virtual.supplier.id,
            "role": virtual.meter.role.value,
            "user_id": virtual.meter.user_id,
            "zone_id": virtual.meter.zone_id,
            "readings": tally_readings(city, row),
            "first_register_m3": int(opening[row]) / 1000,
            "last_register_m3": int(closing[row]) / 1000,
            "total_m3": int(midnights[row, -1] - midnights[row, 0]) / 1000,
            "months_m3": {
                month: int(midnights[row, end] - midnights[row, begin]) / 1000
                for month, begin, end in months
            },
            "days_m3": (np.diff(midnights[row]) / 1000).tolist(),
        }
        for row, virtual in enumerate(city.meters)
    }


def _months(city: City) -> list[tuple[str, int, int]]:
    """Each calendar month of the history with the columns between which it lies."""
    starts = month_starts(city.first_day, city.history_days // 28 + 2)
    columns = [min(max((start - city.first_day).days, 0), city.history_days) for start in starts]
    return [
        (f"{start:%Y-%m}", begin, end)
        for start, (begin, end) in zip(starts, pairwise(columns), strict=False)
        if begin < end
    ]


def _zones(city: City, midnights: Litres) -> dict[str, dict[str, Any]]:
    first = city.days.index(city.first_day)
    last = first + midnights.shape[1] - 1
    net = zone_net_midnights(city)[:, first : last + 1]
    real = city.flows.real_midnights()[:, [first, last]]
    burst = np.diff(city.plants.burst.litres_until(city.days.midnights[[first, last]]))[0]
    filled = city.real.filled[:, first * 24 : last * 24].mean(axis=1)
    zones: dict[str, dict[str, Any]] = {}
    for row, place in enumerate(PLACES):
        inside = [i for i, user in enumerate(city.users) if user.zone == row]
        zones[place.id] = {
            "inflow_m3": int(net[row, -1] - net[row, 0]) / 1000,
            "real_m3": int(real[row, 1] - real[row, 0]) / 1000,
            "users_m3": int((midnights[inside, -1] - midnights[inside, 0]).sum()) / 1000,
            "burst_m3": int(burst) / 1000 if row == city.plants.burst.row else 0.0,
            "filled_share": round(float(filled[row]), 4),
            "days_m3": (np.diff(net[row]) / 1000).tolist(),
        }
    return zones


def _city_rates(city: City) -> dict[str, Any]:
    months = city.returns[-12:]
    gross, corrected = cjj92_rates(months)
    return {
        "system_input_m3": sum(month.system_input_m3 for month in months),
        "gross_rate": round(gross, 9),
        "rate": round(corrected, 9),
        "months": [f"{month.month:%Y-%m}" for month in months],
    }


def _meter_of(city: City, row: int) -> str:
    return city.meters[row].meter.id
