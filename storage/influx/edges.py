# pyright: standard
# numpy types its arrays too loosely for the strict rules.
"""Registers around instants: volumes straight from readings.

Raw points close to the instants are read first. That is the fastest that the server can do:
windows that keep the time of a selected point cost it as much as reading points does, and those
that don't (`aggregateWindow`) can't say how far from the instant a register was read. What has no
point close by is asked for one instant after the other, `last()` and `first()` pushed down.
"""

from collections.abc import Sequence

import numpy as np

from storage.edges import Edges, join_edges, unknown_edges
from storage.influx.asking import Asker, in_parts
from storage.influx.flux import EARLIEST, LATEST
from storage.influx.points import Points, identify, instants_of, meters_of
from water.columns import RECEIVED_AT, REGISTER_M3

_REACH_S = 3_600


def load_edges(asker: Asker, meter_ids: Sequence[str] | None, instants: Sequence[int]) -> Edges:
    """Registers around `instants` (epoch seconds); None = every meter.

    Raises:
        StoreError: the instants don't rise or aren't whole minutes apart.
    """
    if meter_ids is None:
        return _load_part(asker, None, instants)
    parts = [_load_part(asker, ids, instants) for ids in in_parts(meter_ids)]
    return join_edges(unknown_edges([], instants), *parts)


def _load_part(asker: Asker, meter_ids: list[str] | None, instants: Sequence[int]) -> Edges:
    newest = asker.ask(f"{asker.select(EARLIEST, LATEST, meter_ids)} |> last()")
    ids = [newest.meter_ids[meter] for meter in meters_of(newest.identities(RECEIVED_AT)).tolist()]
    found = unknown_edges(ids, instants)
    if found.before_at.size:
        asked = None if meter_ids is None else ids
        _Search(asker, found, asked).run(_register_instants(newest))
    return found


def _register_instants(points: Points) -> np.ndarray:
    """Of each meter the instant of its one register; NaN = it has none."""
    identities = points.identities(REGISTER_M3)
    at = np.full(len(points.meter_ids), np.nan)
    at[meters_of(identities)] = instants_of(identities)
    return at


class _Search:
    """Fills edges; `asked` are its meters, or None where these are all that the server knows."""

    def __init__(self, asker: Asker, found: Edges, asked: Sequence[str] | None) -> None:
        self._asker = asker
        self._found = found
        self._asked = asked

    def run(self, newest: np.ndarray) -> None:
        """Look near every instant, then as far as each meter has registers.

        Args:
            newest: the instant of each meter's newest register.
        """
        found, places = self._found, range(len(self._found.instants))
        self._look_near()
        registers = self._select(EARLIEST, LATEST, self._asked)
        oldest = _register_instants(self._asker.ask(f"{registers} |> first()", found.meter_ids))
        for place in reversed(places):
            instant = found.instants[place]
            missing = np.isnan(found.before_at[:, place]) & (oldest <= instant)
            self._look_before(int(instant), np.flatnonzero(missing))
        for place in places:
            instant = found.instants[place]
            missing = np.isnan(found.after_at[:, place]) & (newest >= instant)
            self._look_after(int(instant), np.flatnonzero(missing))

    def _select(self, start: int, end: int, meter_ids: Sequence[str] | None) -> str:
        return self._asker.select(start, end, meter_ids, field=REGISTER_M3)

    def _look_near(self) -> None:
        """Enter the registers that lie within the reach of an instant."""
        found = self._found
        questions = [self._select(*span, self._asked) for span in _near(found.instants.tolist())]
        near = self._asker.ask_all(questions, found.meter_ids)
        known = near.identities(REGISTER_M3)
        if not len(known):
            return
        m3 = near.values(REGISTER_M3, known)
        wanted = identify(np.arange(len(found.meter_ids))[:, None], found.instants)
        for side, at, register in (
            (np.searchsorted(known, wanted, side="right") - 1, found.before_at, found.before_m3),
            (np.searchsorted(known, wanted, side="left"), found.after_at, found.after_m3),
        ):
            place = np.clip(side, 0, len(known) - 1)
            there = (side == place) & (np.abs(known[place] - wanted) <= _REACH_S)
            at[there] = instants_of(known[place])[there]
            register[there] = m3[place][there]

    def _look_before(self, instant: int, rows: np.ndarray) -> None:
        """Enter the last registers at or before an instant, here and as far back as they reach."""
        for row, at, m3 in self._ask_for(EARLIEST, instant + 1, rows, "last"):
            found = self._found
            here = (found.instants >= at) & (found.instants <= instant)
            found.before_at[row, here], found.before_m3[row, here] = at, m3

    def _look_after(self, instant: int, rows: np.ndarray) -> None:
        """Enter the first registers at or after an instant, here and as far on as they reach."""
        for row, at, m3 in self._ask_for(instant, LATEST, rows, "first"):
            found = self._found
            here = (found.instants >= instant) & (found.instants <= at)
            found.after_at[row, here], found.after_m3[row, here] = at, m3

    def _ask_for(
        self, start: int, end: int, rows: np.ndarray, pick: str
    ) -> list[tuple[int, int, float]]:
        """Of the meters of these rows the one register that is picked: row, instant, m³."""
        if not len(rows):
            return []
        ids = self._found.meter_ids
        question = f"{self._select(start, end, [ids[row] for row in rows.tolist()])} |> {pick}()"
        points = self._asker.ask(question, ids)
        known = points.identities(REGISTER_M3)
        return list(
            zip(
                meters_of(known).tolist(),
                instants_of(known).tolist(),
                points.values(REGISTER_M3, known).tolist(),
                strict=True,
            )
        )


def _near(instants: Sequence[int]) -> list[tuple[int, int]]:
    """Spans [start, end) that cover the reach of every instant, each second once."""
    spans: list[tuple[int, int]] = []
    for instant in instants:
        start, end = instant - _REACH_S, instant + _REACH_S + 1
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans
