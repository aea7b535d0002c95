"""What a load promises, of any readings store: ingest.ports.ReadingsSink."""

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest

from water.loading import Outcome, Position, Tally
from water.readings import Quality

STORED, DUPLICATE, CONFLICT = Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT


def load_all(store, instant):
    ids = ["m1", "m2", "m3"]
    return store.load_readings(ids, instant(1, 1), instant(2, 1))


def test_a_repeated_reading_is_stored_once(store, load, reading, instant):
    batch = [reading("m1", 1, h, register_m3=h) for h in range(5)]
    assert load(store, batch) == [STORED] * 5
    assert load(store, batch) == [DUPLICATE] * 5
    assert list(load_all(store, instant)["register_m3"]) == [0, 1, 2, 3, 4]


def test_of_a_batch_of_hundreds_every_reading_is_stored_once(store, load, reading, instant):
    batch = [reading(f"m{n}", 1, 1, register_m3=n) for n in range(250)]
    assert load(store, batch) == [STORED] * 250
    assert load(store, [reading("m7", 1, 2, register_m3=8), *batch]) == [STORED, *[DUPLICATE] * 250]
    kept = store.load_readings([f"m{n}" for n in range(250)], instant(1, 1), instant(1, 2))
    assert sorted(kept["register_m3"]) == sorted([8, *range(250)])


def test_a_reading_repeated_within_one_batch_is_stored_once(store, load, reading, instant):
    one = reading("m1", 1, 1, register_m3=7)
    assert load(store, [one, one]) == [STORED, DUPLICATE]
    assert len(load_all(store, instant)) == 1


def test_new_readings_beside_repeated_ones_are_stored(store, load, reading, instant):
    load(store, [reading("m1", 1, 1, register_m3=1)])
    again = [reading("m1", 1, h, register_m3=h) for h in (0, 1, 2)]
    assert load(store, again) == [STORED, DUPLICATE, STORED]
    assert list(load_all(store, instant)["register_m3"]) == [0, 1, 2]


def test_quantities_of_one_instant_merge(store, load, reading, instant):
    load(store, [reading("m1", 1, 1, register_m3=7)])
    assert load(store, [reading("m1", 1, 1, pressure_mpa=0.3)]) == [STORED]
    row = load_all(store, instant).iloc[0]
    assert (row["register_m3"], row["pressure_mpa"]) == (7, 0.3)


def test_a_different_value_is_a_conflict_and_both_are_kept(store, load, reading, instant):
    load(store, [reading("m1", 1, 1, register_m3=7)])
    assert load(store, [reading("m1", 1, 1, register_m3=8, flow_m3_h=2)]) == [CONFLICT]
    row = load_all(store, instant).iloc[0]
    assert (row["register_m3"], row["flow_m3_h"]) == (7, 2)
    kept = store.conflicts(instant(1, 1), instant(1, 2))
    assert kept[["meter_id", "quantity", "kept", "offered"]].to_numpy().tolist() == [
        ["m1", "register_m3", 7, 8]
    ]


def test_a_repeated_conflict_is_kept_once(store, load, reading, instant):
    load(store, [reading("m1", 1, 1, register_m3=7)])
    for _ in range(3):
        load(store, [reading("m1", 1, 1, register_m3=8)])
    assert len(store.conflicts(instant(1, 1), instant(1, 2))) == 1


def test_a_day_with_a_new_conflict_is_judged_anew(store, load, reading):
    load(store, [reading("m1", 1, 1, register_m3=7), reading("m2", 1, 1, register_m3=7)])
    before = store.touched_days(0, 10)
    load(store, [reading("m1", 1, 1, register_m3=8)])
    days = store.touched_days(before.mark, 10).days
    assert days["meter_id"].tolist() == ["m1"]


def test_the_order_of_arrival_leaves_no_trace(open_store, load, reading, instant, tmp_path):
    parts = [
        reading("m1", 1, 1, register_m3=7)._replace(received_at=20, quality=1),
        reading("m1", 1, 1, pressure_mpa=0.3)._replace(received_at=10, quality=4),
        reading("m1", 1, 1, level_m=2)._replace(received_at=30),
        reading("m1", 1, 0, register_m3=6),
    ]
    frames = []
    store = open_store()
    for i, order in enumerate(permutations(parts)):
        named = [part._replace(meter_id=f"m{i:02}") for part in order]
        for part in named:
            load(store, [part])
        frame = store.load_readings([f"m{i:02}"], instant(1, 1), instant(1, 2))
        frames.append(frame.drop(columns="meter_id"))
    assert len(frames) == 24
    assert all(frame.equals(frames[0]) for frame in frames)
    assert list(frames[0]["quality"]) == [0, 5]
    assert frames[0]["received_at"].iloc[1].timestamp() == 10


@pytest.mark.parametrize("settled", [False, True], ids=["one process", "another process"])
@pytest.mark.parametrize(
    ("live_at", "file_at", "quality"),
    [
        pytest.param(10, 900, 0, id="live first"),
        pytest.param(900, 10, Quality.HISTORY, id="file first"),
    ],
)
def test_a_file_and_a_live_reading_leave_the_quality_of_the_earlier(
    open_store, load, reading, instant, live_at, file_at, quality, settled
):
    live = reading("m1", 1, 1, register_m3=7)._replace(received_at=live_at)
    filed = live._replace(received_at=file_at, quality=int(Quality.HISTORY))
    store = open_store()
    load(store, [live, filed._replace(meter_id="m2")])
    if settled:
        store.close()
        store = open_store()
    assert load(store, [filed, live._replace(meter_id="m2")]) == [DUPLICATE, DUPLICATE]
    rows = load_all(store, instant)
    assert rows["quality"].tolist() == [quality, quality]
    assert {at.timestamp() for at in rows["received_at"]} == {10}


def test_readings_position_tallies_and_refusals_are_visible_together(store, reading, refused):
    tally = Tally("s1", "readings", "stored")
    with store.load() as transaction:
        transaction.add_readings([reading("m1", 1, 1, register_m3=7)])
        transaction.add_refused([refused()])
        transaction.add_tallies({tally: 1})
        transaction.set_position("j", Position(1, 2, 3))
    assert store.position("j") == Position(1, 2, 3)
    assert store.tallies() == {tally: 1}
    assert store.quarantine_depth() == {"s1": 1}
    assert len(store.newest()) == 1


def test_a_journals_marker_is_swapped_only_for_the_known_one(store):
    assert store.marker("j") == ""
    assert store.swap_marker("j", "", "a") == "a"
    assert store.swap_marker("j", "", "b") == "a", "somebody else was faster"
    with store.load() as transaction:
        transaction.set_position("j", Position(1, 2, 3))
    assert store.swap_marker("j", "a", "c") == "c"
    assert (store.marker("j"), store.marker("k")) == ("c", "")
    assert store.position("j") == Position(1, 2, 3)


def test_what_is_counted_with_a_marker_is_counted_only_where_it_is_swapped(store):
    tally = Tally("s1", "messages", "undecodable", "journal_lost")
    store.swap_marker("j", "", "a")
    store.swap_marker("j", "other", "b", {tally: 6})
    assert tally not in store.tallies()
    store.swap_marker("j", "a", "b", {tally: 6})
    assert store.tallies()[tally] == 6


def test_of_many_that_claim_a_journal_at_once_one_has_it(store):
    with ThreadPoolExecutor(4) as several:
        claimed = several.map(lambda marker: store.swap_marker("j", "", marker), "abcdefgh")
        assert set(claimed) == {store.marker("j")}


def test_markers_go_with_the_positions_and_a_backup_without_them_has_none(store):
    store.swap_marker("j", "", "a")
    kept = list(store.dump_ledger())
    store.restore_ledger([("position", {"journal": "old", **Position(1, 2, 3)._asdict()}), *kept])
    assert (store.marker("j"), store.marker("old")) == ("a", "")
    assert store.position("old") == Position(1, 2, 3)


@pytest.fixture
def undone(store, reading, refused):
    """A store whose only load was undone by an exception."""

    def fail():
        with store.load() as transaction:
            transaction.add_readings([reading("m1", 1, 1, register_m3=7)])
            transaction.add_refused([refused()])
            transaction.add_tallies({Tally("s1", "readings", "stored"): 1})
            transaction.set_position("j", Position(1, 2, 3))
            raise RuntimeError("the loader fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        fail()
    return store


def test_an_exception_undoes_everything_that_a_load_counts(undone):
    assert undone.position("j") == Position()
    assert (undone.tallies(), undone.quarantine_depth()) == ({}, {})
    assert undone.touched_days(0, 10).mark == 0


def test_a_reading_of_an_undone_load_is_stored_when_it_comes_again(undone, load, reading, instant):
    for outcome in (STORED, DUPLICATE):
        assert load(undone, [reading("m1", 1, 1, register_m3=7)]) == [outcome]
    assert list(load_all(undone, instant)["register_m3"]) == [7]


@pytest.mark.embedded
def test_an_exception_undoes_the_readings_too(undone):
    assert len(undone.newest()) == 0


@pytest.mark.embedded
def test_a_meter_first_seen_in_an_undone_load_is_not_mistaken_for_another(
    store, load, reading, instant
):
    def fail():
        with store.load() as transaction:
            transaction.add_readings([reading("gone", 1, 1, register_m3=1)])
            transaction.add_readings([reading("gone", 1, 2, register_m3=2)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert load(store, [reading("gone", 1, 1, register_m3=9)]) == [STORED]
    assert load(store, [reading("m1", 1, 1, register_m3=7)]) == [STORED]
    frame = store.load_readings(["m1", "gone"], instant(1, 1), instant(1, 2))
    assert frame[["meter_id", "register_m3"]].to_numpy().tolist() == [["gone", 9], ["m1", 7]]


def test_tallies_add_up_over_a_restart(open_store, reading):
    tally = Tally("s1", "messages", "undecodable", "malformed")
    for _ in range(2):
        store = open_store()
        with store.load() as transaction:
            transaction.add_tallies({tally: 3})
        store.close()
    assert open_store().tallies() == {tally: 6}


def test_a_late_reading_of_a_closed_day_meets_the_one_that_is_cold(store, load, reading, instant):
    load(store, [reading("m1", 1, h, register_m3=h) for h in range(3)])
    store.compact(instant(1, 5).date())
    late = [
        reading("m1", 1, 0, register_m3=0),
        reading("m1", 1, 1, register_m3=99),
        reading("m1", 1, 2, flow_m3_h=5),
        reading("m1", 1, 3, register_m3=3),
    ]
    assert load(store, late) == [DUPLICATE, CONFLICT, STORED, STORED]
    frame = load_all(store, instant)
    assert list(frame["register_m3"]) == [0, 1, 2, 3]
    assert frame["flow_m3_h"].iloc[2] == 5
