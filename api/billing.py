"""Billing reads beside our volumes, for routes and pages alike."""

from collections.abc import Sequence
from datetime import date

import pandas as pd

from analytics.billing import compare_billing
from api.context import ApiContext
from api.tables import rows_of
from water.pages import Row
from water.viewer import Viewer

_STATES = {"beyond": 0, "incomplete": 1, "within": 2}


def load_billing(
    context: ApiContext, viewer: Viewer, first: date, last: date, states: Sequence[str] = ()
) -> list[Row]:
    """The billed periods that touch the days first to last, those beyond the tolerance first.

    Fields of analytics.billing.compare_billing and `note`; `states` empty = of any state.
    """
    rows = context.edits.billing_reads(viewer, first, last)
    if not rows:
        return []
    reads = pd.DataFrame(rows)
    meter_ids = sorted({row["meter_id"] for row in rows})
    begin, end = min(row["first"] for row in rows), max(row["last"] for row in rows)
    for name in ("first", "last"):
        reads[name] = pd.to_datetime(reads[name]).astype("datetime64[s]")
    daily = context.readings.daily(viewer, meter_ids, begin, end)
    told = rows_of(compare_billing(reads.astype({"meter_id": "str"}), daily))
    told = [
        row | {"first": _day(row["first"]), "last": _day(row["last"])}
        for row in told
        if not states or row["state"] in states
    ]
    return sorted(told, key=lambda row: (_STATES[row["state"]], row["meter_id"], row["first"]))


def _day(value: date) -> date:
    return date(value.year, value.month, value.day)
