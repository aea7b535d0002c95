"""What the journal remembers of messages that were not decoded."""

import errno

import pytest

from ingest.journal import undecoded
from ingest.journal.entries import Entry
from ingest.journal.segments import segment_path, undecoded_path
from ingest.journal.undecoded import DECODED, UNKNOWN, CountedAs, UndecodedLog, note_adopted

MALFORMED, STATUS = "undecodable/malformed", "set_aside/status"


def entries(first, last, segment=1):
    return [
        Entry(segment, 100 * n, 100 * n + 100, n, n, "north", "t", b"", 0, 0)
        for n in range(first, last + 1)
    ]


@pytest.fixture
def folder(tmp_path):
    for segment in (1, 2):
        segment_path(tmp_path, segment).touch()
    return tmp_path


def counted(folder, segment=1, marks=None):
    return CountedAs(folder, segment, lambda mark: (marks or {})[mark])


def test_messages_are_remembered_as_they_were_counted(folder):
    log = UndecodedLog(folder)
    log.note(entries(1, 10), [(3, MALFORMED), (4, STATUS), (7, MALFORMED)])
    found = counted(folder)
    assert [found[n] for n in (1, 3, 4, 7, 10)] == [DECODED, MALFORMED, STATUS, MALFORMED, DECODED]


def test_loads_without_such_a_message_write_nothing_but_the_first_of_a_segment(folder):
    log = UndecodedLog(folder)
    log.note(entries(1, 10), [])
    written = undecoded_path(folder, 1).read_bytes()
    log.note(entries(11, 20), [])
    assert undecoded_path(folder, 1).read_bytes() == written
    assert counted(folder)[15] == DECODED


def test_what_was_loaded_before_there_was_a_record_is_unknown(folder):
    assert counted(folder)[1] == UNKNOWN
    UndecodedLog(folder).note(entries(5, 9), [(6, MALFORMED)])
    found = counted(folder)
    assert [found[n] for n in (4, 5, 6)] == [UNKNOWN, DECODED, MALFORMED]


def test_a_load_over_two_segments_is_noted_in_both(folder):
    log = UndecodedLog(folder)
    log.note([*entries(1, 3), *entries(4, 6, 2)], [(2, MALFORMED), (5, STATUS)])
    assert counted(folder, 1)[2] == MALFORMED
    assert [counted(folder, 2)[n] for n in (3, 4, 5)] == [UNKNOWN, DECODED, STATUS]


@pytest.mark.parametrize("restarted", [False, True])
def test_a_load_that_failed_is_forgotten_when_it_is_repeated(folder, restarted):
    log = UndecodedLog(folder)
    log.note(entries(1, 10), [(3, MALFORMED), (8, MALFORMED)])
    log = UndecodedLog(folder) if restarted else log
    log.note(entries(1, 5), [])
    log.note(entries(6, 12), [(9, STATUS)])
    found = counted(folder)
    assert [found[n] for n in (3, 8, 9)] == [DECODED, DECODED, STATUS]


def test_an_adopted_message_is_decoded_once_the_store_has_counted_it(folder):
    UndecodedLog(folder).note(entries(1, 10), [(3, MALFORMED), (8, MALFORMED)])
    note_adopted(folder, 1, {DECODED: [3, 8]}, "replay/5/ingest")
    found = counted(folder, marks={"replay/5/ingest": 5})
    assert (found[3], found[8]) == (DECODED, MALFORMED)


def test_a_full_disk_is_told_with_the_file_that_it_is_about(folder, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(undecoded.os, "fdatasync", full)
    with pytest.raises(OSError, match=r"No space left on device.*000001\.undecoded"):
        UndecodedLog(folder).note(entries(1, 3), [(2, MALFORMED)])


def flip(path, text, bit=1):
    """Change a bit of the last occurrence of a text."""
    content = bytearray(path.read_bytes())
    content[content.rindex(text)] ^= bit
    path.write_bytes(content)


def test_a_damaged_line_is_said_and_what_it_told_of_is_unknown(folder, capsys):
    log = UndecodedLog(folder)
    log.note(entries(1, 10), [(3, MALFORMED)])
    log.note(entries(11, 20), [(15, STATUS)])
    log.note(entries(21, 30), [(22, STATUS)])
    flip(undecoded_path(folder, 1), b"15")
    found = counted(folder)
    assert {found[n] for n in range(1, 21)} == {UNKNOWN}
    assert [found[n] for n in (21, 22, 40)] == [DECODED, STATUS, DECODED]
    assert "damaged line, what it told of is unknown" in capsys.readouterr().out


def test_a_damaged_line_of_an_adoption_leaves_nothing_to_adopt_again(folder):
    UndecodedLog(folder).note(entries(1, 10), [(3, MALFORMED), (4, MALFORMED)])
    note_adopted(folder, 1, {DECODED: [3]}, "replay/1/ingest")
    flip(undecoded_path(folder, 1), b"replay")
    found = counted(folder, marks={})
    assert {found[n] for n in range(1, 11)} == {UNKNOWN}


def test_after_a_damaged_line_the_next_load_begins_the_record_anew(folder):
    UndecodedLog(folder).note(entries(1, 10), [(3, MALFORMED)])
    flip(undecoded_path(folder, 1), b"3")
    UndecodedLog(folder).note(entries(11, 20), [])
    found = counted(folder)
    assert [found[n] for n in (10, 11, 21)] == [UNKNOWN, DECODED, DECODED]


def test_a_damaged_end_of_a_line_does_not_make_it_a_torn_one(folder):
    log = UndecodedLog(folder)
    log.note(entries(1, 10), [(3, MALFORMED)])
    log.note(entries(11, 20), [(15, STATUS)])
    path = undecoded_path(folder, 1)
    flip(path, b"}")
    assert {counted(folder)[n] for n in (3, 15)} == {UNKNOWN}
    UndecodedLog(folder).note(entries(21, 30), [])
    found = counted(folder)
    assert [found[n] for n in (3, 15, 21)] == [UNKNOWN, UNKNOWN, DECODED]


def test_lines_of_before_there_was_a_checksum_are_read(folder):
    path = undecoded_path(folder, 1)
    path.write_bytes(b'\n{"first":1,"last":9,"counted":{"undecodable/malformed":[3]}}')
    assert (counted(folder)[3], counted(folder)[4]) == (MALFORMED, DECODED)


def test_a_torn_line_costs_only_itself(folder):
    log = UndecodedLog(folder)
    log.note(entries(1, 10), [(3, MALFORMED)])
    with undecoded_path(folder, 1).open("ab") as file:
        file.write(b'\n{"first":11,"la')
    UndecodedLog(folder).note(entries(11, 20), [(12, STATUS)])
    found = counted(folder)
    assert (found[3], found[12]) == (MALFORMED, STATUS)


def test_a_torn_line_is_told_again_though_its_load_comes_to_nothing_else_by_then(folder):
    UndecodedLog(folder).note(entries(1, 10), [(3, MALFORMED)])
    with undecoded_path(folder, 1).open("ab") as file:
        file.write(b'\n01234567 {"first":11,"last":20,"counted":{"set_as')
    assert counted(folder)[3] == UNKNOWN, "until the load is repeated"
    UndecodedLog(folder).note(entries(11, 20), [])
    found = counted(folder)
    assert (found[3], found[15]) == (MALFORMED, DECODED)
