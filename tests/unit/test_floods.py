"""Who is put apart, and when it comes back."""

import pytest

from ingest.broker.floods import Floods
from ingest.topics import NOBODY

NOW = 1_000.0


def floods(*heard, limit=10):
    made = Floods(limit)
    for supplier, at in heard:
        made.note([supplier], at)
    return made


def find(rule, **waiting):
    counts = {NOBODY if name == "nobody" else name: n for name, n in waiting.items()}
    return rule.find(counts.keys(), counts.get, NOW)


@pytest.mark.parametrize(
    ("heard", "waiting", "found"),
    [
        ({"big": NOW, "small": NOW}, {"big": 11}, {"big"}),
        ({"big": NOW, "small": NOW}, {"big": 10}, set()),
        ({"big": NOW, "small": NOW}, {"big": 11, "small": 3}, {"big"}),
        ({"big": NOW}, {"big": 11}, set()),
        ({"big": NOW, "small": NOW - 599}, {"big": 11}, {"big"}),
        ({"big": NOW, "small": NOW - 601}, {"big": 11}, set()),
        ({"big": NOW, NOBODY: NOW}, {"big": 11}, set()),
        ({NOBODY: NOW, "small": NOW}, {"nobody": 11}, {NOBODY}),
    ],
    ids=[
        "more waits than may",
        "no more waits than may",
        "who sends little stays",
        "alone it holds up nobody",
        "another has just sent",
        "the others fell silent",
        "nobody is not held up",
        "nobody floods",
    ],
)
def test_a_supplier_that_floods_beside_others_is_found(heard, waiting, found):
    assert find(floods(*heard.items()), **waiting) == found


def test_of_two_that_flood_with_nobody_else_one_stays():
    rule = floods(("a", NOW), ("b", NOW))
    assert find(rule, a=50, b=50) == {"a"}
    rule.put_apart({"a"})
    assert find(rule, a=50, b=50) == set()


def test_without_a_limit_nobody_is_ever_found():
    rule = floods(("big", NOW), ("small", NOW), limit=0)
    assert find(rule, big=10**9) == set()
    assert not rule.may_flood(10**9)


def test_who_can_flood_only_when_more_than_the_limit_waits_in_all():
    assert [floods().may_flood(waiting) for waiting in (10, 11)] == [False, True]


@pytest.mark.parametrize(
    ("waiting", "apart", "over"),
    [(0, 0, {"big"}), (10, 0, {"big"}), (0, 1, set()), (11, 0, set())],
    ids=["nothing waits", "little waits among the others", "some waits apart", "it still floods"],
)
def test_it_comes_back_once_nothing_of_it_waits_apart(waiting, apart, over):
    rule = floods()
    rule.put_apart({"big"})
    assert rule.find_over(lambda _: waiting, lambda _: apart) == over
    rule.take_back(over)
    assert rule.apart == {"big"} - over
