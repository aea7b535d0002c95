"""Billing reads beside our volumes, for routes and pages alike."""

from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd

from analytics.billing import compare_billing
from api.context import ApiContext
from api.tables import rows_of
from water.pages import Row
from water.viewer import Viewer

REACH = timedelta(days=400)
"""As long as a billed period may be: our volumes further away are not looked at."""
METERS = 2_000
"""Meters whose daily volumes stand in memory at a time."""


def load_billing(
    context: ApiContext, viewer: Viewer, first: date, last: date, states: Sequence[str] = ()
) -> list[Row]:
    """The billed periods that touch the days first to last, by meter and first day.

    Fields of analytics.billing.compare_billing and `note`; `states` empty = of any state.
    """
    rows = context.edits.billing_reads(viewer, first, last)
    today = context.city.day_of(context.clock.now())
    begin = max(min((row["first"] for row in rows), default=first), first - REACH)
    end = min(max((row["last"] for row in rows), default=last), last + REACH, today)
    meter_ids = sorted({row["meter_id"] for row in rows})
    told: list[Row] = []
    for i in range(0, len(meter_ids), METERS):
        some = meter_ids[i : i + METERS]
        daily = context.readings.daily(viewer, some, begin, end)
        told += _compare(rows, some, daily)
    return [row for row in told if not states or row["state"] in states]


def _compare(rows: Sequence[Row], meter_ids: Sequence[str], daily: pd.DataFrame) -> list[Row]:
    """The rows of these meters beside their daily volumes."""
    mine = frozenset(meter_ids)
    reads = pd.DataFrame([row for row in rows if row["meter_id"] in mine])
    for name in ("first", "last"):
        reads[name] = pd.to_datetime(reads[name]).astype("datetime64[s]")
    told = rows_of(compare_billing(reads.astype({"meter_id": "str"}), daily))
    return [row | {"first": _day(row["first"]), "last": _day(row["last"])} for row in told]


def _day(value: date) -> date:
    return date(value.year, value.month, value.day)
