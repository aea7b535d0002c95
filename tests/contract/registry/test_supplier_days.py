"""What is kept of a supplier's days, within the viewer's sight, on both kinds of database."""

from datetime import date

import pandas as pd
import pytest
from sqlalchemy.orm import Session

from analytics.quality import DELAYS
from storage.registry import suppliers
from storage.registry.engine import for_reading
from storage.registry.figures import FigureStore
from storage.registry.models import MeterRow, SupplierRow, UserRow
from storage.registry.suppliers import load_supplier_days, load_supplier_names
from water.loading import Tally
from water.viewer import Role, Viewer

BUREAU = Viewer("b", Role.BUREAU)
NORTH = Viewer("n", Role.SUPPLIER, "north")
STORED = Tally("north", "readings", "stored")
REFUSED = Tally("north", "readings", "quarantined", "future")


def day(number):
    return date(2026, 9, number)


@pytest.fixture
def kept(engine):
    """Two suppliers with a meter each; arrivals and counts of some days."""
    with Session(engine) as session, session.begin():
        for supplier in ("north", "south"):
            session.add(SupplierRow(id=supplier, name=supplier.title()))
            session.flush()
            session.add(MeterRow(id=f"m-{supplier}", supplier_id=supplier, role="customer"))
    figures = FigureStore(engine)
    rows = [
        (f"m-{supplier}", day(number), 24, number, number, *([float(number)] * 3), float("nan"))
        for supplier in ("north", "south")
        for number in range(1, 11)
    ]
    names = ["meter_id", "day", "expected", "received", "valid", *DELAYS]
    frame = pd.DataFrame(rows, columns=names).astype({"day": "datetime64[s]"})
    figures.save_arrivals(frame)
    figures.save_tallies(day(2), {STORED: 100, REFUSED: 3})
    figures.save_tallies(day(5), {STORED: 180})
    figures.save_tallies(day(8), {STORED: 300, REFUSED: 1, Tally("south", "readings", "stored"): 7})
    return engine


def load(engine, viewer, supplier, first, last):
    with for_reading(engine).connect() as connection:
        return load_supplier_days(connection, viewer, supplier, day(first), day(last))


def names_seen(engine, viewer):
    with for_reading(engine).connect() as connection:
        return load_supplier_names(connection, viewer)


def test_arrivals_are_those_of_its_meters_on_these_days(kept):
    found = load(kept, BUREAU, "north", 4, 6)
    assert found["arrived"] == {"expected": 72, "received": 15, "valid": 15}
    assert found["least_delays"] == [4.0]
    assert sorted(found["delays"]["received"]) == [4, 5, 6]
    assert sorted(found["delays"]["least_delay_s"]) == [4, 5, 6]
    assert found["delays"]["most_delay_s"].isna().all()


def test_delays_of_very_many_days_are_sampled_and_sums_are_not(kept, monkeypatch):
    with Session(kept) as session, session.begin():
        session.add_all(
            MeterRow(id=f"n{number}", supplier_id="north", role="customer") for number in range(9)
        )
    names = ["meter_id", "day", "expected", "received", "valid", *DELAYS]
    rows = [(f"n{n}", day(d), 24, 24, 24, *([1.0] * 4)) for n in range(9) for d in range(1, 11)]
    frame = pd.DataFrame(rows, columns=names).astype({"day": "datetime64[s]"})
    FigureStore(kept).save_arrivals(frame)
    monkeypatch.setattr(suppliers, "_MOST_METER_DAYS", 50)
    found = load(kept, BUREAU, "north", 1, 10)
    assert found["arrived"]["expected"] == 10 * 10 * 24
    assert len(found["least_delays"]) == 10
    assert len(found["delays"]) == 50


@pytest.mark.parametrize(
    ("first", "last", "counts", "counted_from"),
    [
        (1, 10, {STORED: 300, REFUSED: 1}, None),
        (3, 10, {STORED: 200, REFUSED: -2}, 2),
        (6, 7, {}, 5),
        (3, 5, {STORED: 80}, 2),
        (9, 10, {}, 8),
    ],
)
def test_counts_are_what_was_added_in_these_days(kept, first, last, counts, counted_from):
    found = load(kept, BUREAU, "north", first, last)
    assert found["counts"] == counts
    assert found["counted_from"] == (counted_from and day(counted_from))


def test_a_supplier_sees_itself_and_nobody_else(kept):
    assert load(kept, NORTH, "north", 1, 10)["name"] == "North"
    assert load(kept, NORTH, "south", 1, 10) is None
    assert load(kept, Viewer("u", Role.USER, "north"), "north", 1, 10) is None
    assert load(kept, BUREAU, "nobody", 1, 10) is None


def test_names_are_told_of_the_suppliers_in_sight(kept):
    with Session(kept) as session, session.begin():
        session.add(UserRow(id="u1", name="u1", sector="hotel"))
        session.flush()
        session.add(MeterRow(id="m-u1", supplier_id="south", role="customer", user_id="u1"))
    seen = {
        viewer.name: names_seen(kept, viewer)
        for viewer in (BUREAU, NORTH, Viewer("u", Role.USER, "u1"), Viewer("v", Role.USER, "u2"))
    }
    north, south = {"north": "North"}, {"south": "South"}
    assert seen == {"b": north | south, "n": north, "u": south, "v": {}}


def test_a_supplier_of_which_nothing_is_kept_has_an_empty_card(kept):
    found = load(kept, BUREAU, "south", 20, 22)
    assert (len(found["delays"]), found["least_delays"], found["counts"]) == (0, [], {})
    assert found["arrived"] == {"expected": 0, "received": 0, "valid": 0}
    assert [meter.id for meter in found["meters"]] == ["m-south"]
