"""Edits laid over readings: what each kind does, and which readings are loaded beside them."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from runs.edits import group_edits, lay_over, load_edited
from water.columns import READINGS
from water.edits import Edit, EditKind, EditState
from water.readings import Quality

T0 = datetime(2026, 3, 2, tzinfo=UTC)
NAN = float("nan")
ENTERED = Quality.ENTERED | Quality.CLOCK_ASSUMED


def hour(n):
    return T0 + timedelta(hours=n)


def frame(*points, meter_id="m1"):
    """(hours, register) pairs; no register where it is None."""
    rows = [
        (
            meter_id,
            hour(h),
            hour(h) + timedelta(seconds=30),
            NAN if r is None else r,
            2.0,
            NAN,
            NAN,
            0,
        )
        for h, r in points
    ]
    at = {"at": "datetime64[s, UTC]", "received_at": "datetime64[s, UTC]"}
    numbers = dict.fromkeys(("register_m3", "flow_m3_h", "pressure_mpa", "level_m"), "float64")
    made = pd.DataFrame(rows, columns=list(READINGS))
    return made.astype({"meter_id": "str", "quality": "int64", **at, **numbers})


def edit(h, kind, register=None, version=1, meter_id="m1", state=EditState.APPROVED, **values):
    return Edit(
        version, meter_id, hour(h), version, kind, state, register, approved_at=T0, **values
    )


def told(laid):
    """Hour → (register, quality), None where there is no register."""
    return {
        round((row.at - T0).total_seconds() / 3600): (
            None if pd.isna(row.register_m3) else row.register_m3,
            Quality(row.quality),
        )
        for row in laid.itertuples()
    }


SENT = frame((0, 10.0), (1, 99.0), (2, None))


@pytest.mark.parametrize(
    ("kind", "at", "register", "after"),
    [
        (EditKind.VOID, 1, None, (None, Quality.OVERRULED)),
        (EditKind.CORRECTION, 1, 11.0, (11.0, Quality.OVERRULED)),
        (EditKind.MANUAL, 1, 11.0, (11.0, Quality.OVERRULED)),
        (EditKind.ESTIMATE, 1, 11.0, (99.0, Quality.NONE)),
        (EditKind.MANUAL, 2, 12.0, (12.0, Quality.NONE)),
        (EditKind.ESTIMATE, 2, 12.0, (12.0, Quality.ESTIMATED)),
        (EditKind.MANUAL, 3, 13.0, (13.0, ENTERED)),
        (EditKind.ESTIMATE, 3, 13.0, (13.0, ENTERED | Quality.ESTIMATED)),
    ],
    ids=lambda value: str(value) if isinstance(value, EditKind | int) else "",
)
def test_each_kind_of_edit_does_what_it_says(kind, at, register, after):
    laid = lay_over(SENT, [edit(at, kind, register)])
    before = told(SENT)
    assert told(laid) == before | {at: after}
    assert list(laid.dtypes) == list(SENT.dtypes)


def test_a_void_where_nothing_was_sent_makes_no_reading():
    assert told(lay_over(SENT, [edit(5, EditKind.VOID)])) == told(SENT)


def test_edits_of_one_instant_follow_each_other():
    void, estimate = edit(1, EditKind.VOID), edit(1, EditKind.ESTIMATE, 11.5, version=2)
    laid = lay_over(SENT, [void, estimate])
    assert told(laid)[1] == (11.5, Quality.OVERRULED | Quality.ESTIMATED)
    assert told(lay_over(SENT, [void]))[1] == (None, Quality.OVERRULED)


def test_an_edit_leaves_the_quantities_that_it_does_not_name():
    laid = lay_over(SENT, [edit(1, EditKind.CORRECTION, None, pressure_mpa=0.3)])
    row = laid[laid["at"] == hour(1)].iloc[0]
    assert (row.register_m3, row.flow_m3_h, row.pressure_mpa, row.quality) == (99.0, 2.0, 0.3, 0)


class Store:
    """Readings of a frame, as a readings store gives them out."""

    def __init__(self, sent):
        self.sent, self.asked = sent, []

    def load_readings(self, meter_ids, start, end, *, neighbours):
        assert neighbours
        self.asked.append(tuple(meter_ids))
        parts = []
        for meter_id in meter_ids:
            mine = self.sent[self.sent["meter_id"] == meter_id].sort_values("at")
            dial = mine[mine["register_m3"].notna()]
            parts += [
                dial[dial["at"] < start].tail(1),
                mine[(mine["at"] >= start) & (mine["at"] < end)],
                dial[dial["at"] >= end].head(1),
            ]
        return pd.concat(parts, ignore_index=True)


def loaded(sent, *edits):
    """What is loaded of hours 10 to 20."""
    return told(load_edited(Store(sent), ["m1"], hour(10), hour(20), group_edits(edits)))


DAY = frame((0, 1.0), (5, 2.0), (12, 3.0), (22, 4.0), (30, 5.0))


def test_without_edits_the_store_is_asked_once_for_all():
    store = Store(DAY)
    load_edited(store, ["m1", "m2"], hour(10), hour(20), {})
    assert store.asked == [("m1", "m2")]


@pytest.mark.parametrize(
    ("edits", "registers"),
    [
        ([edit(8, EditKind.MANUAL, 2.5)], {5: 2.0, 8: 2.5, 12: 3.0, 22: 4.0}),
        ([edit(3, EditKind.MANUAL, 2.5)], {5: 2.0, 12: 3.0, 22: 4.0}),
        ([edit(5, EditKind.VOID)], {0: 1.0, 5: None, 12: 3.0, 22: 4.0}),
        ([edit(0, EditKind.VOID), edit(5, EditKind.VOID)], {0: None, 5: None, 12: 3.0, 22: 4.0}),
        ([edit(22, EditKind.VOID)], {5: 2.0, 12: 3.0, 22: None, 30: 5.0}),
        ([edit(8, EditKind.MANUAL, 2.5, state=EditState.WITHDRAWN)], {5: 2.0, 12: 3.0, 22: 4.0}),
    ],
    ids=[
        "an edit nearer than the reading before",
        "an edit beyond it",
        "the reading before is void",
        "all readings before are void",
        "the reading after is void",
        "a withdrawn edit",
    ],
)
def test_the_nearest_reading_that_counts_on_either_side_is_loaded(edits, registers):
    assert {at: register for at, (register, _) in loaded(DAY, *edits).items()} == registers


def test_edits_alone_are_readings_where_a_meter_never_sent_any():
    edits = [edit(h, EditKind.MANUAL, 1.0 + h) for h in (-50, 15, 90)]
    assert set(loaded(frame(), *edits)) == {-50, 15, 90}


def test_other_meters_readings_stay_as_they_are():
    both = pd.concat([DAY, frame((12, 7.0), meter_id="m2")], ignore_index=True)
    edits = group_edits([edit(12, EditKind.VOID)])
    found = load_edited(Store(both), ["m1", "m2"], hour(10), hour(20), edits)
    assert found.loc[found["meter_id"] == "m2", "register_m3"].tolist() == [7.0]
