"""Billing reads beside our volumes, worked out by hand."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from analytics.billing import READS, compare_billing
from water.columns import DAILY, DAY, METER_ID, VOLUME_M3


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


def test_what_is_missing_is_not_held_against_a_meter():
    # 1 of 15 days = 6.7 % of the bill
    most = [(day, 10.0, 1.0) for day in range(1, 15)]
    told = compare(150.0, *most, last="2026-01-15")
    assert (told.volume_m3, told.missing_share) == (140.0, pytest.approx(1 / 15))
    assert told.state == "within"
    assert compare(160.0, *most, last="2026-01-15").state == "beyond"
    # more than billed is more, whatever is missing besides
    assert compare(132.0, *most, last="2026-01-15").state == "beyond"


def test_each_read_is_held_against_the_days_of_its_own_meter():
    days = pd.date_range("2026-01-01", periods=60, unit="s")
    daily = pd.concat(
        pd.DataFrame({METER_ID: pd.array([m] * 60, dtype="str"), DAY: days}).assign(
            volume_m3=volume, lowest_hour_m3=0.0, measured_share=1.0, estimated_share=0.0,
            missing_share=0.0,
        )
        for m, volume in (("m2", 7.0), ("m1", 2.0))
    ).sample(frac=1, random_state=3)  # fmt: skip
    reads = pd.DataFrame(
        [
            ("m2", days[0], days[30], 217.0), ("m1", days[31], days[58], 56.0),
            ("m3", days[0], days[1], 1.0), ("m2", days[59], days[59], 7.0),
        ],
        columns=list(READS),
    )  # fmt: skip
    told = compare_billing(reads, daily)
    assert told["volume_m3"].tolist()[:2] == [217.0, 56.0]
    assert told["state"].tolist() == ["within", "within", "incomplete", "within"]


def test_memory_grows_with_reads_and_days_not_with_their_product():
    meters, days = 100, pd.date_range("2026-01-01", periods=360, unit="s")
    ids = [f"m{n}" for n in range(meters)]
    daily = pd.DataFrame(
        {METER_ID: np.repeat(ids, 360), DAY: np.tile(days.to_numpy(), meters), VOLUME_M3: 1.0}
    ).assign(lowest_hour_m3=0.0, measured_share=1.0, estimated_share=0.0, missing_share=0.0)
    reads = pd.DataFrame(
        {METER_ID: np.repeat(ids, 180), "first": np.tile(days[::2].to_numpy(), meters)}
    ).assign(last=lambda rows: rows["first"], billed_m3=1.0)
    tracemalloc.start()
    told = compare_billing(reads, daily)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(told["state"]) == {"within"}
    assert most < 50e6  # 180 x 360 rows a meter would be 300 MB and more
