"""Nothing arrives: when that is longer than usual, and when it is told."""

import pytest

from ingest.broker.silence import Silence

HOUR = 3_600.0
PATIENCE = 900.0


def silence(*, patience=PATIENCE, expecting=True):
    return Silence(patience, -PATIENCE, expecting=expecting)


def busy():
    """Messages have come all the time until second 0."""
    one = silence()
    for second in range(-900, 1, 5):
        one.note_arrival(second)
    return one


def test_a_silence_is_probed_first_and_told_when_the_probe_brought_nothing():
    one = busy()
    assert not one.wants_probe(PATIENCE - 1)
    assert one.wants_probe(PATIENCE)
    assert not one.is_news(PATIENCE + 59)
    assert one.is_news(PATIENCE + 60)
    assert not one.is_news(PATIENCE + 61), "it is told once"


def test_what_a_probe_brings_ends_the_silence_untold():
    one = busy()
    assert one.wants_probe(PATIENCE)
    assert not one.note_arrival(PATIENCE + 5)
    assert not one.is_news(PATIENCE + 100)


def test_a_silence_that_lasts_is_probed_again_every_limit():
    one = busy()
    assert [at for at in range(0, 4_000, 100) if one.wants_probe(at)] == [900, 1_800, 2_700, 3_600]


def test_an_arrival_ends_a_silence_that_was_told_of():
    one = busy()
    one.wants_probe(PATIENCE)
    one.is_news(PATIENCE + 60)
    assert one.note_arrival(2 * PATIENCE)
    assert not one.note_arrival(2 * PATIENCE + 1)


def test_meters_that_send_hourly_are_no_silence_before_that_is_learned_nor_after():
    one = silence()
    one.note_arrival(0)
    assert not one.wants_probe(HOUR)
    for hour in range(1, 4):
        for second in range(5):
            one.note_arrival(hour * HOUR + second)
    assert one.limit_s(3 * HOUR) == pytest.approx(3 * HOUR, rel=0.01)
    assert not one.wants_probe(5.9 * HOUR)
    assert one.wants_probe(6.1 * HOUR)


def test_one_outage_is_no_habit():
    one = busy()
    for second in range(36_000, 36_900, 5):
        one.note_arrival(second)
    assert one.limit_s(36_900) == PATIENCE


def test_gaps_of_more_than_a_week_ago_are_forgotten():
    one = silence()
    for hour in range(1, 6):
        one.note_arrival(hour * HOUR)
    assert one.limit_s(5 * HOUR + 8 * 24 * HOUR) == 5 * PATIENCE


@pytest.mark.parametrize(
    "one", [silence(patience=0), silence(expecting=False)], ids=["off", "never a message"]
)
def test_where_nothing_is_expected_silence_is_never_probed(one):
    assert not one.wants_probe(1e9)


def test_from_the_first_message_on_silence_counts():
    one = silence(expecting=False)
    one.note_arrival(50_000)
    assert not one.wants_probe(50_000 + 5 * PATIENCE - 1)
    assert one.wants_probe(50_000 + 5 * PATIENCE)


def test_the_time_that_the_broker_was_away_is_no_silence():
    one = busy()
    one.note_connection(10_800)
    assert not one.wants_probe(10_800 + PATIENCE - 1)
    assert one.wants_probe(10_800 + PATIENCE)


def test_the_connection_that_a_probe_makes_does_not_end_the_silence():
    one = busy()
    assert one.wants_probe(PATIENCE)
    one.note_connection(PATIENCE + 1)
    assert one.is_news(PATIENCE + 60)
