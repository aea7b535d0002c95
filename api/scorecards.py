"""Scorecards of suppliers: of their kept days, and of what their meters last sent."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from analytics.scorecard import compute_scorecard, find_silent
from api.context import ApiContext
from water.columns import METER_ID, RECEIVED_AT
from water.loading import Tally
from water.pages import Row
from water.viewer import Viewer

MOST_SILENT = 1_000
"""Silent meters that a scorecard names; it counts all of them."""
WINDOW_DAYS = 7
"""Whole days that a scorecard shows unless it is asked for others."""


def last_days(context: ApiContext, days: int = WINDOW_DAYS) -> tuple[date, date]:
    """The first and last of the newest whole local days."""
    yesterday = context.city.day_of(context.clock.now()) - timedelta(days=1)
    return yesterday - timedelta(days=days - 1), yesterday


def load_scorecard(
    context: ApiContext, viewer: Viewer, supplier_id: str, first: date, last: date
) -> Row | None:
    """The scorecard of a supplier over local days; None when there is none within sight."""
    kept = context.registry.supplier_days(viewer, supplier_id, first, last)
    if kept is None:
        return None
    now = context.clock.now()
    newest = context.readings.newest(viewer, [meter.id for meter in kept["meters"]])
    silent = find_silent(newest, kept["meters"], now)
    heard = _heard(newest[METER_ID].tolist(), newest[RECEIVED_AT].tolist())
    intervals = {meter.id: meter.interval_s for meter in kept["meters"]}
    return {
        "supplier": kept["id"],
        "name": kept["name"],
        "first": first,
        "last": last,
        "as_of": now,
        "meters": len(kept["meters"]),
        **compute_scorecard(kept["arrived"], kept["least_delays"], kept["delays"], kept["counts"]),
        "counted_from": kept["counted_from"] and kept["counted_from"] + timedelta(days=1),
        "counted_until": kept["counted_until"],
        "since": _count_since(context, viewer, supplier_id, kept["counted"]),
        "reasons": _list_reasons(kept["counts"]),
        "silent": len(silent),
        "silent_meters": [
            {"meter_id": meter, "received_at": heard.get(meter), "interval_s": intervals[meter]}
            for meter in silent[:MOST_SILENT]
        ],
    }


def _count_since(
    context: ApiContext, viewer: Viewer, supplier_id: str, counted: Mapping[Tally, int]
) -> dict[str, int]:
    """What ingest has counted above `counted` until now; 0 where a replay took some away."""
    before = Counter[tuple[str, str]]()
    for tally, count in counted.items():
        before[tally.ledger, tally.account] += count
    of_supplier = (row for row in context.ingest.sums(viewer) if row["supplier"] == supplier_id)
    sums: Row = next(of_supplier, {})
    return {
        name: max(0, sums.get(ledger, {}).get(account, 0) - before[ledger, account])
        for name, (ledger, account) in _SINCE.items()
    }


_SINCE = {
    "messages": ("messages", "received"),
    "undecodable": ("messages", "undecodable"),
    "decoded": ("readings", "decoded"),
    "quarantined": ("readings", "quarantined"),
}


def _heard(meters: list[str], received: list[Any]) -> dict[str, datetime]:
    return {meter: at.to_pydatetime() for meter, at in zip(meters, received, strict=True)}


def _list_reasons(counts: Mapping[Tally, int]) -> list[Row]:
    """Why something was not stored, the most frequent first."""
    told = Counter[tuple[str, str, str]]()
    for tally, count in counts.items():
        if tally.reason and tally.account in _REFUSED:
            told[tally.ledger, tally.account, tally.reason] += count
    return [
        {"ledger": ledger, "account": account, "reason": reason, "count": count}
        for (ledger, account, reason), count in told.most_common()
        if count > 0
    ]


_REFUSED = {"undecodable", "set_aside", "quarantined"}
"""Accounts that have reasons; elsewhere the reason is the journal that counted."""
