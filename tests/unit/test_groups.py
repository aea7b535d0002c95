"""What a group keeps of what one read has brought."""

import pytest

from ingest.groups import Group
from ingest.identity import receipt_id
from ingest.journal import OVERSIZE, REPEATED, JournalReader, open_journal
from ingest.settings import JournalSettings
from water.clock import SystemClock
from water.loading import Position


@pytest.fixture
def journal(tmp_path):
    opened = open_journal(tmp_path, 1 << 20)
    yield opened
    opened.close()


@pytest.fixture
def group(journal, tmp_path):
    return Group(
        journal, JournalSettings(tmp_path, group_messages=3), 100,
        lambda topic: "north" if topic.startswith("water/v1/north/") else "?", SystemClock(),
        journalled=lambda _: None, observe_sync=lambda _: None,
    )  # fmt: skip


def read(journal, folder):
    reader = JournalReader(folder, journal.marker, journal.committed)
    return reader.read(Position())[0]


def test_what_was_taken_stands_in_the_journal_and_may_be_acknowledged(group, journal, tmp_path):
    topic = b"water/v1/north/jieshui/m1/reading"
    group.take([(topic, b"1", 0, 7), (topic, b"2", REPEATED, 8), (topic, b"3", 0, None)])
    assert group.full
    assert group.commit() == [7, 8]
    assert len(group) == 0
    found = [(e.supplier, e.number, e.payload, e.flags) for e in read(journal, tmp_path)]
    assert found == [("north", 1, b"1", 0), ("north", 2, b"2", REPEATED), ("north", 3, b"3", 0)]


def test_a_topic_that_is_no_text_is_nobodys_and_kept(group, journal, tmp_path):
    group.take([(b"water/v1/\xff/x", b"1", 0, 1)])
    group.commit()
    (entry,) = read(journal, tmp_path)
    assert (entry.supplier, entry.topic, entry.payload) == ("?", "", b"1")


def test_a_payload_that_is_too_long_is_cut_and_says_so(group, journal, tmp_path):
    sent = b"x" * 5_000
    group.take([(b"water/v1/north/x", sent, 0, 1)])
    group.commit()
    (entry,) = read(journal, tmp_path)
    assert entry.flags == OVERSIZE
    assert len(entry.payload) < 2_000
    assert receipt_id(entry.payload, entry.flags) == receipt_id(sent)
