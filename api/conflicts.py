"""Conflicts with what people decided about them, for routes and pages alike."""

from datetime import datetime, timedelta

from api.context import ApiContext
from api.tables import rows_of
from water.pages import Row
from water.viewer import Viewer

_KEY = ("meter_id", "at", "quantity", "offered")
_DECIDED = ("decision", "reason", "edit_id", "decided_by", "decided_at")


def load_conflicts(
    context: ApiContext, viewer: Viewer, start: datetime, end: datetime
) -> list[Row]:
    """Conflicts with start <= at < end; `decision` and what belongs to it None where it is open."""
    decisions = {
        tuple(row[name] for name in _KEY): {name: row[name] for name in _DECIDED}
        for row in context.edits.decisions(viewer, start, end)
    }
    undecided = dict.fromkeys(_DECIDED)
    return [
        row | decisions.get(tuple(row[name] for name in _KEY), undecided)
        for row in rows_of(context.readings.conflicts(viewer, start, end))
    ]


def find_conflict(
    context: ApiContext, viewer: Viewer, meter_id: str, at: datetime, quantity: str, offered: float
) -> Row | None:
    """The conflict of this meter, instant, quantity and offered value; None: there is none."""
    for row in load_conflicts(context, viewer, at, at + timedelta(seconds=1)):
        if tuple(row[name] for name in ("meter_id", "quantity", "offered")) == (
            meter_id, quantity, offered,
        ):  # fmt: skip
            return row
    return None
