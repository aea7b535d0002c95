"""The scorecard of a supplier 数据质量计分卡: what arrived of what was due, how late, how sound."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from analytics.frames import Floats, check_columns, to_floats, to_seconds
from analytics.quality import DELAYS
from water.columns import AT, METER_ID, RECEIVED_AT
from water.loading import Tally
from water.meters import Meter

SILENT_INTERVALS = 3
SILENT_LEAST = timedelta(hours=24)
"""A meter is silent when nothing arrived for three of its intervals and a day."""

_FINE = 1e-6


def compute_scorecard(
    arrived: Mapping[str, int],
    least_delays: Sequence[float],
    delays: pd.DataFrame,
    counts: Mapping[Tally, int],
) -> dict[str, Any]:
    """The figures of one supplier over a window of days.

    * arrival_rate 数据到报率 = received / expected; completeness 数据完整率 = valid / expected.
    * delay_p50_s, delay_p95_s 时延: the delay that half, 95 % of the readings did not exceed.
    * clock_skew_s 时钟偏差: median over meters of the least delay of each. A meter's clock that is
      ahead makes it negative; one that is behind, or data that always come late, positive.
    * duplicate_share, conflict_share, quarantined_share = of the decoded readings;
      undecodable_share = of the messages received.

    Args:
        arrived: how many readings were expected, received and valid.
        least_delays: the least delay of each meter that tells one, seconds.
        delays: columns received and DELAYS, a row a meter and day.
        counts: what ingest counted of the supplier in these days.

    Returns:
        Name → number; None where there is nothing to divide by or no reading tells.
    """
    expected, received, valid = (arrived[name] for name in ("expected", "received", "valid"))
    messages, readings = _sum_accounts(counts, "messages"), _sum_accounts(counts, "readings")
    decoded, sent = readings.get("decoded", 0), messages.get("received", 0)
    return {
        "expected": expected,
        "received": received,
        "valid": valid,
        "arrival_rate": _share(received, expected),
        "completeness": _share(valid, expected),
        "delay_p50_s": compute_delay(delays, 0.5),
        "delay_p95_s": compute_delay(delays, 0.95),
        "clock_skew_s": float(np.median(least_delays)) if len(least_delays) else None,
        "messages": sent,
        "undecodable": messages.get("undecodable", 0),
        "undecodable_share": _share(messages.get("undecodable", 0), sent),
        "decoded": decoded,
        **{name: readings.get(name, 0) for name in ("duplicate", "conflict", "quarantined")},
        **{
            f"{name}_share": _share(readings.get(name, 0), decoded)
            for name in ("duplicate", "conflict", "quarantined")
        },
    }


def compute_delay(delays: pd.DataFrame, share: float) -> float | None:
    """The delay in seconds that a share of the readings did not exceed; None without a reading.

    Of each meter and day four quantiles are known (DELAYS). Between them its readings are taken as
    evenly spread over the logarithm, for delays have long tails; the distributions of all meters
    and days, each by its readings, are one mixture, whose quantile is found by halving. Exact where
    a meter's delays are alike; within 15 % of every reading's for log-normal ones.
    """
    check_columns(delays, ("received", *DELAYS), "delays")
    if delays.empty:
        return None
    knots = [_log(to_floats(delays, name)) for name in DELAYS]
    weight = to_floats(delays, "received")
    wanted = share * weight.sum()
    low, high = float(knots[0].min()), float(knots[-1].max())
    if _readings_within(knots, weight, low) >= wanted:
        return _seconds(low)
    while high - low > _FINE:
        middle = (low + high) / 2
        if _readings_within(knots, weight, middle) < wanted:
            low = middle
        else:
            high = middle
    return _seconds(high)


def _log(seconds: Floats) -> Floats:
    """A logarithm that has a place for 0 and, mirrored, for clocks that are ahead."""
    return np.sign(seconds) * np.log1p(np.abs(seconds))


def _seconds(log: float) -> float:
    return float(round(np.sign(log) * np.expm1(abs(log)), 1))


def _readings_within(knots: Sequence[Floats], weight: Floats, delay: float) -> float:
    """How many readings of the mixture have at most this delay."""
    within = np.zeros(len(weight))
    shares = tuple(DELAYS.values())
    for place in range(len(shares) - 1):
        begin, end = knots[place], knots[place + 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(end > begin, (delay - begin) / (end - begin), 1.0 * (delay >= end))
        within += (shares[place + 1] - shares[place]) * np.clip(part, 0.0, 1.0)
    return float((within * weight).sum())


def _sum_accounts(counts: Mapping[Tally, int], ledger: str) -> dict[str, int]:
    """Account → count; what was put right meanwhile may have made an account smaller."""
    sums: dict[str, int] = {}
    for tally, count in counts.items():
        if tally.ledger == ledger:
            sums[tally.account] = sums.get(tally.account, 0) + count
    return {account: max(0, count) for account, count in sums.items()}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def find_silent(newest: pd.DataFrame, meters: Sequence[Meter], now: datetime) -> list[str]:
    """The meters in service from which nothing has arrived for too long, the longest first.

    Args:
        newest: the newest reading of each meter (columns meter_id, at, received_at).
        meters: the supplier's.
        now: the present.

    Returns:
        Their ids; a meter that never sent comes first.
    """
    check_columns(newest, (METER_ID, AT, RECEIVED_AT), "newest readings")
    heard = dict(zip(newest[METER_ID], to_seconds(newest, RECEIVED_AT).tolist(), strict=True))
    present = now.timestamp()
    silent = [
        (heard.get(meter.id, -np.inf), meter.id)
        for meter in meters
        if _is_in_service(meter, now)
        and present - heard.get(meter.id, -np.inf) > _patience_s(meter)
    ]
    return [meter_id for _, meter_id in sorted(silent)]


def _is_in_service(meter: Meter, now: datetime) -> bool:
    begun = meter.in_service_from is None or meter.in_service_from <= now - SILENT_LEAST
    return begun and (meter.in_service_to is None or now < meter.in_service_to)


def _patience_s(meter: Meter) -> float:
    return max(SILENT_INTERVALS * meter.interval_s, SILENT_LEAST.total_seconds())
