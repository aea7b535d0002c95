"""A clock that is set while messages arrive."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest.broker.clock_watch import ClockWatch
from ingest.groups import Group
from ingest.journal import open_journal
from ingest.settings import JournalSettings

NOON = datetime(2026, 9, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Hands:
    """A clock whose hands a test moves."""

    def __init__(self):
        self.shown = NOON

    def now(self):
        return self.shown


@pytest.mark.parametrize(
    ("moved", "steady", "jump"),
    [
        (3_600.0, 3_600.0, 0.0),
        (3_629.0, 3_600.0, 0.0),
        (-86_400.0, 0.0, -86_400.0),
        (86_400.5, 0.5, 86_400.0),
        (3_570.0, 3_600.0, -30.0),
    ],
    ids=["runs", "drift mended", "back a day", "ahead a day", "stood still"],
)
def test_a_clock_that_was_set_is_told_from_one_that_runs(moved, steady, jump):
    hands = {"day": 1_800_000_000.0, "steady": 50.0}
    watch = ClockWatch(lambda: hands["day"], lambda: hands["steady"])
    hands["day"] += moved
    hands["steady"] += steady
    assert watch.look() == jump
    assert watch.look() == 0


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "ahead"])
def test_a_group_ends_in_its_time_whatever_the_clock_does(tmp_path, jump):
    durable, hands = [], Hands()
    journal = open_journal(tmp_path, 1 << 20)
    group = Group(
        journal, JournalSettings(tmp_path, group_ms=200), 1 << 20, str, hands,
        journalled=durable.extend, observe_sync=lambda _: None,
    )  # fmt: skip
    group.take([(b"t", b"1", 0, 1)])
    hands.shown += jump
    assert not group.due(idle=False), "not yet: no 200 ms have passed"
    group.take([(b"t", b"2", 0, 2)])
    assert group.due(idle=True)
    assert group.commit() == [1, 2]
    shown = [datetime.fromtimestamp(message.received_ms / 1000, UTC) for message in durable]
    assert shown == [NOON, NOON + jump], "each bears the time that the clock showed"
    journal.close()
