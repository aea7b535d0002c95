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


def arrivals(*rows):
    """(meter, expected, received, valid, four delays) rows."""
    return pd.DataFrame(rows, columns=["meter_id", "expected", "received", "valid", *DELAYS])


def same(delay):
    return (delay,) * 4


NONE = (np.nan,) * 4


def test_arrival_rate_and_completeness_are_sums_over_meters_and_days():
    card = compute_scorecard(
        arrivals(("a", 24, 24, 23, *same(5)), ("a", 24, 12, 12, *same(5)), ("b", 24, 0, 0, *NONE)),
        {},
    )
    assert (card["expected"], card["received"], card["valid"]) == (72, 36, 35)
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
    card = compute_scorecard(arrivals(), counts)
    assert card["undecodable_share"] == 0.05
    assert (card["duplicate_share"], card["conflict_share"]) == (0.05, 0.01)
    assert card["quarantined_share"] == 0.0125


def test_where_nothing_came_no_share_is_told():
    card = compute_scorecard(arrivals(), {})
    told = {name: value for name, value in card.items() if value is not None}
    assert set(told.values()) == {0}
    assert "arrival_rate" not in told
    assert "delay_p95_s" not in told


def test_one_delay_of_all_is_every_share_of_them():
    one = arrivals(("a", 24, 24, 24, *same(7)))
    assert [compute_delay(one, share) for share in (0.01, 0.5, 0.95, 1)] == [7] * 4


def test_each_meters_day_weighs_by_its_readings():
    two = arrivals(("a", 96, 96, 96, *same(2)), ("b", 4, 4, 4, *same(3_600)))
    assert compute_delay(two, 0.95) == pytest.approx(2, abs=0.1)
    assert compute_delay(two, 0.97) == pytest.approx(3_600, abs=0.1)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_the_delays_of_the_mixture_are_near_those_of_every_reading(share):
    random = np.random.default_rng(7)
    rows, every = [], []
    for day in range(400):
        delays = np.sort(random.lognormal(random.normal(3, 0.7), 0.8, 96).round())
        every.append(delays)
        places = [max(int(np.ceil(part * 96)) - 1, 0) for part in DELAYS.values()]
        rows.append((f"m{day}", 96, 96, 96, *delays[places]))
    found = compute_delay(arrivals(*rows), share)
    assert found == pytest.approx(np.quantile(np.concatenate(every), share), rel=0.15)


def test_the_clock_skew_is_the_median_over_meters_of_their_freshest_reading():
    card = compute_scorecard(
        arrivals(
            ("a", 1, 1, 1, 40, 50, 60, 70), ("a", 1, 1, 1, 2, 5, 6, 7),
            ("ahead", 1, 1, 1, -90, 0, 1, 2), ("b", 1, 1, 1, 3, 3, 3, 3), ("mute", 1, 0, 0, *NONE),
        ),
        {},
    )  # fmt: skip
    assert card["clock_skew_s"] == 2


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
