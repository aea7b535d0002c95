"""What the writer has just written reaches the reader as it would from the files."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import JournalUnwritableError
from ingest.journal import JournalReader, Message, Recent, open_journal
from water.loading import Position

NOW_MS = 1_767_200_000_000
messages = st.builds(
    Message,
    st.sampled_from(["north", "south", "北"]),
    st.sampled_from(["t", "water/v1/north/jieshui/m1/reading", "水"]),
    st.binary(max_size=40),
    st.integers(NOW_MS, NOW_MS + 10),
    st.sampled_from([0, 2]),
)
groups = st.lists(st.lists(messages, min_size=1, max_size=6), min_size=1, max_size=8)


BEGINNING = Position()


def read_all(reader, position=BEGINNING):
    entries = []
    while True:
        found, position = reader.read(position)
        if not found:
            return entries, position
        entries += found


def open_pair(folder, writer, recent):
    """A reader with what is remembered, and one that has the files alone."""
    writer.recent = recent
    with_it = JournalReader(folder, writer.marker, writer.committed, recent)
    return with_it, JournalReader(folder, writer.marker, writer.committed)


@given(groups, st.integers(1, 40), st.integers(1, 400), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_the_reader_gives_the_same_entries_whatever_is_remembered(groups, most, most_bytes, behind):
    """Over short segments, a limit that is reached, and a reader that begins amid a group."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with closing(open_journal(folder, 300)) as writer:
            reader, plain = open_pair(folder, writer, Recent(most, most_bytes))
            for group in groups:
                writer.append(group)
            every, end = read_all(plain)
            behind = min(behind, len(every))
            place = every[behind - 1] if behind else None
            begin = Position(place.segment, place.end, place.entry) if place else BEGINNING
            assert read_all(reader, begin) == (every[behind:], end)


@pytest.fixture
def writer(tmp_path):
    with closing(open_journal(tmp_path, 1 << 20)) as writer:
        yield writer


def append(writer, *payloads):
    writer.append([Message("north", "t", payload, NOW_MS) for payload in payloads])


def test_what_is_remembered_is_not_read_from_the_files(writer, tmp_path, monkeypatch):
    reader, _ = open_pair(tmp_path, writer, Recent(100))
    monkeypatch.setattr(reader, "_files", None)
    append(writer, b"1", b"2")
    append(writer, b"3")
    entries, position = reader.read(BEGINNING)
    assert [entry.payload for entry in entries] == [b"1", b"2"]
    entries, position = reader.read(position)
    assert [entry.payload for entry in entries] == [b"3"]
    assert position == writer.committed()


def test_a_group_that_could_not_be_made_durable_is_not_remembered(writer, tmp_path, monkeypatch):
    reader, _ = open_pair(tmp_path, writer, Recent(100))
    append(writer, b"1")

    def fail(_):
        raise OSError(5, "bad disk")

    with monkeypatch.context() as patched:
        patched.setattr("os.fdatasync", fail)
        with pytest.raises(JournalUnwritableError, match="bad disk"):
            append(writer, b"2")
    append(writer, b"3")
    entries, _ = read_all(reader)
    assert [(entry.entry, entry.payload) for entry in entries] == [(1, b"1"), (2, b"3")]


def test_what_was_read_elsewhere_is_forgotten_and_makes_room(writer, tmp_path):
    recent = Recent(3)
    reader, plain = open_pair(tmp_path, writer, recent)
    append(writer, b"1", b"2")
    append(writer, b"3")
    append(writer, b"4")
    _, position = read_all(plain)
    assert recent.read(position) is None
    append(writer, b"5")
    entries, _ = reader.read(position)
    assert [entry.payload for entry in entries] == [b"5"]


@pytest.mark.parametrize(("most", "most_bytes"), [(2, 1_000), (1_000, 70)])
def test_no_more_is_remembered_than_may_be(writer, tmp_path, most, most_bytes):
    recent = Recent(most, most_bytes)
    open_pair(tmp_path, writer, recent)
    for _ in range(10):
        append(writer, b"0123456789")
    entries, position = recent.read(BEGINNING)
    held = 1
    while found := recent.read(position):
        _, position = found
        held += 1
    assert (held, len(entries)) == (2, 1)
