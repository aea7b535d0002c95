"""What suppliers had sent a day ago, so that what is refused is told of the present."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from runs.ports import RunState

REFUSED = "refused"
"""Name of the run state: counts kept at instants, oldest first."""

_WINDOW = timedelta(hours=24)
_APART = timedelta(hours=1)

Counts = Mapping[str, Mapping[str, int]]


def counts_before(state: RunState, counts: Counts, now: datetime) -> Counts:
    """The newest counts that are a day old at least; none when nothing so old is kept.

    Keeps today's counts for tomorrow, about every hour.
    """
    value: Mapping[str, Any] = state.get(REFUSED) or {}
    kept = [(datetime.fromisoformat(at), old) for at, old in value.get("kept", [])]
    kept = [(at, old) for at, old in kept if at <= now]
    aged = [place for place, (at, _) in enumerate(kept) if at <= now - _WINDOW]
    before = kept[aged[-1]][1] if aged else {}
    if not kept or now - kept[-1][0] >= _APART:
        current = {supplier: dict(count) for supplier, count in counts.items()}
        left = [*kept[aged[-1] if aged else 0 :], (now, current)]
        state.set(REFUSED, {"kept": [(at.isoformat(), old) for at, old in left]})
    return before
