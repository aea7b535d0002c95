from datetime import UTC, datetime, timedelta

from runs.refusals import counts_before

T0 = datetime(2026, 9, 15, tzinfo=UTC)


class State(dict):
    def set(self, name, value):
        self[name] = value


def counts(number):
    return {"s1": {"decoded": number, "undecodable": 0}}


def test_nothing_came_before_while_the_clock_stands_still():
    state = State()
    assert [counts_before(state, counts(n), T0) for n in range(3)] == [{}, {}, {}]


def test_the_counts_of_a_day_ago_are_given():
    state = State()
    given = [counts_before(state, counts(h), T0 + timedelta(hours=h)) for h in range(100)]
    assert given[:24] == [{}] * 24
    assert given[24:] == [counts(h - 24) for h in range(24, 100)]
    assert len(state["refused"]["kept"]) <= 26


def test_after_a_long_rest_the_newest_kept_counts_are_given():
    state = State()
    counts_before(state, counts(1), T0)
    counts_before(state, counts(2), T0 + timedelta(hours=2))
    assert counts_before(state, counts(9), T0 + timedelta(days=9)) == counts(2)


def test_a_clock_that_was_set_back_forgets_what_lies_ahead():
    state = State()
    counts_before(state, counts(1), T0 + timedelta(days=9))
    assert counts_before(state, counts(2), T0) == {}
    assert counts_before(state, counts(3), T0 + timedelta(days=1)) == counts(2)
