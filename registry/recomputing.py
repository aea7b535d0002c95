"""Asking for days that were computed before to be computed again by today's rules."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from registry.ports import RegistryRows
from registry.report import RegistryError
from water.jobs import RECOMPUTE_PAST
from water.meters import Meter

_METERS, _DAYS = 1_000, 31
"""Of one job: about what analysis holds in memory at once; what is newer waits for no more."""
_MOST_JOBS = 20_000


@dataclass(frozen=True, slots=True)
class Recomputation:
    """Meters whose local days `first` to `last` are computed again, and in which jobs.

    Attributes:
        meters: how many.
        jobs: the arguments of each (runs.jobs), oldest days first.
    """

    first: date
    last: date
    meters: int
    jobs: Sequence[Mapping[str, Any]]

    @property
    def meter_days(self) -> int:
        """At most so many: days of which nothing is stored are passed over."""
        return self.meters * ((self.last - self.first).days + 1)


def plan_recomputation(
    meters: Sequence[Meter], wanted: Collection[str] | None, first: date, last: date
) -> Recomputation:
    """Divide meters (`wanted` by their ids; None = all) and days among jobs.

    Meters of a zone stand together, so that its figures are computed again few times.

    Raises:
        RegistryError: a meter is unknown, the days are none, or too many for one command.
    """
    if first > last:
        raise RegistryError(f"the days end before they begin: {first} to {last}")
    known = {meter.id: meter for meter in meters}
    unknown = sorted(set(wanted or ()) - known.keys())
    if unknown:
        raise RegistryError(f"there is no meter {unknown[0]!r}")
    chosen = known.values() if wanted is None else [known[one] for one in set(wanted)]
    ids = [m.id for m in sorted(chosen, key=lambda m: (m.zone_id or "", m.id))]
    groups = [ids[i : i + _METERS] for i in range(0, len(ids), _METERS)]
    if ((last - first).days // _DAYS + 1) * len(groups) > _MOST_JOBS:
        raise RegistryError(f"{first} to {last} is too much for one command: ask for fewer days")
    jobs = [
        {"meter_ids": group, "first": begin.isoformat(), "last": end.isoformat()}
        for begin, end in _divide(first, last)
        for group in groups
    ]
    return Recomputation(first, last, len(ids), jobs)


def ask_recomputation(
    store: RegistryRows, actor: str, planned: Recomputation, named: Collection[str] | None
) -> None:
    """Ask analysis for it, and keep who did; `named`: the meters, None = all that there are."""
    subject = f"{planned.first}..{planned.last}"
    detail: dict[str, object] = {"meters": planned.meters, "jobs": len(planned.jobs)}
    if named is not None:
        detail["named"] = sorted(named)
    with store.transaction() as registry:
        for arguments in planned.jobs:
            registry.ask_again(arguments, actor, RECOMPUTE_PAST)
        registry.audit(actor, [("recompute.asked", subject, detail)])


def _divide(first: date, last: date) -> Iterable[tuple[date, date]]:
    while first <= last:
        end = min(last, first + timedelta(days=_DAYS - 1))
        yield first, end
        first = end + timedelta(days=1)
