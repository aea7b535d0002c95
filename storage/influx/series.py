# pyright: standard
# pandas and numpy type their values too loosely for the strict rules.
"""A series thinned for a chart: what the eye would see, with far fewer points.

Thinning is M4 (Jugel et al. 2014): of each bucket the first, last, lowest and highest point. The
server answers M4 from its storage in windows that begin at multiples of their width, and so makes
a long series short enough to be sent; a short one it sends sooner than it picks from it.
"""

import numpy as np
import pandas as pd

from storage.frames import to_instants
from storage.influx.asking import Asker
from storage.influx.points import Points, instants_of
from water import columns

_SENT = 4_000
"""More points than these are thinned by the server first."""

_M4 = ("first", "last", "min", "max")


def load_series(
    asker: Asker, meter_id: str, quantity: str, start: int, end: int, points: int
) -> pd.DataFrame:
    """Columns at, value: every point when there are at most `points`, else about so many."""
    if start >= end:
        return _frame(Points([], {}), quantity, np.array([], np.int64))
    most = max(points, _SENT)
    wanted = asker.select(start, end, [meter_id], field=quantity)
    found = asker.ask(f"{wanted} |> limit(n: {most + 1})")
    if len(found.identities(quantity)) > most:
        windows = f"{wanted} |> window(every: {_width(start, end, most)}s)"
        found = asker.ask_all([f"{windows} |> {pick}()" for pick in _M4], [meter_id])
    kept = found.identities(quantity)
    if len(kept) > points:
        buckets = (instants_of(kept) - start) // _width(start, end, points)
        kept = kept[_thin(buckets, found.values(quantity, kept))]
    return _frame(found, quantity, kept)


def _width(start: int, end: int, points: int) -> int:
    """How long a bucket is, so that their points are about so many."""
    return max(1, -((start - end) // max(1, points // 4)))


def _thin(buckets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The places of the first, last, lowest and highest value of each bucket (rising)."""
    first = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    last = np.append(first[1:], len(buckets)) - 1
    by_value = np.lexsort((values, buckets))
    return np.unique(np.concatenate([first, last, by_value[first], by_value[last]]))


def _frame(points: Points, quantity: str, kept: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {columns.AT: to_instants(instants_of(kept)), "value": points.values(quantity, kept)}
    )
