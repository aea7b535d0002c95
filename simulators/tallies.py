"""How many messages and readings each supplier sends within the history, by kind."""

from collections import Counter
from datetime import timedelta
from typing import Any

from simulators.city import City
from simulators.dirt import (
    SET_ASIDE,
    find_due,
    find_duplicated,
    find_late,
    make_garbage,
)
from simulators.meters import QUARTER_S
from simulators.places import DIRTY

_QUARTERS_A_DAY, _HOURS_A_DAY = 96, 24


def tally_suppliers(city: City) -> dict[str, dict[str, Any]]:
    """Meters, distinct readings, garbage, duplicates and late batches of each supplier."""
    nothing = {
        "garbage": {},
        "duplicates": {"messages": 0, "readings": 0},
        "late": {"messages": 0, "readings": 0, "most_days": 0},
    }
    return {
        supplier.id: {
            "name": supplier.name,
            "dialect": supplier.dialect,
            "meters": len(city.rows_of[supplier.id]),
            "readings": sum(tally_readings(city, row) for row in city.rows_of[supplier.id]),
            **(tally_dirt(city) if supplier is DIRTY else nothing),
        }
        for supplier in city.suppliers
    }


def tally_dirt(city: City) -> dict[str, Any]:
    """Garbage by reason, exact duplicates and late batches that are sent within the history."""
    garbage: Counter[str] = Counter()
    twice, late, most = 0, 0, 0
    twice_readings = 0
    for i in range(city.history_days):
        day = city.first_day + timedelta(days=i)
        garbage.update(piece.kind for piece in make_garbage(city, day))
        again = len(find_duplicated(city, day) - set(find_late(city, day)))
        twice += again
        twice_readings += again * (_HOURS_A_DAY + (i == 0))
        due = find_due(city, day)
        late += len(due)
        most = max([most, *((day - earlier).days for earlier, _ in due)])
    return {
        "garbage": dict(sorted(garbage.items())),
        "duplicates": {"messages": twice, "readings": twice_readings},
        "late": {"messages": late, "readings": late * _HOURS_A_DAY, "most_days": most},
    }


def tally_readings(city: City, row: int) -> int:
    """Distinct readings of a meter in the history, both midnights included."""
    days = city.history_days
    quarterly = city.meters[row].meter.interval_s == QUARTER_S
    return days * (_QUARTERS_A_DAY if quarterly else _HOURS_A_DAY) + 1


def refused_share(city: City) -> float:
    """Refused messages and readings / all readings decoded and messages undecodable."""
    dirt = tally_dirt(city)
    refused = {kind: n for kind, n in dirt["garbage"].items() if kind not in SET_ASIDE}
    sent = sum(tally_readings(city, row) for row in city.rows_of[DIRTY.id])
    return sum(refused.values()) / (sent + dirt["duplicates"]["readings"] + sum(refused.values()))
