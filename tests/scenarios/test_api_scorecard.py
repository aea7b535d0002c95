"""A supplier's scorecard as the API gives it."""

from datetime import date

import pandas as pd
import pytest

from analytics.quality import DELAYS
from storage.registry.engine import open_registry
from storage.registry.figures import FigureStore
from water.loading import Tally

CARD = "/api/v1/ingest/suppliers/{}/scorecard"
BEFORE, TODAY = date(2026, 9, 7), date(2026, 9, 14)


def north(ledger, account, reason=""):
    return Tally("north", ledger, account, reason)


@pytest.fixture
def city(open_api_city, tmp_path):
    """The small city (now: 2026-09-15 08:30) with ten days of arrivals and counts of two."""
    made = open_api_city()
    engine = open_registry(f"sqlite:///{tmp_path}/registry-0.db")
    rows = [
        (f"meter-north-{meter}", date(2026, 9, day), 24, 18, 12, 2.0, 5.0, 5.0, 60.0)
        for meter in range(2)
        for day in range(5, 15)
    ]
    names = ["meter_id", "day", "expected", "received", "valid", *DELAYS]
    figures = FigureStore(engine)
    figures.save_arrivals(pd.DataFrame(rows, columns=names).astype({"day": "datetime64[s]"}))
    figures.save_tallies(BEFORE, {north("messages", "received"): 100})
    figures.save_tallies(
        TODAY,
        {
            north("messages", "received"): 300,
            north("messages", "undecodable", "malformed"): 10,
            north("readings", "decoded"): 400,
            north("readings", "duplicate"): 40,
            north("readings", "quarantined", "future"): 3,
        },
    )
    engine.dispose()
    return made


def test_a_scorecard_tells_the_last_seven_whole_days(city):
    with city.client("bureau") as client:
        card = client.get(CARD.format("north")).json()
    assert (card["supplier"], card["first"], card["last"]) == ("north", "2026-09-08", "2026-09-14")
    assert (card["meters"], card["expected"], card["received"]) == (2, 2 * 7 * 24, 2 * 7 * 18)
    assert (card["arrival_rate"], card["completeness"]) == (0.75, 0.5)
    assert (card["delay_p50_s"], card["delay_p95_s"], card["clock_skew_s"]) == (5, 5, 2)
    assert (card["messages"], card["counted_from"]) == (200, "2026-09-08")
    assert card["counted_until"] == "2026-09-14"
    assert (card["undecodable_share"], card["duplicate_share"]) == (0.05, 0.1)
    assert card["quarantined_share"] == 0.0075
    assert card["reasons"] == [
        {"ledger": "messages", "account": "undecodable", "reason": "malformed", "count": 10},
        {"ledger": "readings", "account": "quarantined", "reason": "future", "count": 3},
    ]


def test_meters_from_which_nothing_comes_any_more_are_named(city):
    with city.client("bureau") as client:
        card = client.get(CARD.format("north")).json()
    assert card["silent"] == 2
    assert [meter["meter_id"] for meter in card["silent_meters"]] == [
        "meter-north-0",
        "meter-north-1",
    ]
    assert card["silent_meters"][0]["received_at"].startswith("2026-09-13T18:00:")


def test_a_window_may_be_asked_for(city):
    with city.client("bureau") as client:
        card = client.get(
            CARD.format("north"), params={"first": "2026-09-05", "last": "2026-09-05"}
        )
        assert card.json()["expected"] == 48
        assert (card.json()["counted_from"], card.json()["counted_until"]) == (None, None)
        for wrong in ({"first": "2026-09-15"}, {"first": "2024-01-01"}, {"last": "never"}):
            assert client.get(CARD.format("north"), params=wrong).status_code == 422


@pytest.mark.parametrize(
    ("role", "status"),
    [("administrator", 200), ("bureau", 200), ("utility", 200), ("north", 200), ("user", 403)],
)
def test_a_supplier_sees_its_own_scorecard_and_users_see_none(city, role, status):
    with city.client(role) as client:
        assert client.get(CARD.format("north")).status_code == status


@pytest.mark.parametrize(("role", "supplier"), [("north", "south"), ("bureau", "nobody")])
def test_what_is_out_of_sight_and_what_is_not_there_look_the_same(city, role, supplier):
    with city.client(role) as client:
        assert client.get(CARD.format(supplier)).status_code == 404
