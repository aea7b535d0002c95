"""A supplier's scorecard, each figure worked out by hand or against every reading."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from analytics.quality import DELAYS
from analytics.scorecard import compute_delay, compute_scorecard, find_silent
from water.loading import Tally
from water.meters import Meter, MeterRole

NOW = datetime(2026, 9, 15, tzinfo=UTC)


def delays(*rows):
    """(received, four delays) rows, one a meter and day."""
    return pd.DataFrame(rows, columns=["received", *DELAYS], dtype="float64")


def compute(expected=0, received=0, valid=0, least=(), days=(), counts=None):
    arrived = {"expected": expected, "received": received, "valid": valid}
    return compute_scorecard(arrived, least, delays(*days), counts or {})


def same(delay):
    return (delay,) * 4


def test_arrival_rate_and_completeness_are_of_what_was_due():
    card = compute(expected=72, received=36, valid=35)
    assert card["arrival_rate"] == 0.5
    assert card["completeness"] == pytest.approx(35 / 72)


def test_shares_are_of_what_was_decoded_and_of_what_was_received():
    counts = {
        Tally("s", "messages", "received", ""): 150,
        Tally("s", "messages", "received", "ingest-2"): 50,
        Tally("s", "messages", "undecodable", "malformed"): 6,
        Tally("s", "messages", "undecodable", "not_utf8"): 4,
        Tally("s", "readings", "decoded"): 400,
        Tally("s", "readings", "duplicate"): 20,
        Tally("s", "readings", "conflict"): 4,
        Tally("s", "readings", "quarantined", "future"): 8,
        Tally("s", "readings", "quarantined", "sentinel"): -3,
    }
    card = compute(counts=counts)
    assert card["undecodable_share"] == 0.05
    assert (card["duplicate_share"], card["conflict_share"]) == (0.05, 0.01)
    assert card["quarantined_share"] == 0.0125


def test_where_nothing_came_no_share_is_told():
    card = compute()
    told = {name: value for name, value in card.items() if value is not None}
    assert set(told.values()) == {0}
    assert "arrival_rate" not in told
    assert "delay_p95_s" not in told


def test_one_delay_of_all_is_every_share_of_them():
    one = delays((24, *same(7)))
    assert [compute_delay(one, share) for share in (0.01, 0.5, 0.95, 1)] == [7] * 4


def test_each_meters_day_weighs_by_its_readings():
    two = delays((96, *same(2)), (4, *same(3_600)))
    assert compute_delay(two, 0.95) == pytest.approx(2, abs=0.1)
    assert compute_delay(two, 0.97) == pytest.approx(3_600, abs=0.1)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_the_delays_of_the_mixture_are_near_those_of_every_reading(share):
    random = np.random.default_rng(7)
    rows, every = [], []
    for _ in range(400):
        of_day = np.sort(random.lognormal(random.normal(3, 0.7), 0.8, 96).round())
        every.append(of_day)
        places = [max(int(np.ceil(part * 96)) - 1, 0) for part in DELAYS.values()]
        rows.append((96, *of_day[places]))
    found = compute_delay(delays(*rows), share)
    assert found == pytest.approx(np.quantile(np.concatenate(every), share), rel=0.15)


def test_the_clock_skew_is_the_median_over_meters_of_their_freshest_reading():
    assert compute(least=[2, -90, 3])["clock_skew_s"] == 2
    assert compute()["clock_skew_s"] is None


def test_silent_are_meters_in_service_from_which_nothing_came_for_three_intervals_and_a_day():
    heard = {"fresh": 1, "a_day": 25, "daily": 60, "daily_late": 73, "gone": 500}
    newest = pd.DataFrame(
        {
            "meter_id": list(heard),
            "at": pd.DatetimeIndex([NOW - timedelta(days=99)] * 5).as_unit("s"),
            "received_at": pd.DatetimeIndex(
                [NOW - timedelta(hours=hours) for hours in heard.values()]
            ).as_unit("s"),
        }
    )
    meters = [
        Meter("fresh", "s", MeterRole.CUSTOMER),
        Meter("a_day", "s", MeterRole.CUSTOMER),
        Meter("daily", "s", MeterRole.CUSTOMER, interval_s=86_400),
        Meter("daily_late", "s", MeterRole.CUSTOMER, interval_s=86_400),
        Meter("never", "s", MeterRole.CUSTOMER),
        Meter("new", "s", MeterRole.CUSTOMER, in_service_from=NOW - timedelta(hours=20)),
        Meter("gone", "s", MeterRole.CUSTOMER, in_service_to=NOW - timedelta(days=20)),
    ]
    assert find_silent(newest, meters, NOW) == ["never", "daily_late", "a_day"]
