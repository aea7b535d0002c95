# pyright: standard
# pandas ships no stubs: strict rules about unknown types have nothing to hold on to.
"""Finding the readings that late ones meet: a few queries, however many are late."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter

import pandas as pd

from storage.frames import to_seconds
from storage.merging import Row
from storage.registry.ledger_unsettled import Identity
from water import columns
from water.readings import QUANTITIES, Reading

_METER_HOURS = 4_000
"""What one query may span, meters × hours: 16,000 readings at one in 15 minutes."""

_SPARSE_METER_HOURS, _HOURS_BETWEEN = 400, 24
"""Where less than one reading a meter-hour is looked for, a query spans no more than this, nor
than this for each of them: a meter that is read every 10 seconds has 360 readings in an hour."""

_LEAST_HOURS = 0.25

LoadReadings = Callable[[Sequence[str], datetime, datetime], pd.DataFrame]
"""Meters, start, end → their readings with start <= at < end (columns READINGS)."""


@dataclass(slots=True)
class Window:
    """What one query asks: every reading of some meters from `start` to `end`, both included."""

    start: int
    end: int
    meters: set[str] = field(default_factory=set[str])
    wanted: int = 0

    def takes(self, at: int, meter_id: str) -> bool:
        """Whether the query stays small enough with one more reading."""
        hours = max((at - self.start) / 3600, _LEAST_HOURS)
        meter_hours = (len(self.meters) + (meter_id not in self.meters)) * hours
        wanted = self.wanted + 1
        sparse = min(_SPARSE_METER_HOURS, wanted * _HOURS_BETWEEN)
        return meter_hours <= min(_METER_HOURS, max(wanted, sparse))

    def add(self, at: int, meter_id: str) -> None:
        """Ask for this reading too; `at` is not before `end`."""
        self.end = at
        self.wanted += 1
        self.meters.add(meter_id)


def plan(identities: Sequence[Identity]) -> Iterator[Window]:
    """The windows that hold these readings, in order of time.

    What comes again after an outage lies close together and is one window; months of one meter's
    hours are one, too. Readings scattered over meters and months want more.
    """
    window: Window | None = None
    for meter_id, at in sorted(identities, key=itemgetter(1)):
        if window is None or not window.takes(at, meter_id):
            if window is not None:
                yield window
            window = Window(at, at)
        window.add(at, meter_id)
    if window is not None:
        yield window


def look_up(load_readings: LoadReadings, identities: Sequence[Identity]) -> dict[Identity, Row]:
    """The stored rows with one of these identities."""
    wanted = set(identities)
    found: dict[Identity, Row] = {}
    for window in plan(identities):
        start = datetime.fromtimestamp(window.start, UTC)
        end = datetime.fromtimestamp(window.end + 1, UTC)
        frame = load_readings(sorted(window.meters), start, end)
        found.update((row[:2], row) for row in _rows(frame) if row[:2] in wanted)
    return found


def find_readings(
    load_readings: LoadReadings, identities: Sequence[Identity]
) -> dict[Identity, Reading]:
    """The stored readings with one of these identities."""
    return {key: Reading(*row) for key, row in look_up(load_readings, identities).items()}


def find_conflicts(
    conflicts: Callable[[datetime, datetime], pd.DataFrame], identities: Collection[Identity]
) -> set[tuple[str, int, str, float]]:
    """The conflicts known of these identities: meter, instant, quantity, offered value.

    Args:
        conflicts: start, end → columns meter_id, at, quantity, offered.
        identities: (meter, instant) of readings.
    """
    if not identities:
        return set()
    wanted, instants = set(identities), [at for _, at in identities]
    start = datetime.fromtimestamp(min(instants), UTC)
    found = conflicts(start, datetime.fromtimestamp(max(instants) + 1, UTC))
    rows = zip(
        found[columns.METER_ID].tolist(),
        to_seconds(found[columns.AT]).tolist(),
        found["quantity"].tolist(),
        found["offered"].tolist(),
        strict=True,
    )
    return {row for row in rows if row[:2] in wanted}


def _rows(frame: pd.DataFrame) -> Iterator[Row]:
    """A frame of readings as rows; the key of a meter is its id."""
    quantities = zip(*(frame[name].tolist() for name in QUANTITIES), strict=True)
    others = zip(
        frame[columns.METER_ID].tolist(),
        to_seconds(frame[columns.AT]).tolist(),
        to_seconds(frame[columns.RECEIVED_AT]).tolist(),
        frame[columns.QUALITY].tolist(),
        strict=True,
    )
    for (meter_id, at, received_at, quality), values in zip(others, quantities, strict=True):
        register, flow, pressure, level = (None if math.isnan(v) else v for v in values)
        yield (meter_id, at, received_at, register, flow, pressure, level, int(quality))
