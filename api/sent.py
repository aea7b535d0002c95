"""What a meter sent of an instant, which an edit is held against."""

from datetime import datetime, timedelta

from api.context import ApiContext
from api.tables import rows_of
from water.pages import Row
from water.readings import QUANTITIES
from water.viewer import Viewer


def find_sent(
    context: ApiContext, viewer: Viewer, meter_id: str, at: datetime
) -> dict[str, float | None] | None:
    """The quantities that a meter sent of an instant; None: it sent nothing.

    Raises:
        KeyError: the meter is out of sight.
    """
    begin = at.replace(microsecond=0)
    frame = context.readings.readings(
        viewer, meter_id, begin, begin + timedelta(seconds=1), limit=1
    )
    for row in rows_of(frame):
        return {name: row[name] for name in QUANTITIES}
    return None


def approve_held(context: ApiContext, viewer: Viewer, edit: Row) -> None:
    """Let an edit count, held against what its meter has sent by now.

    Raises:
        NotFoundError: there is no such edit.
        KeyError: its meter is out of sight.
        RefusedEditError: it can't be approved, or not by this viewer.
    """
    sent = find_sent(context, viewer, edit["meter_id"], edit["at"])
    context.editing.approve(viewer.name, edit["id"], sent=sent)
