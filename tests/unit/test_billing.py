"""Billing reads beside our volumes, worked out by hand."""

import pandas as pd
import pytest

from analytics.billing import READS, compare_billing
from water.columns import DAILY


def compare(billed, *days, last="2026-01-10"):
    """A period of ten days; (day of January, volume, measured share) of ours."""
    reads = pd.DataFrame([("m1", "2026-01-01", last, billed)], columns=list(READS))
    reads = reads.astype({"first": "datetime64[s]", "last": "datetime64[s]", "meter_id": "str"})
    rows = [("m1", f"2026-01-{d:02}", v, v / 24, s, 0.0, 1 - s) for d, v, s in days]
    daily = pd.DataFrame(rows, columns=list(DAILY)).astype({"day": "datetime64[s]"})
    return compare_billing(reads, daily.astype({"meter_id": "str"})).iloc[0]


FULL = [(day, 10.0, 1.0) for day in range(1, 12)]


@pytest.mark.parametrize(
    ("billed", "difference", "state"),
    [(100.0, 0.0, "within"), (105.0, -5.0, "within"), (106.0, -6.0, "beyond"), (94, 6, "beyond")],
)  # fmt: skip
def test_our_volume_of_the_same_days_is_held_against_the_bill(billed, difference, state):
    told = compare(billed, *FULL)
    assert (told.volume_m3, told.difference_m3, told.state) == (100.0, difference, state)
    assert told.difference_share == pytest.approx(difference / billed)


def test_a_cubic_metre_is_rounding():
    assert compare(2.0, (1, 3.0, 1.0), last="2026-01-01").state == "within"
    assert compare(1.9, (1, 3.0, 1.0), last="2026-01-01").state == "beyond"


def test_a_period_of_which_too_much_is_missing_is_not_compared():
    eight = [(day, 10.0, 1.0) for day in range(1, 9)]
    told = compare(100.0, *eight)
    assert (told.state, told.missing_share) == ("incomplete", pytest.approx(0.2))
    assert compare(100.0).state == "incomplete"
