"""What analysis and the API get from any readings store."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from storage.errors import StoreError
from storage.queries import ReadingQueries
from water.columns import READINGS
from water.viewer import Role, Viewer


@pytest.fixture
def filled(tier, store, load, reading, instant):
    """m1 every six hours of 1–9 January without the 4th and 5th; m2 on the 2nd; p1 has no register.

    The register of m1 grows by 1 m³ an hour.
    """
    days = [d for d in range(1, 10) if d not in (4, 5)]
    hours = [(d, h) for d in days for h in (0.5, 6, 12, 18)]
    load(store, [reading("m1", d, h, register_m3=24 * d + h, flow_m3_h=h) for d, h in hours])
    load(store, [reading("m2", 2, 12, register_m3=5), reading("p1", 2, 12, pressure_mpa=0.3)])
    if tier != "hot":
        store.compact(instant(1, 3 if tier == "mixed" else 20).date())
    return store


def test_a_frame_has_the_columns_and_types_of_water(filled, instant):
    frame = filled.load_readings(["m1"], instant(1, 1), instant(1, 2))
    assert tuple(frame.columns) == READINGS
    kinds = [str(kind) for kind in frame.dtypes]
    assert kinds == ["str", *["datetime64[s, UTC]"] * 2, *["float64"] * 4, "int64"]


def test_an_empty_frame_has_the_same_types(filled, instant):
    full = filled.load_readings(["m1"], instant(1, 1), instant(1, 2))
    empty = filled.load_readings(["nobody"], instant(1, 1), instant(1, 2), neighbours=True)
    assert len(empty) == 0
    assert list(empty.dtypes) == list(full.dtypes)


def test_the_start_belongs_to_a_range_and_the_end_does_not(filled, instant):
    frame = filled.load_readings(["m1"], instant(1, 1, 6), instant(1, 1, 18))
    assert list(frame["flow_m3_h"]) == [6, 12]


def test_rows_are_sorted_by_meter_and_time(filled, instant):
    frame = filled.load_readings(["p1", "m2", "m1"], instant(1, 1), instant(1, 10))
    assert len(frame) == 30
    assert frame.equals(frame.sort_values(["meter_id", "at"], ignore_index=True))


def test_neighbours_are_found_across_days_without_readings(filled, instant):
    frame = filled.load_readings(["m1", "m2"], instant(1, 4), instant(1, 6), neighbours=True)
    local = frame["at"].dt.tz_convert("Asia/Shanghai")
    assert list(zip(frame["meter_id"], local.dt.day, local.dt.hour, strict=True)) == [
        ("m1", 3, 18), ("m1", 6, 0), ("m2", 2, 12),
    ]  # fmt: skip


def test_a_neighbour_carries_a_register(filled, load, reading, instant):
    load(filled, [reading("m1", 3, 23, pressure_mpa=0.3), reading("m1", 6, 0, level_m=1)])
    frame = filled.load_readings(["m1"], instant(1, 4), instant(1, 6), neighbours=True)
    assert list(frame["register_m3"]) == [24 * 3 + 18, 24 * 6 + 0.5]


def test_a_meter_without_registers_has_no_neighbours(filled, instant):
    frame = filled.load_readings(["p1"], instant(1, 4), instant(1, 6), neighbours=True)
    assert len(frame) == 0


def test_the_newest_reading_goes_by_event_time(filled, load, reading, instant):
    load(filled, [reading("m1", 3, 1, register_m3=73)])
    newest = filled.newest()
    assert list(newest["meter_id"]) == ["m1", "m2", "p1"]
    assert newest["at"].iloc[0] == instant(1, 9, 18)
    assert list(filled.newest(["m2"])["register_m3"]) == [5]


def test_the_newest_reading_carries_what_merged_into_it(filled, load, reading):
    load(filled, [reading("m2", 2, 12, flow_m3_h=4)])
    row = filled.newest(["m2"]).iloc[0]
    assert (row["register_m3"], row["flow_m3_h"]) == (5, 4)


def test_a_short_series_is_given_whole(filled, instant):
    frame = filled.load_series("m1", "flow_m3_h", instant(1, 1), instant(1, 3), 50)
    assert list(frame["value"]) == [0.5, 6, 12, 18] * 2


def test_a_thinned_series_keeps_its_extremes(store, load, reading, instant):
    values = [5.0] * 1_000
    values[123], values[777] = 90.0, -3.0
    load(store, [reading("m1", 1, i / 60, flow_m3_h=v) for i, v in enumerate(values)])
    frame = store.load_series("m1", "flow_m3_h", instant(1, 1), instant(1, 2), 40)
    assert len(frame) <= 44
    assert (frame["value"].max(), frame["value"].min()) == (90, -3)
    assert (frame["at"].iloc[0], frame["at"].iloc[-1]) == (
        instant(1, 1), instant(1, 1, 16, 39),
    )  # fmt: skip
    assert frame["at"].is_monotonic_increasing


def test_a_quantity_that_is_none_is_refused(store, instant):
    with pytest.raises(StoreError, match="register_m3"):
        store.load_series("m1", "at", instant(1, 1), instant(1, 2), 40)


def test_touched_days_follow_the_mark(store, load, reading):
    load(store, [reading("m1", 1, h, register_m3=h) for h in (1, 2)])
    load(store, [reading("m2", 2, 1, register_m3=1), reading("m1", 3, 23.9, register_m3=9)])
    first = store.touched_days(0, 1)
    assert pairs(first) == [("m1", 1)]
    second = store.touched_days(first.mark, 10)
    assert pairs(second) == [("m2", 2), ("m1", 3)]
    assert second.mark > first.mark
    assert store.touched_days(second.mark, 10).mark == second.mark


def test_after_a_mark_of_a_store_that_was_lost_all_days_come_again(store, load, reading):
    assert store.touched_days(7, 10).mark == 0
    for day in (1, 2, 3):
        load(store, [reading("m1", day, register_m3=day)])
    newest = store.touched_days(0, 10).mark
    again = store.touched_days(newest + 1, 2)
    assert pairs(again) == [("m1", 1), ("m1", 2)]
    assert pairs(store.touched_days(again.mark, 2)) == [("m1", 3)]


def test_a_repeated_reading_touches_nothing_and_a_merged_one_does(store, load, reading):
    load(store, [reading("m1", 1, 1, register_m3=1)])
    mark = store.touched_days(0, 10).mark
    load(store, [reading("m1", 1, 1, register_m3=1)])
    assert pairs(store.touched_days(mark, 10)) == []
    load(store, [reading("m1", 1, 1, flow_m3_h=1)])
    assert pairs(store.touched_days(mark, 10)) == [("m1", 1)]


def test_compaction_forgets_no_touched_day(store, load, reading, instant):
    for day in range(1, 8):
        load(store, [reading("m1", day, 1, register_m3=day), reading("m2", day, 1, level_m=1)])
    half = store.touched_days(0, 6).mark
    store.compact(instant(1, 20).date())
    later = pairs(store.touched_days(half, 100))
    assert {(m, d) for m in ("m1", "m2") for d in range(4, 8)} <= set(later)


def pairs(touched):
    days = touched.days
    assert [str(kind) for kind in days.dtypes] == ["str", "datetime64[s]"]
    return list(zip(days["meter_id"], days["day"].dt.day, strict=True))


def test_edges_find_the_registers_around_local_midnights(filled, instant):
    midnights = [instant(1, d) for d in range(1, 11)]
    found = filled.load_edges(["m1", "m2", "nobody"], midnights)
    assert found.meter_ids == ["m1", "m2"]
    expected = [np.nan, *(24.0 * d for d in range(2, 10)), np.nan]
    assert found.interpolate()[0] == pytest.approx(expected, nan_ok=True)
    assert pd.Timestamp(found.before_at[0, 4], unit="s", tz="UTC") == instant(1, 3, 18)
    assert pd.Timestamp(found.after_at[0, 4], unit="s", tz="UTC") == instant(1, 6, 0, 30)
    assert (found.before_m3[1, 9], found.after_m3[1, 0]) == (5, 5)


def test_a_reading_at_the_very_edge_is_both_neighbours(filled, instant):
    found = filled.load_edges(None, [instant(1, 2, 12)])
    assert found.meter_ids == ["m1", "m2", "p1"]
    assert list(found.interpolate()[:2, 0]) == [60, 5]
    assert found.before_at[0, 0] == found.after_at[0, 0]


def test_edges_that_do_not_rise_are_refused(filled, instant):
    with pytest.raises(StoreError, match="rise"):
        filled.load_edges(None, [instant(1, 2), instant(1, 1)])


def test_pages_of_readings_join_without_gap_or_repeat(filled, instant):
    viewer, queries = Viewer("b", Role.BUREAU), ReadingQueries(filled, None, lambda _: None)
    seen, after = [], None
    while True:
        page = queries.readings(viewer, "m1", instant(1, 1), instant(1, 10), after=after, limit=5)
        if page.empty:
            break
        seen += list(page["at"])
        after = page["at"].iloc[-1].to_pydatetime()
    whole = filled.load_readings(["m1"], instant(1, 1), instant(1, 10))
    assert seen == list(whole["at"])


def test_a_meter_out_of_sight_is_a_key_error(filled, volumes, instant):
    viewer = Viewer("s", Role.SUPPLIER, "s1")
    queries = ReadingQueries(filled, volumes, lambda _: frozenset({"m2"}))
    start, end = instant(1, 1), instant(1, 3)
    assert list(queries.newest(viewer)["meter_id"]) == ["m2"]
    asks = [
        lambda: queries.newest(viewer, ["m2", "m1"]),
        lambda: queries.readings(viewer, "m1", start, end),
        lambda: queries.series(viewer, "m1", "register_m3", start, end, 10),
        lambda: queries.hourly(viewer, ["m1"], start, end),
        lambda: queries.daily(viewer, ["m1"], start.date(), end.date()),
    ]
    for ask in asks:
        with pytest.raises(KeyError, match="m1"):
            ask()


def test_part_of_a_second_before_a_reading_does_not_hide_it(filled, instant):
    almost = instant(1, 1, 6) - timedelta(milliseconds=1)
    assert len(filled.load_readings(["m1"], almost, instant(1, 1, 12))) == 1
