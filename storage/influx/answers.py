# pyright: standard
# pandas and numpy type their values too loosely for the strict rules.
"""What analysis and the API ask about readings, answered by InfluxDB."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from storage.edges import Edges
from storage.errors import StoreError
from storage.frames import whole_seconds
from storage.influx import edges, series
from storage.influx.asking import Asker, in_parts
from storage.influx.client import InfluxClient
from storage.influx.flux import EARLIEST, LATEST
from storage.influx.lines import MEASUREMENT
from storage.influx.points import (
    Points,
    frame_of,
    instants_of,
    meters_of,
    readings_frame,
)
from water import columns
from water.readings import QUANTITIES

_APART_S, _LONGEST_S = 3_600, 86_400
"""Readings looked up one by one are asked together up to this gap and this span."""


class InfluxAnswers:
    """The reading half of the readings store; frames are those of the embedded store.

    Every method raises StoreUnavailableError where the server is away, StoreError where a setting
    is wrong.

    Args:
        client: the server and the bucket.
    """

    def __init__(self, client: InfluxClient) -> None:
        self._client = client
        self._asker = Asker(client, MEASUREMENT)

    def load_readings(
        self, meter_ids: Sequence[str], start: datetime, end: datetime, *, neighbours: bool = False
    ) -> pd.DataFrame:
        """Readings with start <= at < end (columns READINGS), sorted by (meter_id, at).

        With `neighbours`, also each meter's last reading before `start` and first at or after
        `end` that carry a register.
        """
        first, last = whole_seconds(start), whole_seconds(end)
        load = self._with_neighbours if neighbours else self._between
        parts = [load(ids, first, last) for ids in in_parts(meter_ids)]
        return frame_of(parts, readings_frame)

    def newest(self, meter_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The newest reading by event time of each meter (columns READINGS); None = every meter."""
        if meter_ids is None:
            return readings_frame(self._newest(None))
        return frame_of([self._newest(ids) for ids in in_parts(meter_ids)], readings_frame)

    def load_page(
        self, meter_id: str, start: datetime, end: datetime, *, after: datetime | None, limit: int
    ) -> pd.DataFrame:
        """The first `limit` readings of a meter with start <= at < end and at > after."""
        first, last = whole_seconds(start), whole_seconds(end)
        if after is not None:
            first = max(first, int(after.timestamp()) + 1)
        if first >= last:
            return readings_frame(Points([], {}))
        # A table is a field's points: those of the first readings are among its first ones.
        question = f"{self._asker.select(first, last, [meter_id])} |> limit(n: {limit})"
        return readings_frame(self._asker.ask(question)).head(limit)

    def load_series(
        self, meter_id: str, quantity: str, start: datetime, end: datetime, points: int
    ) -> pd.DataFrame:
        """A quantity thinned to about `points` rows (columns at, value), extremes kept.

        Raises:
            StoreError: there is no such quantity.
        """
        if quantity not in QUANTITIES:
            raise StoreError(f"{quantity!r} is not one of {', '.join(QUANTITIES)}")
        first, last = whole_seconds(start), whole_seconds(end)
        return series.load_series(self._asker, meter_id, quantity, first, last, points)

    def load_edges(self, meter_ids: Sequence[str] | None, instants: Sequence[datetime]) -> Edges:
        """For each meter and instant the register at or before it and at or after it.

        `instants` rise and lie whole minutes apart; None = every meter.

        Raises:
            StoreError: the instants don't rise or aren't whole minutes apart.
        """
        return edges.load_edges(self._asker, meter_ids, [*map(whole_seconds, instants)])

    def _between(self, ids: list[str], start: int, end: int) -> Points:
        if start >= end:
            return Points(ids, {})
        return self._asker.ask(self._asker.select(start, end, ids), ids)

    def _with_neighbours(self, ids: list[str], start: int, end: int) -> Points:
        select = self._asker.select
        questions = [
            f"{select(EARLIEST, start, ids)} |> last()",
            f"{select(end, LATEST, ids)} |> first()",
        ]
        if start < end:
            questions.append(select(start, end, ids))
        before, after, *between = self._asker.ask_each(questions, ids)
        return self._complete(before.join(after)).join(*between)

    def _newest(self, ids: list[str] | None) -> Points:
        # Every reading has the field received_at: its newest point is the newest reading's, and
        # what else that reading carries is the newest of its field.
        return self._asker.ask(f"{self._asker.select(EARLIEST, LATEST, ids)} |> last()", ids)

    def _complete(self, found: Points) -> Points:
        """The readings whose registers were found by asking for one point of every field.

        A reading between that carries no register hides what came with the register: such ones
        are looked up.
        """
        wanted = found.identities(columns.REGISTER_M3)
        hidden = np.setdiff1d(wanted, found.identities(columns.RECEIVED_AT), assume_unique=True)
        seen = np.setdiff1d(wanted, hidden, assume_unique=True)
        return found.at(seen).join(self._exact(found.meter_ids, hidden))

    def _exact(self, ids: list[str], identities: np.ndarray) -> Points:
        """The readings of exactly these identities (rising), as far as they are there."""
        questions = [
            self._asker.select(
                int(instants_of(some).min()),
                int(instants_of(some).max()) + 1,
                [ids[meter] for meter in np.unique(meters_of(some)).tolist()],
            )
            for some in _spans(identities)
        ]
        return self._asker.ask_all(questions, ids).at(identities)


def _spans(identities: np.ndarray) -> list[np.ndarray]:
    """Identities in order of time, cut where they lie apart and where a span grows too long."""
    if not len(identities):
        return []
    at = instants_of(identities)
    order = np.argsort(at, kind="stable")
    at = at[order]
    apart = np.diff(at) > _APART_S
    long = np.diff((at - at[0]) // _LONGEST_S) > 0
    return np.split(identities[order], np.flatnonzero(apart | long) + 1)
