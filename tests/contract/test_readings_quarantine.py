"""The quarantine of any readings store, and the sums that the API shows of it."""

import sqlite3
from contextlib import closing

import pytest

from storage.queries import IngestQueries
from water.loading import Position, Tally
from water.viewer import Role, Viewer

BUREAU = Viewer("b", Role.BUREAU)
SUPPLIER = Viewer("s", Role.SUPPLIER, "s1")


@pytest.fixture
def held(store, refused):
    """Five rows: s1 future ×2, s1 sentinel, s2 future ×2."""
    rows = [
        *(refused(part=part) for part in range(2)),
        refused(reason="sentinel"),
        *(refused(supplier="s2", part=part) for part in range(2)),
    ]
    with store.load() as transaction:
        transaction.add_refused(rows)
        transaction.add_tallies(
            {
                Tally("s1", "messages", "received"): 3,
                Tally("s1", "messages", "decoded"): 1,
                Tally("s1", "messages", "waiting"): 2,
                Tally("s1", "readings", "decoded"): 3,
                Tally("s1", "readings", "quarantined", "future"): 2,
                Tally("s1", "readings", "quarantined", "sentinel"): 1,
                Tally("s2", "messages", "received"): 1,
                Tally("s2", "messages", "undecodable", "malformed"): 2,
            }
        )
    return store


def test_depth_is_counted_for_each_supplier(held):
    assert held.quarantine_depth() == {"s1": 3, "s2": 2}


def test_pages_go_from_the_newest_row_to_the_oldest_without_gap_or_repeat(held):
    seen, cursor = [], None
    while True:
        page = held.page_refused(cursor=cursor, limit=2)
        seen += [row["id"] for row in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]


def test_a_page_keeps_to_supplier_and_reason(held):
    page = held.page_refused(supplier="s1", reason="future")
    assert [(row["supplier"], row["reason"]) for row in page.rows] == [("s1", "future")] * 2


def test_a_released_row_leaves_quarantine_and_its_account(held):
    with held.load() as transaction:
        assert list(transaction.release_refused([1, 3, 77])) == [1, 3]
    assert held.quarantine_depth() == {"s1": 1, "s2": 2}
    assert held.tallies()[Tally("s1", "readings", "quarantined", "future")] == 1
    assert Tally("s1", "readings", "quarantined", "sentinel") not in held.tallies()
    assert [row["id"] for row in held.load_refused([1, 2, 3])] == [2]


def test_a_row_released_twice_is_counted_once(held):
    for _ in range(2):
        with held.load() as transaction:
            transaction.release_refused([1])
    assert held.tallies()[Tally("s1", "readings", "quarantined", "future")] == 1


def test_the_oldest_segment_that_a_row_points_to_is_known(store, refused):
    assert store.oldest_refused_segment("ingest") is None
    with store.load() as transaction:
        transaction.add_refused([refused(segment=9), refused(segment=4), refused(segment=7)])
        transaction.add_refused([refused(segment=2, journal="ingest-b")])
    assert store.oldest_refused_segment("ingest") == 4
    with store.load() as transaction:
        transaction.release_refused([2])
    assert store.oldest_refused_segment("ingest") == 7


def test_sums_show_what_waits_and_whether_they_balance(held):
    first, second = IngestQueries(held).sums(BUREAU)
    assert first["supplier"] == "s1"
    assert first["messages"]["waiting"] == 2
    assert first["readings"]["quarantined"] == 3
    assert first["balanced"] is True
    assert first["reasons"][0] == {
        "ledger": "readings", "account": "quarantined", "reason": "future", "count": 2,
    }  # fmt: skip
    assert second["balanced"] is False, "two undecodable of one received can't be"


def test_a_supplier_sees_its_own_rows_only(held):
    queries = IngestQueries(held)
    assert [row["supplier"] for row in queries.sums(SUPPLIER)] == ["s1"]
    assert {row["supplier"] for row in queries.quarantine(SUPPLIER).rows} == {"s1"}
    assert queries.quarantine(SUPPLIER, supplier="s2").rows == []


def test_a_user_sees_nothing_of_it(held):
    user = Viewer("u", Role.USER, "s1")
    assert IngestQueries(held).sums(user) == []
    assert IngestQueries(held).quarantine(user).rows == []


@pytest.mark.parametrize("at", [10**15, 10**30, -(10**30)])
def test_an_instant_that_no_calendar_has_is_shown_as_none(store, refused, at):
    with store.load() as transaction:
        transaction.add_refused([refused(at=at)])
    (row,) = IngestQueries(store).quarantine(BUREAU).rows
    assert row["at"] is None
    assert row["received_at"].timestamp() == 100


def test_a_row_whose_texts_hold_a_nul_is_kept(store, refused):
    with store.load() as transaction:
        transaction.add_refused([refused(detail="a\0b", address="\0")])
    (row,) = store.page_refused().rows
    assert (row["supplier"], row["detail"][0], row["detail"][-1]) == ("s1", "a", "b")


def test_a_cursor_that_no_page_gave_is_refused(held):
    with pytest.raises(ValueError, match="nonsense"):
        held.page_refused(cursor="nonsense")


@pytest.mark.embedded
def test_a_quarantine_of_the_time_with_one_journal_is_brought_up_to_date(
    open_store, refused, tmp_path
):
    with open_store().load() as transaction:
        transaction.add_refused([refused(segment=3)])
    with closing(sqlite3.connect(tmp_path / "readings" / "readings.sqlite")) as file:
        file.execute("ALTER TABLE quarantine DROP COLUMN journal")
    again = open_store()
    assert [row["journal"] for row in again.page_refused().rows] == ["ingest"]
    assert again.oldest_refused_segment("ingest") == 3


@pytest.mark.embedded
def test_positions_of_the_time_without_markers_are_brought_up_to_date(open_store, tmp_path):
    with open_store().load() as transaction:
        transaction.set_position("ingest", Position(1, 2, 3))
    with closing(sqlite3.connect(tmp_path / "readings" / "readings.sqlite")) as file:
        file.execute("ALTER TABLE positions DROP COLUMN marker")
    again = open_store()
    assert (again.marker("ingest"), again.position("ingest")) == ("", Position(1, 2, 3))
