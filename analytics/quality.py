"""Data quality: arrival and completeness, registers that run backwards, suppliers' refusals."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from analytics.frames import (
    check_columns,
    code_of,
    id_array,
    to_datetime,
    to_local_days,
    to_seconds,
)
from analytics.grid import service_days
from analytics.series import EXCLUDED, Verdict
from water.city_time import CityTime, days_between
from water.columns import AT, DAY, METER_ID, QUALITY, RECEIVED_AT, VERDICT
from water.findings import Evaluation, Finding, FindingKind, SubjectKind
from water.meters import Meter
from water.readings import Quality

DELAYS = {"least_delay_s": 0.0, "median_delay_s": 0.5, "p95_delay_s": 0.95, "most_delay_s": 1.0}
"""What is kept of the delays of a meter's day: column → share of them that it is not below."""
_WITHOUT_DELAY = Quality.CLOCK_ASSUMED | Quality.HISTORY
BACKWARD_DAYS = 30
"""A register that ran backwards is told of for so many days."""
REFUSED_SHARE = 0.05
REFUSED_LEAST = 20
NOBODY = "?"
"""The supplier under whom ingest counts messages whose topic names none."""


def compute_arrivals(
    checked: pd.DataFrame, meters: Sequence[Meter], first: date, last: date, city: CityTime
) -> pd.DataFrame:
    """Readings expected, received and valid of each meter in service and local day.

    Arrival rate 数据到报率 = received / expected, completeness 数据完整率 = valid / expected.
    Expected = seconds in service / nominal interval; valid = neither excluded by the series check
    nor corrected or voided by people. What people entered was not received.
    A delay is received_at − at of a reading that was sent and carried an instant of its own: the
    way that it takes, plus the error of the meter's clock. One of a file of history has none.

    Args:
        checked: the frame that `check_series` returned, of these days.
        meters: meters to give rows for.
        first: first local day.
        last: last local day.
        city: the city's days.

    Returns:
        Columns meter_id, day (datetime64[s]), expected, received, valid (int64) and those of DELAYS
        (float64, whole seconds, NaN where no reading tells), sorted.
    """
    check_columns(checked, (METER_ID, AT, RECEIVED_AT, QUALITY, VERDICT), "checked readings")
    chosen = sorted(meters, key=lambda meter: meter.id)
    days = days_between(first, last)
    lengths = [(end - begin).total_seconds() for begin, end in map(city.day_bounds, days)]
    interval = np.array([m.interval_s for m in chosen], dtype=np.float64)[:, None]
    expected = np.rint(service_days(chosen, days, city) * np.array(lengths) / interval)
    meter = code_of(checked, METER_ID, [m.id for m in chosen])
    day = to_local_days(to_seconds(checked, AT), city.zone)
    column = (day - np.datetime64(first)).astype(np.int64)
    here = (meter >= 0) & (column >= 0) & (column < len(days)) & ~_has(checked, Quality.ENTERED)
    valid = ~checked[VERDICT].isin([verdict.value for verdict in EXCLUDED]).to_numpy(dtype=bool)
    valid &= ~_has(checked, Quality.OVERRULED)
    cell = meter * len(days) + column
    received, counted = (
        np.bincount(cell[rows], minlength=expected.size) for rows in (here, here & valid)
    )
    in_service = expected.ravel() > 0
    frame = pd.DataFrame(
        {
            METER_ID: id_array(
                [m.id for m in chosen], np.repeat(np.arange(len(chosen)), len(days))
            ),
            DAY: np.tile(np.array(days, dtype="datetime64[s]"), len(chosen)),
            "expected": expected.ravel().astype(np.int64),
            "received": received,
            "valid": counted,
            **_delays(checked, cell, here, expected.size),
        }
    )
    return frame.take(np.flatnonzero(in_service | (received > 0))).reset_index(drop=True)


def _has(checked: pd.DataFrame, quality: Quality) -> np.ndarray:
    return (checked[QUALITY].to_numpy(dtype=np.int64) & quality) != 0


def _delays(
    checked: pd.DataFrame, cell: np.ndarray, here: np.ndarray, cells: int
) -> dict[str, np.ndarray]:
    """The quantiles DELAYS of received_at − at in each cell, seconds; NaN where nothing tells."""
    quality = checked[QUALITY].to_numpy(dtype=np.int64)
    telling = here & (quality & _WITHOUT_DELAY == 0)
    delay = (to_seconds(checked, RECEIVED_AT) - to_seconds(checked, AT))[telling]
    of = cell[telling]
    order = np.lexsort((delay, of))
    ascending = delay[order].astype(np.float64)
    count = np.bincount(of, minlength=cells)
    begin = np.cumsum(count) - count
    filled = count > 0
    quantiles: dict[str, np.ndarray] = {}
    for name, share in DELAYS.items():
        # The smallest value that at least this share of the cell does not exceed.
        place = begin + np.maximum(np.ceil(share * count).astype(np.int64) - 1, 0)
        quantiles[name] = np.full(cells, np.nan)
        quantiles[name][filled] = ascending[place[filled]]
    return quantiles


def detect_backward(
    verdicts: pd.DataFrame, meters: Sequence[Meter], *, now: datetime
) -> Evaluation:
    """Find meters whose register ran backwards in the last 30 days (BACKWARD_REGISTER, meter).

    Args:
        verdicts: columns meter_id, at, verdict (good ones may be left out) of the last 30 days.
        meters: the meters that were checked; one without a backward reading is clear.
        now: the instant of the analysis.
    """
    check_columns(verdicts, (METER_ID, AT, VERDICT), "verdicts")
    ids = sorted(meter.id for meter in meters)
    meter = code_of(verdicts, METER_ID, ids)
    at = to_seconds(verdicts, AT)
    oldest = (now - timedelta(days=BACKWARD_DAYS)).timestamp()
    ran_back = (verdicts[VERDICT] == Verdict.BACKWARD.value).to_numpy(dtype=bool)
    ran_back = ran_back & (meter >= 0) & (at >= oldest) & (at <= now.timestamp())
    findings = list[Finding]()
    for code in np.unique(meter[ran_back]):
        times = at[ran_back & (meter == code)]
        finding = Finding(
            kind=FindingKind.BACKWARD_REGISTER,
            subject_kind=SubjectKind.METER,
            subject_id=ids[code],
            at=now,
            since=to_datetime(times.min()),
            figures={"backward_readings": float(times.size)},
            thresholds={"backward_readings": 1.0, "days": float(BACKWARD_DAYS)},
            readings_from=to_datetime(times.min()),
            readings_to=to_datetime(times.max()),
        )
        findings.append(finding)
    judged = frozenset((meter_id, "") for meter_id in ids)
    return Evaluation(FindingKind.BACKWARD_REGISTER, now, judged, tuple(findings))


def detect_refused(
    counts: Mapping[str, Mapping[str, int]],
    before: Mapping[str, Mapping[str, int]] | None = None,
    *,
    now: datetime,
) -> Evaluation:
    """Find suppliers too much of whose data is refused (SUPPLIER_REFUSED, subject supplier).

    share = (undecodable + quarantined) / (decoded + undecodable) of what came since `before`; a
    finding above 5 % when at least 20 were refused.

    Args:
        counts: supplier → {decoded, undecodable, quarantined, …} since the beginning; "?" is
            nobody (no supplier in the topic) and never judged.
        before: the counts of about a day ago; None = of the beginning.
        now: the instant of the analysis.
    """
    findings = list[Finding]()
    judged = set[tuple[str, str]]()
    for supplier_id, count in sorted(counts.items()):
        if supplier_id == NOBODY:
            continue
        undecodable, quarantined, decoded = _increase(count, (before or {}).get(supplier_id, {}))
        refused, received = undecodable + quarantined, decoded + undecodable
        if received < REFUSED_LEAST:
            continue
        judged.add((supplier_id, ""))
        if refused >= REFUSED_LEAST and refused / received > REFUSED_SHARE:
            finding = Finding(
                kind=FindingKind.SUPPLIER_REFUSED,
                subject_kind=SubjectKind.SUPPLIER,
                subject_id=supplier_id,
                at=now,
                figures={
                    "refused_share": refused / received,
                    "undecodable": float(undecodable),
                    "quarantined": float(quarantined),
                    "decoded": float(decoded),
                },
                thresholds={"refused_share": REFUSED_SHARE, "refused": float(REFUSED_LEAST)},
            )
            findings.append(finding)
    return Evaluation(FindingKind.SUPPLIER_REFUSED, now, frozenset(judged), tuple(findings))


def _increase(count: Mapping[str, int], before: Mapping[str, int]) -> tuple[int, int, int]:
    """Undecodable, quarantined, decoded since then; from 0 where counting began anew."""
    names = ("undecodable", "quarantined", "decoded")
    anew = any(count.get(name, 0) < before.get(name, 0) for name in names)
    undecodable, quarantined, decoded = (
        count.get(name, 0) - (0 if anew else before.get(name, 0)) for name in names
    )
    return undecodable, quarantined, decoded
