"""Readings and conflicts found by identity, of any readings store: what a replay compares with."""

from water.loading import Outcome


def test_readings_are_found_by_meter_and_instant_exactly_as_they_were_loaded(store, load, reading):
    batch = [
        reading("m1", 1, 1, register_m3=0.1 + 0.2, flow_m3_h=-1.5, quality=3),
        reading("m1", 1, 2, level_m=2.0),
        reading("m2", 9, 1, pressure_mpa=0.3),
    ]
    load(store, batch)
    absent = [("m1", batch[2].at), ("m3", batch[0].at)]
    found = store.find_readings([batch[0][:2], batch[2][:2], *absent])
    assert found == {batch[0][:2]: batch[0], batch[2][:2]: batch[2]}
    assert store.find_readings([]) == {}


def test_conflicts_are_found_by_what_was_offered(store, load, reading):
    first, other = (reading("m1", 1, 1, register_m3=value) for value in (1.0, 2.0))
    elsewhere = [reading("m2", 1, 1, register_m3=value) for value in (1.0, 5.0)]
    load(store, [first, elsewhere[0]])
    assert load(store, [other, elsewhere[1]]) == [Outcome.CONFLICT] * 2
    assert store.find_conflicts([first[:2]]) == {("m1", first.at, "register_m3", 2.0)}
    assert store.find_conflicts([]) == set()
