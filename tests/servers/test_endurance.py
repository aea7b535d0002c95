"""The endurance programs in short; `make crash-test` and its like run them at full length."""

import backlog
import crash
import hostile
import pytest
from checking import judge

from jieshui.broker import find_mosquitto

pytestmark = pytest.mark.servers


@pytest.fixture
def endure(tmp_path, missing, capsys):
    """Call with a program of the folder and its options; gives what it prints."""
    if find_mosquitto() is None:
        missing("mosquitto is not on this machine (make servers)")

    def run(program, *options):
        code = program.main([*options, "--folder", str(tmp_path / "place")])
        shown = capsys.readouterr().out
        assert code == 0, shown
        return shown

    return run


def test_kills_at_random_moments_lose_and_double_nothing(endure):
    shown = endure(crash, "--rounds", "3", "--seed", "7")
    assert "3 rounds, " in shown
    assert "lost 0, double 0" in shown


def test_a_storm_of_hostile_messages_is_accounted_for_and_holds_nobody_up(endure):
    storm = ("--messages", "20000", "--quiet", "1", "--seed", "7")
    shown = endure(hostile, *storm, "--usual", str(hostile.SLOWEST_S[hostile.FULL]))
    assert "20000 hostile messages" in shown
    assert "every good reading stored, every message accounted for" in shown


def test_what_arrives_while_the_store_is_away_is_stored_once_it_is_back(endure):
    shown = endure(backlog, "--readings", "5000", "--longer", "0")
    assert "5000 readings of 5000 meters, 50 messages" in shown
    assert "every reading stored once" in shown


def test_a_reading_that_is_lost_foreign_or_changed_is_told():
    published = {("m1", 10): 1.0, ("m1", 20): 2.0}
    assert judge(published, dict(published)) == []
    assert judge(published, {("m1", 10): 1.0}) == ["1 lost: [('m1', 20)]"]
    assert judge(published, {**published, ("m2", 10): 1.0}) == ["1 never published: [('m2', 10)]"]
    assert judge(published, {**published, ("m1", 20): 3.0}) == ["1 of another value: [('m1', 20)]"]
