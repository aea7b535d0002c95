"""The endurance programs in short; `make crash-test` and its like run them at full length."""

import subprocess
import sys
from pathlib import Path

import pytest
from crash import judge

from jieshui.broker import find_mosquitto

pytestmark = pytest.mark.servers

PROGRAMS = Path(__file__).parents[1] / "endurance"


@pytest.fixture
def endure(tmp_path, missing):
    """Call with a program of the folder and its options; gives what it prints."""
    if find_mosquitto() is None:
        missing("mosquitto is not on this machine (make servers)")

    def run(program, *options):
        ended = subprocess.run(
            [sys.executable, PROGRAMS / program, *options, "--folder", tmp_path / "place"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


def test_kills_at_random_moments_lose_and_double_nothing(endure):
    shown = endure("crash.py", "--rounds", "4", "--seed", "7")
    assert "seed 7, store embedded, 4 rounds" in shown
    assert "lost 0, double 0" in shown


def test_a_reading_that_is_lost_foreign_or_changed_is_told():
    published = {("m1", 10): 1.0, ("m1", 20): 2.0}
    assert judge(published, dict(published)) == []
    assert judge(published, {("m1", 10): 1.0}) == ["1 lost: [('m1', 20)]"]
    assert judge(published, {**published, ("m2", 10): 1.0}) == ["1 never published: [('m2', 10)]"]
    assert judge(published, {**published, ("m1", 20): 3.0}) == ["1 of another value: [('m1', 20)]"]
