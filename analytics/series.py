"""The series check: what each reading is worth, judged by its neighbours in time alone."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analytics.clocks import find_clocks_off
from analytics.contradictions import RUN_S, find_contradicted
from analytics.dials import Dials, Step, place_on_dials
from analytics.frames import Flags, Floats, check_columns, to_floats, to_seconds
from analytics.stuck import find_stuck
from water.columns import AT, FLOW_M3_H, METER_ID, RECEIVED_AT, REGISTER_M3, VERDICT
from water.meters import Meter, MeterChange
from water.policy import Policy


class Verdict(StrEnum):
    """What the series check says of a reading. A stored name: renaming one is a decision."""

    GOOD = "good"
    METER_CHANGED = "meter_changed"
    """The first reading of a new dial, after a recorded meter change."""
    ROLLOVER = "rollover"
    """The first reading after the dial went through its modulus."""
    BACKWARD = "backward"
    """The register decreased, beyond the tolerance; excluded from volumes."""
    BEYOND_Q4 = "beyond_q4"
    """More water than Q4 allows since the reading before, and it did not come back."""
    SPIKE = "spike"
    """A value that the readings on both sides contradict; excluded from volumes."""
    REPEATED = "repeated"
    """One of a block of readings that was sent before, stamped later; excluded from volumes."""
    STUCK = "stuck"
    """The register stood still although water flowed; excluded from volumes."""
    CONFLICT = "conflict"
    """Another value was sent for the same instant, and nobody has decided; excluded."""
    CLOCK_OFF = "clock_off"
    """From here on the device's clock is off by more than the limit; still in volumes."""


EXCLUDED = frozenset(
    {Verdict.BACKWARD, Verdict.SPIKE, Verdict.REPEATED, Verdict.STUCK, Verdict.CONFLICT}
)
"""Verdicts whose readings carry no register into volumes."""

DOUBTFUL = frozenset({*EXCLUDED, Verdict.BEYOND_Q4, Verdict.ROLLOVER} - {Verdict.CONFLICT})
"""Verdicts that readings up to CONTEXT_S away have a say in; the others have a say only in their
nearest CONTEXT_READINGS neighbours."""

CONTEXT_READINGS = 8
"""Readings that count, where they exist, that must stand on either side of a chunk …"""
CONTEXT_S = 2 * RUN_S
"""… and time that it must reach further where one of its readings is doubtful, so that the chunk
gives the same verdicts and volumes as the whole series."""

_POLICY = Policy()


def check_series(
    readings: pd.DataFrame,
    meters: Sequence[Meter],
    changes: Sequence[MeterChange],
    contested: pd.DataFrame | None = None,
    *,
    policy: Policy = _POLICY,
) -> pd.DataFrame:
    """Judge every reading by its neighbours; order of arrival has no say.

    Args:
        readings: columns READINGS in any order; of the flow and the arrival use is made where
            there are such columns.
        meters: the meters of the readings; others are taken to have neither dial nor Q3.
        changes: recorded meter changes; those of other meters are ignored.
        contested: columns meter_id, at, quantity of the values beside which another one was sent,
            and nobody decided: such a register carries nothing, such a flow is no evidence.
        policy: the city's limits.

    Returns:
        The readings sorted by (meter_id, at) with a column `verdict` (Verdict as string).
    """
    check_columns(readings, (METER_ID, AT, REGISTER_M3), "readings")
    checked = _sorted(readings)
    meter_ids = pd.Index(checked[METER_ID]).unique().tolist()
    told = np.zeros(len(checked), dtype=np.int8)
    _tell(told, Verdict.CLOCK_OFF, np.flatnonzero(_clocks_off(checked, policy.clock_limit_s)))
    dials = place_on_dials(checked, meter_ids, meters, changes)
    dials = _set_aside(
        dials, told, {Verdict.CONFLICT: _contested(dials, checked, contested, REGISTER_M3)}
    )
    repeated, spikes, backward = find_contradicted(dials)
    wrong = {Verdict.REPEATED: repeated, Verdict.SPIKE: spikes, Verdict.BACKWARD: backward}
    dials = _set_aside(dials, told, wrong)
    flows = _flows(dials, checked)
    flows[_contested(dials, checked, contested, FLOW_M3_H)] = np.nan
    stuck = find_stuck(dials, flows, stuck_m3=policy.stuck_m3)
    dials = _set_aside(dials, told, {Verdict.STUCK: np.flatnonzero(stuck)})
    for verdict, points in _remarkable(dials).items():
        _tell(told, verdict, dials.row[points])
    checked[VERDICT] = pd.array(list(Verdict), dtype="str").take(told)
    return checked


def place_kept(
    checked: pd.DataFrame,
    meter_ids: Sequence[str],
    meters: Sequence[Meter],
    changes: Sequence[MeterChange],
) -> Dials:
    """The readings that carry their register into volumes, on dials; a backward one ends its dial.

    Args:
        checked: the frame that `check_series` returned.
        meter_ids: sorted, without repetition.
        meters: dials and Q3 of the meters.
        changes: recorded meter changes.
    """
    dials = place_on_dials(checked, meter_ids, meters, changes)
    verdict = checked[VERDICT]
    excluded = verdict.isin([name.value for name in EXCLUDED]).to_numpy(dtype=bool)
    if not excluded.any():
        return dials
    is_reading = dials.row >= 0
    backward = (verdict == Verdict.BACKWARD.value).to_numpy(dtype=bool)
    return dials.without(is_reading & excluded[dials.row], is_reading & backward[dials.row])


def _tell(told: NDArray[np.int8], verdict: Verdict, rows: NDArray[np.int64]) -> None:
    told[rows] = list(Verdict).index(verdict)


def _set_aside(
    dials: Dials, told: NDArray[np.int8], found: Mapping[Verdict, NDArray[np.int64]]
) -> Dials:
    """Tell what was found of these points; the dials without them."""
    flags = {verdict: np.zeros(dials.at.size, dtype=bool) for verdict in EXCLUDED}
    for verdict, points in found.items():
        _tell(told, verdict, dials.row[points])
        flags[verdict][points] = True
    if not any(points.size for points in found.values()):
        return dials
    return dials.without(np.any(list(flags.values()), axis=0), flags[Verdict.BACKWARD])


def _clocks_off(checked: pd.DataFrame, clock_limit_s: float) -> Flags:
    if RECEIVED_AT not in checked:
        return np.zeros(len(checked), dtype=bool)
    return find_clocks_off(
        pd.factorize(checked[METER_ID])[0].astype(np.int64),
        to_seconds(checked, AT),
        to_seconds(checked, RECEIVED_AT),
        clock_limit_s=clock_limit_s,
    )


def _contested(
    dials: Dials, checked: pd.DataFrame, contested: pd.DataFrame | None, quantity: str
) -> NDArray[np.int64]:
    """The points for which another value of a quantity was sent too."""
    if contested is None or contested.empty:
        return np.empty(0, dtype=np.int64)
    check_columns(contested, (METER_ID, AT, "quantity"), "contested readings")
    twice = contested.loc[contested["quantity"] == quantity, [METER_ID, AT]]
    ids = pd.Index(twice[METER_ID].unique())
    code = ids.get_indexer(pd.Index(checked[METER_ID]))
    sent_twice = pd.MultiIndex.from_arrays(
        [ids.get_indexer(pd.Index(twice[METER_ID])), to_seconds(twice, AT)]
    )
    rows = np.flatnonzero(code >= 0)
    there = pd.MultiIndex.from_arrays([code[rows], to_seconds(checked, AT)[rows]])
    is_contested = np.zeros(len(checked), dtype=bool)
    is_contested[rows] = there.isin(sent_twice)
    return np.flatnonzero((dials.row >= 0) & is_contested[dials.row])


def _flows(dials: Dials, checked: pd.DataFrame) -> Floats:
    """The flow of each point, m³/h; NaN where nothing is said."""
    if FLOW_M3_H not in checked:
        return np.full(dials.at.size, np.nan)
    return np.where(dials.row >= 0, to_floats(checked, FLOW_M3_H)[dials.row], np.nan)


def _sorted(readings: pd.DataFrame) -> pd.DataFrame:
    code = pd.factorize(readings[METER_ID], sort=True)[0]
    at = to_seconds(readings, AT)
    later = (code[1:] == code[:-1]) & (at[1:] > at[:-1])
    if (later | (code[1:] > code[:-1])).all():
        return readings.reset_index(drop=True)
    return readings.take(np.lexsort((at, code))).reset_index(drop=True)


def _remarkable(kept: Dials) -> dict[Verdict, NDArray[np.int64]]:
    """Readings that follow the kept point before them in a way worth a word."""
    points = np.arange(kept.at.size, dtype=np.int64)
    step = kept.step(points - 1, points)
    is_reading = kept.row >= 0
    after_change = np.zeros(kept.at.size, dtype=bool)
    after_change[1:] = (kept.row[:-1] < 0) & (kept.dial[1:] == kept.dial[:-1])
    return {
        Verdict.BEYOND_Q4: points[is_reading & (step == Step.TOO_FAST)],
        Verdict.ROLLOVER: points[is_reading & (step == Step.ROLLOVER)],
        Verdict.METER_CHANGED: points[is_reading & after_change],
    }
