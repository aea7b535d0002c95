"""Batches begun while those before them are not loaded yet come to what they do in turn."""

import random
from contextlib import suppress

import pytest

from storage.readings import open_readings
from water.loading import Outcome, Position

STORED, DUPLICATE, CONFLICT = Outcome.STORED, Outcome.DUPLICATE, Outcome.CONFLICT


class SessionDiedError(Exception):
    """What ends a session amid its loads."""


def load_ahead(store, batches, *, dies_after=None):
    """Begin all, then load one after the other; the outcomes of those that were counted."""
    outcomes = []
    with suppress(SessionDiedError), store.loading() as loading:
        begun = [loading.begin_readings(batch) for batch in batches]
        for number, readings in enumerate(begun):
            if number == dies_after:
                raise SessionDiedError
            with loading.load() as transaction:
                said = transaction.add_readings(readings)
                transaction.set_position("ingest", Position(1, number, number))
            outcomes.append([STORED] * len(readings) if said is None else list(said))
    return outcomes


def hours(reading, first, end, **fields):
    return [reading("m1", 1, h, **(fields or {"register_m3": h})) for h in range(first, end)]


def test_batches_that_are_begun_ahead_are_all_stored(store, reading, instant):
    batches = [hours(reading, h, h + 3) for h in (0, 3, 6)]
    assert load_ahead(store, batches) == [[STORED] * 3] * 3
    assert len(store.load_readings(["m1"], instant(1, 1), instant(1, 2))) == 9
    assert store.position("ingest") == Position(1, 2, 2)


def test_the_first_value_wins_although_the_batch_after_it_is_begun(store, reading, instant):
    first, second, third = (reading("m1", 1, 4, register_m3=value) for value in (1, 2, 1))
    assert load_ahead(store, [[first], [second], [third]]) == [[STORED], [CONFLICT], [DUPLICATE]]
    kept = store.load_readings(["m1"], instant(1, 1), instant(1, 2)).iloc[0]
    assert kept["register_m3"] == 1


def test_quantities_of_one_instant_merge_over_batches_begun_ahead(store, reading, instant):
    parts = [
        [reading("m1", 1, 4, register_m3=7), reading("m1", 1, 5, register_m3=8)],
        [reading("m1", 1, 4, pressure_mpa=0.3), reading("m1", 1, 6, register_m3=9)],
    ]
    assert load_ahead(store, parts) == [[STORED] * 2] * 2
    row = store.load_readings(["m1"], instant(1, 1, 4), instant(1, 1, 5)).iloc[0]
    assert (row["register_m3"], row["pressure_mpa"]) == (7, 0.3)


def test_an_older_reading_does_not_hold_up_the_new_ones_beside_it(store, reading, instant):
    load_ahead(store, [hours(reading, 10, 11)])
    mixed = [*hours(reading, 3, 4), *hours(reading, 10, 13), *hours(reading, 11, 12)]
    assert load_ahead(store, [mixed]) == [[STORED, DUPLICATE, STORED, STORED, DUPLICATE]]
    found = store.load_readings(["m1"], instant(1, 1), instant(1, 2))
    assert found["register_m3"].tolist() == [3, 10, 11, 12]


@pytest.mark.parametrize("dies_after", [0, 1, 2])
def test_what_was_begun_and_not_loaded_counts_when_it_comes_again(
    open_store, reading, load, instant, dies_after
):
    batches = [hours(reading, h, h + 3) for h in (0, 3, 6)]
    done = load_ahead(open_store(), batches, dies_after=dies_after)
    assert done == [[STORED] * 3] * dies_after
    store = open_store()
    again = [load(store, batch) for batch in batches]
    assert again == [[DUPLICATE] * 3] * dies_after + [[STORED] * 3] * (3 - dies_after)
    assert [load(store, batch) for batch in batches] == [[DUPLICATE] * 3] * 3
    assert len(store.load_readings(["m1"], instant(1, 1), instant(1, 2))) == 9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sessions_that_die_now_and_then_count_like_loads_in_turn(
    open_store, load, reading, instant, city, tmp_path, seed
):
    """The oracle is the embedded store, load by load."""
    chance = random.Random(seed)
    oracle = open_readings(tmp_path / "oracle", city, None)  # type: ignore[arg-type] - never asks
    workers, lost = [open_store(), open_store()], []
    for _ in range(15):
        batches = [
            [any_reading(chance, reading) for _ in range(chance.randint(1, 5))]
            for _ in range(chance.randint(1, 4))
        ]
        dies_after = chance.randrange(len(batches)) if chance.random() < 0.4 else len(batches)
        worker = chance.randrange(2)
        done = load_ahead(workers[worker], batches, dies_after=dies_after)
        assert done == [load(oracle, batch) for batch in batches[:dies_after]]
        if dies_after < len(batches):
            workers[worker] = open_store()
            lost += batches[dies_after:]
        while lost and chance.random() < 0.4:
            batch = lost.pop(0)
            assert load(chance.choice(workers), batch) == load(oracle, batch)
    for batch in lost:
        assert load(workers[0], batch) == load(oracle, batch)
    span, meters = (instant(1, 1), instant(1, 4)), ["m0", "m1", "m2"]
    assert workers[1].load_readings(meters, *span).equals(oracle.load_readings(meters, *span))
    assert workers[1].conflicts(*span).equals(oracle.conflicts(*span))
    oracle.close()


def any_reading(chance, reading):
    fields = chance.choice(["register_m3", "flow_m3_h", "pressure_mpa"])
    made = reading(
        f"m{chance.randrange(3)}", 1, chance.randrange(30), **{fields: float(chance.randrange(2))}
    )
    return made._replace(quality=chance.randrange(3), received_at=chance.randrange(100, 110))
