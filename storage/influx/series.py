# pyright: standard
# pandas types its values too loosely for the strict rules.
"""A series thinned for a chart: what the eye would see, with far fewer points."""

import pandas as pd

from storage.frames import to_instants
from storage.influx.asking import Asker
from storage.influx.points import Points, instants_of
from water import columns

_M4 = ("first", "last", "min", "max")
"""M4 (Jugel et al. 2014): of each bucket the first, last, lowest and highest point."""


def load_series(
    asker: Asker, meter_id: str, quantity: str, start: int, end: int, points: int
) -> pd.DataFrame:
    """Columns at, value: every point when there are at most `points`, else about so many.

    Buckets lie at multiples of their width since 1970, so that the ends cut one in two: the server
    answers such windows from its storage, each point at its own time.
    """
    if start >= end:
        return _frame(Points([], {}), quantity)
    wanted = asker.select(start, end, [meter_id], field=quantity)
    width = max(1, -((start - end) // max(1, points // 4 - 1)))
    picks = [f"{wanted} |> window(every: {width}s) |> {pick}()" for pick in _M4]
    whole, *picked = asker.ask_each([f"{wanted} |> limit(n: {points + 1})", *picks], [meter_id])
    thinned = picked[0].join(*picked[1:])
    return _frame(whole if len(whole.identities(quantity)) <= points else thinned, quantity)


def _frame(points: Points, quantity: str) -> pd.DataFrame:
    kept = points.identities(quantity)
    return pd.DataFrame(
        {columns.AT: to_instants(instants_of(kept)), "value": points.values(quantity, kept)}
    )
