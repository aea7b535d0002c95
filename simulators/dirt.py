"""What a careless supplier sends besides its readings: garbage, and readings days late."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from simulators.city import City
from simulators.dialects import jieshui_topic
from simulators.places import DIRTY, MAIN

_GARBAGE_STREAM, _LATE_STREAM, _DUPLICATE_STREAM = 11, 12, 13
_GARBAGE_SHARE = 0.11
_LATE_SHARE = 0.05
_LATE_DAYS = (2, 6)
_ON_TIME_DAYS = 8
"""The last days of the history are on time, so that the history is whole at its end."""
_DUPLICATE_SHARE = 0.25
_TOO_LARGE_EVERY = 120
_TOO_LARGE_BYTES = 600_000

SET_ASIDE = frozenset({"simulated"})
_KINDS = {
    "malformed": 0.20,
    "not_utf8": 0.10,
    "no_quantity": 0.10,
    "unknown_meter": 0.20,
    "other_suppliers_meter": 0.10,
    "time_without_zone": 0.10,
    "bad_time": 0.05,
    "future": 0.05,
    "negative_register": 0.05,
    "beyond_dial": 0.05,
}
"""Reason for which a message is refused (water.refusals) → its share of the garbage."""


class Garbage(NamedTuple):
    """A message that must be refused for the reason `kind`."""

    kind: str
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class _Scrap:
    """What a piece of garbage is made of: an own meter and an odd instant of the day."""

    meter_id: str
    modulus_m3: float
    foreign_id: str
    at: str
    naive: str
    chinese: str
    years_later: str
    number: int


def make_garbage(city: City, day: date) -> list[Garbage]:
    """The garbage of a day, each message different from every other."""
    rows = city.rows_of[DIRTY.id]
    rng = np.random.default_rng([city.seed, _GARBAGE_STREAM, day.toordinal()])
    count = max(1, round(len(rows) * 24 * _GARBAGE_SHARE))
    kinds = rng.choice(list(_KINDS), size=count, p=list(_KINDS.values()))
    seconds = rng.choice(86_000, size=count, replace=False)
    garbage = [
        _make_one(str(kind), _make_scrap(city, day, int(rng.choice(rows)), int(second)))
        for kind, second in zip(kinds, seconds, strict=True)
    ]
    garbage.append(_make_one("simulated", _make_scrap(city, day, rows[0], 86_001)))
    if day.toordinal() % _TOO_LARGE_EVERY == 0:
        garbage.append(_make_one("too_large", _make_scrap(city, day, rows[0], 86_003)))
    return garbage


def _make_scrap(city: City, day: date, row: int, second: int) -> _Scrap:
    second += second % 900 == 0  # never the instant of a real reading
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    meter = city.meters[row].meter
    return _Scrap(
        meter_id=meter.id,
        modulus_m3=meter.modulus_m3 or 0,
        foreign_id=city.meters[city.rows_of[MAIN.id][0]].meter.id,
        at=f"{day}T{clock}+08:00",
        naive=f"{day} {clock}",
        chinese=f"{day.year}年{day.month}月{day.day}日 {clock}",
        years_later=f"{day.replace(day=1, year=day.year + 3)}T{clock}+08:00",
        number=day.toordinal() * 100_000 + second,
    )


def _make_one(kind: str, scrap: _Scrap) -> Garbage:
    addressed = {
        "unknown_meter": f"GHOST-{scrap.number % 97:02d}",
        "other_suppliers_meter": scrap.foreign_id,
    }
    topic = jieshui_topic(DIRTY.id, addressed.get(kind, scrap.meter_id))
    if kind == "not_utf8":
        payload = f'{{"at":"{scrap.chinese}","register_m3":1.5}}'.encode("gbk")
    else:
        payload = json.dumps(_spoil(kind, scrap)).encode()
    return Garbage(kind, topic, payload[:-4] if kind == "malformed" else payload)


def _spoil(kind: str, scrap: _Scrap) -> dict[str, object]:
    """A reading with what is wrong about it; malformed and not_utf8 are spoiled as bytes."""
    if kind == "no_quantity":
        return {"at": scrap.at, "battery_v": 3.6}
    if kind == "too_large":
        return {"at": scrap.at, "register_m3": 1.5, "note": "x" * _TOO_LARGE_BYTES}
    wrong: dict[str, dict[str, object]] = {
        "time_without_zone": {"at": scrap.naive},
        "bad_time": {"at": f"yesterday {scrap.number}"},
        "future": {"at": scrap.years_later},
        "negative_register": {"register_m3": -12.5},
        "beyond_dial": {"register_m3": scrap.modulus_m3 * 1.5},
        "simulated": {"simulated": True},
    }
    return {"at": scrap.at, "register_m3": scrap.number / 1e6, **wrong.get(kind, {})}


def find_late(city: City, day: date) -> dict[int, int]:
    """Rows of the meters whose batch of a day comes late → by how many days."""
    end = city.until_day
    if day == city.first_day or end - timedelta(days=_ON_TIME_DAYS) <= day < end:
        return {}
    rows = city.rows_of[DIRTY.id]
    rng = np.random.default_rng([city.seed, _LATE_STREAM, day.toordinal()])
    late = rng.random(len(rows)) < _LATE_SHARE
    delays = rng.integers(_LATE_DAYS[0], _LATE_DAYS[1] + 1, size=len(rows))
    return {
        row: int(delay) for row, delay, is_late in zip(rows, delays, late, strict=True) if is_late
    }


def find_due(city: City, day: date) -> list[tuple[date, int]]:
    """The (day, row of the meter) of the late batches that come with a day's deliveries."""
    return [
        (earlier, row)
        for delay in range(_LATE_DAYS[0], _LATE_DAYS[1] + 1)
        if (earlier := day - timedelta(days=delay)) >= city.first_day
        for row, late_by in find_late(city, earlier).items()
        if late_by == delay
    ]


def find_duplicated(city: City, day: date) -> frozenset[int]:
    """Rows of the meters whose batch of a day is sent twice."""
    rows = city.rows_of[DIRTY.id]
    rng = np.random.default_rng([city.seed, _DUPLICATE_STREAM, day.toordinal()])
    twice = rng.random(len(rows)) < _DUPLICATE_SHARE
    return frozenset(row for row, again in zip(rows, twice, strict=True) if again)


def shuffle_order(city: City, day: date, row: int, count: int) -> list[int]:
    """The order in which the readings of a late batch stand in its message."""
    rng = np.random.default_rng([city.seed, _LATE_STREAM, day.toordinal(), row])
    return [int(i) for i in rng.permutation(count)]
