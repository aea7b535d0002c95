"""What a meter sent of an instant, which an edit is held against."""

from datetime import datetime, timedelta

from api.context import ApiContext
from api.tables import rows_of
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
