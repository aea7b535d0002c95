"""What runs needs of the outside, said by runs itself. Frames: water.columns names the columns."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol

import pandas as pd

from water.edits import Edit
from water.findings import Evaluation
from water.jobs import Job
from water.loading import Tally
from water.meters import Meter, MeterChange
from water.plans import MonthlyReturn, Plan
from water.zones import Works, Zone


class Touched(Protocol):
    """Meter-days whose readings changed, and the mark up to which they were looked at.

    `days` has columns meter_id, day (local, datetime64[s]); `mark` grows with every load.
    """

    @property
    def days(self) -> pd.DataFrame: ...
    @property
    def mark(self) -> int: ...


class Readings(Protocol):
    """The readings store as analysis sees it."""

    def touched_days(self, after: int, limit: int) -> Touched:
        """Up to about `limit` meter-days touched after a mark, oldest mark first.

        What it tells outlives a power cut. After a mark that no load has had, as of a store that
        was set back, it begins at the first load.
        """
        ...

    def load_readings(
        self, meter_ids: Sequence[str], start: datetime, end: datetime, *, neighbours: bool = False
    ) -> pd.DataFrame:
        """Readings with start <= at < end (columns READINGS), sorted by (meter_id, at).

        With `neighbours`, also each meter's last reading before `start` and first at or after
        `end` that carry a register.
        """
        ...

    def conflicts(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Values sent beside another one, start <= at < end: columns meter_id, at, quantity."""
        ...

    def newest(self, meter_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The newest reading by event time of each meter (columns READINGS)."""
        ...

    def compact(self, closed_before: date) -> int:
        """Write closed local days to the cold side and free the hot one; how many were written."""
        ...


class Volumes(Protocol):
    """Kept volumes, hourly and daily."""

    def save(self, hourly: pd.DataFrame, daily: pd.DataFrame) -> None:
        """Replace the volumes of exactly the (meter, hour)s and (meter, day)s given, durably."""
        ...

    def load_hourly(
        self, meter_ids: Sequence[str] | None, start: datetime, end: datetime
    ) -> pd.DataFrame:
        """Hourly volumes with start <= hour < end (columns HOURLY); None = every meter."""
        ...

    def load_daily(self, meter_ids: Sequence[str] | None, first: date, last: date) -> pd.DataFrame:
        """Daily volumes with first <= day <= last (columns DAILY); None = every meter."""
        ...

    def compact(self, closed_before: date) -> int:
        """Write closed months to the cold side; how many partitions were written."""
        ...


class Registry(Protocol):
    """Users, meters, zones, plans and returns as analysis sees them."""

    def meters(self) -> list[Meter]: ...
    def meter_changes(self) -> list[MeterChange]: ...
    def edits(self) -> list[Edit]:
        """Every edit that counts or once counted, by meter, time and version."""
        ...

    def decided_conflicts(self) -> frozenset[tuple[str, datetime, str, float]]:
        """Conflicts that a person decided: meter, instant, quantity, offered value."""
        ...

    def zones(self) -> list[Zone]: ...
    def works(self) -> list[Works]: ...
    def plans(self, year: int) -> list[Plan]:
        """The plans in force of a year: the highest version of each user."""
        ...

    def monthly_returns(self) -> list[MonthlyReturn]: ...


class Figures(Protocol):
    """Where computed figures are kept; every save replaces the rows of the same key."""

    def save_zone_days(self, frame: pd.DataFrame) -> None: ...
    def save_zone_nights(self, frame: pd.DataFrame) -> None: ...
    def load_zone_nights(self, first: date, last: date) -> pd.DataFrame: ...
    def save_plan_status(self, frame: pd.DataFrame) -> None: ...
    def save_city_rates(self, rows: Sequence[Mapping[str, Any]]) -> None: ...
    def save_arrivals(self, frame: pd.DataFrame) -> None:
        """Columns meter_id, day, expected, received, valid and DELAYS of analytics.quality."""
        ...

    def save_tallies(self, day: date, tallies: Mapping[Tally, int]) -> None:
        """Keep what these counts had come to on a local day."""
        ...

    def replace_verdicts(
        self, meter_ids: Sequence[str], start: datetime, end: datetime, frame: pd.DataFrame
    ) -> None:
        """Make these meters' verdicts in [start, end) exactly `frame`: meter_id, at, verdict."""
        ...

    def load_verdicts(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Every meter's verdicts with start <= at < end: columns meter_id, at, verdict."""
        ...


class RunState(Protocol):
    """Marks and times that outlive the process."""

    def get(self, name: str) -> dict[str, Any] | None: ...
    def set(self, name: str, value: Mapping[str, Any]) -> None: ...


class Turn(Protocol):
    """The right to analyse, which one process has at a time; its death gives it back.

    A store that keeps it raises what it raises when it is away.
    """

    def take(self) -> bool:
        """Take the turn if nobody has it; whether it is ours now."""
        ...

    def holds(self) -> bool:
        """Whether what was taken is still ours; asked before every write, so it is cheap."""
        ...

    def release(self) -> None:
        """Give it back; nothing happens when it is not ours."""
        ...


class JobQueue(Protocol):
    """The jobs table."""

    def take(self, kinds: Sequence[str]) -> Job | None:
        """The oldest waiting job of these kinds, or None."""
        ...

    def finish(self, job_id: int, outcome: Mapping[str, object], *, failed: bool = False) -> None:
        """Say how a job ended."""
        ...

    def release(self, kinds: Sequence[str]) -> int:
        """Let jobs that a dead process left running wait again; how many there were."""
        ...


class Ledger(Protocol):
    """What ingest counted, for data-quality findings."""

    def refused_counts(self) -> Mapping[str, Mapping[str, int]]:
        """Supplier → {decoded, undecodable, quarantined, stored} since the beginning."""
        ...

    def tallies(self) -> Mapping[Tally, int]:
        """Every count since the beginning."""
        ...


class FindingsListener(Protocol):
    """Whoever wants to know what was found (alerts, wired by jieshui)."""

    def handle(self, evaluation: Evaluation) -> None: ...
