"""How many queries late readings cost."""

import random

import pytest

from storage.lookup import plan

DAY = 86_400


def test_every_late_reading_is_asked_for():
    chance = random.Random(7)
    late = [(f"m{chance.randrange(50)}", chance.randrange(90 * DAY)) for _ in range(400)]
    windows = list(plan(late))
    for meter_id, at in late:
        assert any(meter_id in w.meters and w.start <= at <= w.end for w in windows)


@pytest.mark.parametrize(
    ("late", "queries"),
    [
        ([(f"m{m}", 0) for m in range(10_000)], 1),
        ([(f"m{m}", t) for t in (0, 900, 1800) for m in range(2_000)], 1),
        ([("m1", 900 * i) for i in range(5_000)], 1),
        ([("m1", 0), ("m2", 3000 * DAY)], 2),
        ([("m1", 0), ("m1", 166 * DAY)], 2),
        ([("m1", day * DAY) for day in range(16)], 1),
    ],
    ids=[
        "an instant of a city again", "half an hour of 2,000 meters again", "52 days of one meter",
        "two readings eight years apart", "two of one meter months apart",
        "a fortnight of a daily meter",
    ],
)  # fmt: skip
def test_what_lies_together_is_one_query(late, queries):
    assert len(list(plan(late))) == queries


def test_no_query_asks_for_much_more_than_its_bound():
    chance = random.Random(3)
    late = [(f"m{chance.randrange(2_000)}", chance.randrange(365 * DAY)) for _ in range(2_000)]
    sizes = [len(w.meters) * (w.end - w.start) / 3600 for w in plan(late)]
    assert max(sizes) <= 4_000


def test_what_is_scattered_is_not_asked_for_with_all_that_lies_between():
    chance = random.Random(3)
    late = [(f"m{chance.randrange(30)}", chance.randrange(365 * DAY)) for _ in range(500)]
    sizes = [len(w.meters) * (w.end - w.start) / 3600 for w in plan(late)]
    assert max(sizes) <= 400
    assert sum(sizes) <= 24 * len(late)


def test_nothing_late_asks_nothing():
    assert list(plan([])) == []
