# pyright: standard
# pyarrow types its tables as unknown: strict rules have nothing to hold on to.
"""A series thinned for a chart: what the eye would see, with far fewer points."""

import pandas as pd

from storage.frames import to_instants
from storage.readings import frames
from storage.readings.snapshot import Snapshot
from water import columns

_THIN = """
SELECT * FROM (
    WITH given AS (SELECT "at", {quantity} AS value FROM rows WHERE {quantity} IS NOT NULL),
    kept AS (
        SELECT unnest([min("at"), max("at"), arg_min("at", value), arg_max("at", value)]) AS "at"
        FROM given GROUP BY ("at" - $start) // $width)
    SELECT "at", value FROM given
    WHERE (SELECT count(*) FROM given) <= $points OR "at" IN (SELECT "at" FROM kept))
ORDER BY "at"
"""
"""M4 (Jugel et al. 2014): of each bucket the first, last, lowest and highest point."""


def thin_series(
    snapshot: Snapshot, meter: int, quantity: str, start: int, end: int, points: int
) -> pd.DataFrame:
    """Columns at, value: every point when there are at most `points`, else about so many.

    `quantity` is one of water.readings.QUANTITIES (the caller checks that).
    """
    width = max(1, -((start - end) // max(1, points // 4)))
    table = snapshot.query(
        _THIN.format(quantity=quantity),
        start,
        end,
        meters=[meter],
        parameters={"start": start, "width": width, "points": points},
    )
    return pd.DataFrame(
        {
            columns.AT: to_instants(frames.column(table, "at")),
            "value": frames.column(table, "value"),
        }
    )
