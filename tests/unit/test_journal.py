import errno
import itertools
import os
from pathlib import Path

import pytest

from ingest.errors import JournalError, JournalUnwritableError
from ingest.journal import JournalReader, Message, open_journal
from ingest.journal import writer as writer_module
from ingest.journal.entries import encode_entries
from ingest.journal.segments import list_segments, read_header, segment_path
from water.loading import Position

MIB = 1 << 20
BEGINNING = Position()


def messages(first: int, count: int, supplier: str = "north") -> list[Message]:
    return [
        Message(supplier, f"water/v1/{supplier}/x", b"payload %06d" % number, number)
        for number in range(first, first + count)
    ]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def journal(folder):
    opened = []

    def open_it(segment_bytes: int = MIB, **more):
        while opened:
            opened.pop().close()
        opened.append(open_journal(folder, segment_bytes, **more))
        return opened[0]

    yield open_it
    for one in opened:
        one.close()


def read_all(journal, position=BEGINNING):
    reader = JournalReader(journal._folder, journal.marker, journal.committed)
    found = []
    while True:
        entries, position = reader.read(position)
        if not entries:
            return found, reader
        found += entries


def payloads(entries):
    return [entry.payload for entry in entries]


def test_what_was_appended_is_read_in_order_with_everything_it_carried(journal):
    writer = journal()
    sent = [
        Message("north", "water/v1/north/jieshui/水表/reading", b"\x00\xff", 1_700_000_000_123, 3),
        Message("?", "", b"", 0, 0),
    ]
    writer.append(sent)
    entries, _ = read_all(writer)
    kept = [Message(e.supplier, e.topic, e.payload, e.received_ms, e.flags) for e in entries]
    assert kept == sent
    assert [(e.entry, e.number) for e in entries] == [(1, 1), (2, 1)]


def test_a_group_costs_one_fdatasync(journal, monkeypatch):
    writer = journal()
    writer.append(messages(0, 1))
    syncs = []
    real = os.fdatasync
    monkeypatch.setattr(writer_module.os, "fdatasync", lambda fd: (syncs.append(fd), real(fd)))
    writer.append(messages(1, 500))
    assert len(syncs) == 1


def test_segments_are_cut_and_read_across(journal, folder):
    writer = journal(2_000)
    for first in range(0, 200, 10):
        writer.append(messages(first, 10))
    assert len(list_segments(folder)) > 5
    assert payloads(read_all(writer)[0]) == [m.payload for m in messages(0, 200)]


def test_the_reader_goes_on_from_a_position(journal):
    writer = journal(2_000)
    for first in range(0, 100, 10):
        writer.append(messages(first, 10))
    entries, _ = read_all(writer)
    middle = entries[41]
    rest, _ = read_all(writer, Position(middle.segment, middle.end, middle.entry))
    assert payloads(rest) == payloads(entries[42:])


def test_the_counts_outlive_a_restart_without_the_store(journal):
    writer = journal(2_000)
    for first in range(0, 90, 10):
        writer.append([*messages(first, 7, "north"), *messages(first, 3, "south")])
    writer = journal(2_000)
    assert writer.received() == {"north": 63, "south": 27}
    assert writer.committed().entry == 90
    writer.append(messages(90, 1, "south"))
    assert read_all(writer)[0][-1].number == 28


def test_counts_hold_after_old_segments_are_dropped(journal, folder):
    writer = journal(2_000)
    for first in range(0, 90, 10):
        writer.append(messages(first, 10))
    assert writer.drop_loaded(writer.committed(), keep_s=-1) >= 3
    assert len(list_segments(folder)) == 1
    assert journal(2_000).received() == {"north": 90}


def test_a_segment_that_is_not_loaded_or_still_young_is_kept(journal, folder):
    writer = journal(2_000)
    for first in range(0, 90, 10):
        writer.append(messages(first, 10))
    kept = list_segments(folder)
    assert writer.drop_loaded(Position(kept[0], 10, 1), keep_s=-1) == 0
    assert writer.drop_loaded(writer.committed(), keep_s=3600) == 0
    assert list_segments(folder) == kept


def test_a_segment_that_is_still_needed_is_kept_with_all_after_it(journal, folder):
    writer = journal(2_000)
    for first in range(0, 90, 10):
        writer.append(messages(first, 10))
    kept = list_segments(folder)
    assert writer.drop_loaded(writer.committed(), keep_s=-1, needed=kept[2]) == 2
    assert list_segments(folder) == kept[2:]


def test_a_segment_is_as_old_as_its_closing_not_as_its_last_entry(journal, folder):
    writer = journal(2_000)
    writer.append(messages(0, 10))
    os.utime(segment_path(folder, 1), (0, 0))
    writer.append(messages(10, 40))
    assert list_segments(folder) == [1, 2]
    assert writer.drop_loaded(writer.committed(), keep_s=3600) == 0
    os.utime(segment_path(folder, 1), (0, 0))
    assert writer.drop_loaded(writer.committed(), keep_s=3600) == 1


@pytest.mark.parametrize("torn", [1, 7, 15, 16, 40])
def test_a_torn_tail_is_cut_and_writing_goes_on(journal, folder, torn, capsys):
    writer = journal()
    writer.append(messages(0, 10))
    path = segment_path(folder, 1)
    whole = path.stat().st_size
    last = read_all(writer)[0][-1].offset
    with path.open("ab") as file:
        file.write(path.read_bytes()[last:][:torn])
    writer = journal()
    assert path.stat().st_size == whole
    assert f"bytes={torn}" in capsys.readouterr().out
    writer.append(messages(10, 5))
    assert payloads(read_all(writer)[0]) == [m.payload for m in messages(0, 15)]


@pytest.mark.parametrize("zeros", [8, 16, 46, 4096])
@pytest.mark.parametrize("marked", [0, 8], ids=["all", "behind a marker"])
def test_what_a_power_cut_leaves_as_zeros_is_cut_too(journal, folder, zeros, marked):
    writer = journal()
    writer.append(messages(0, 2))
    path = segment_path(folder, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + writer.marker[:marked] + bytes(zeros))
    assert journal().received() == {"north": 2}
    assert path.read_bytes() == whole


def test_every_cut_of_the_last_group_leaves_a_prefix_of_whole_entries(journal, folder):
    writer = journal()
    writer.append(messages(0, 3))
    path = segment_path(folder, 1)
    whole = path.read_bytes()
    ends = [entry.end for entry in read_all(writer)[0]]
    for length in range(ends[0], len(whole)):
        path.write_bytes(whole[:length])
        writer = journal()
        assert len(read_all(writer)[0]) == sum(end <= length for end in ends)


def test_damage_in_the_middle_costs_only_what_it_hit(journal, folder):
    writer = journal()
    writer.append(messages(0, 100))
    hit = read_all(writer)[0][40]
    path = segment_path(folder, 1)
    damaged = bytearray(path.read_bytes())
    damaged[hit.offset + 9] ^= 0xFF
    path.write_bytes(damaged)
    writer = journal()
    entries, reader = read_all(writer)
    assert payloads(entries) == [m.payload for m in messages(0, 100) if m.received_ms != 40]
    assert reader.damage.bytes == hit.end - hit.offset
    assert [b.number - a.number for a, b in itertools.pairwise(entries)].count(2) == 1


def test_a_damaged_header_costs_no_entry(journal, folder):
    writer = journal(2_000)
    for first in range(0, 60, 10):
        writer.append(messages(first, 10))
    path = segment_path(folder, 2)
    damaged = bytearray(path.read_bytes())
    damaged[20] ^= 0xFF
    path.write_bytes(damaged)
    writer = journal(2_000)
    assert payloads(read_all(writer)[0]) == [m.payload for m in messages(0, 60)]


def test_a_forged_entry_in_a_payload_is_not_read_after_damage(journal, folder):
    writer = journal()
    other = open_journal(folder.parent / "other", MIB)
    other.append(messages(7, 1, "forged"))
    forged = segment_path(folder.parent / "other", 1).read_bytes()
    other.close()
    writer.append([Message("north", "t", forged, 1), *messages(1, 1)])
    path = segment_path(folder, 1)
    damaged = bytearray(path.read_bytes())
    first = read_all(writer)[0][0]
    damaged[first.offset + 9] ^= 0xFF
    path.write_bytes(damaged)
    entries, _ = read_all(journal())
    assert [entry.supplier for entry in entries] == ["north"]


def test_a_full_disk_is_said_and_writing_goes_on_when_there_is_room(journal, folder, monkeypatch):
    writer = journal()
    writer.append(messages(0, 5))
    real = os.pwrite

    def half_then_full(fd, view, offset):
        if len(view) > 100:
            return real(fd, view[:100], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer_module.os, "pwrite", half_then_full)
    for _ in range(3):
        with pytest.raises(JournalUnwritableError, match="No space left"):
            writer.append(messages(5, 5))
    assert len(list_segments(folder)) == 1
    monkeypatch.setattr(writer_module.os, "pwrite", real)
    writer.append(messages(5, 5))
    assert payloads(read_all(writer)[0]) == [m.payload for m in messages(0, 10)]
    assert payloads(read_all(journal())[0]) == [m.payload for m in messages(0, 10)]


def test_after_a_failed_sync_the_group_goes_to_a_new_segment_and_is_read_once(
    journal, folder, monkeypatch
):
    writer = journal()
    writer.append(messages(0, 5))
    real = os.fdatasync

    def broken(fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(writer_module.os, "fdatasync", broken)
    with pytest.raises(JournalUnwritableError):
        writer.append(messages(5, 5))
    monkeypatch.setattr(writer_module.os, "fdatasync", real)
    writer.append(messages(100, 3))
    assert list_segments(folder) == [1, 2]
    expected = [m.payload for m in [*messages(0, 5), *messages(100, 3)]]
    assert payloads(read_all(writer)[0]) == expected
    assert payloads(read_all(journal())[0]) == expected


class PowerCut:
    """What would be on disk after a power cut: only what was written, then synced with success.

    A sync that fails drops the pages it was for: the next one has nothing to do and is good.
    """

    def __init__(self, monkeypatch):
        self.failing, self.folders, self._dirty, self._durable = False, 0, {}, {}
        self._pwrite, self._syncs = os.pwrite, {n: getattr(os, n) for n in ("fsync", "fdatasync")}
        monkeypatch.setattr(writer_module.os, "pwrite", self.pwrite)
        for name in self._syncs:
            monkeypatch.setattr(writer_module.os, name, lambda fd, n=name: self.sync(n, fd))

    def pwrite(self, fd, view, offset):
        written = self._pwrite(fd, view, offset)
        self._dirty.setdefault(self._name(fd), []).append((offset, bytes(view[:written])))
        return written

    def sync(self, name, fd):
        self._syncs[name](fd)
        written = self._dirty.pop(self._name(fd), [])
        if self.failing:
            raise OSError(errno.EIO, "Input/output error")
        self.folders += Path(self._name(fd)).is_dir()
        durable = self._durable.setdefault(self._name(fd), bytearray())
        for offset, chunk in written:
            durable.extend(bytes(max(0, offset + len(chunk) - len(durable))))
            durable[offset : offset + len(chunk)] = chunk

    def holds(self, payload):
        return any(payload in content for content in self._durable.values())

    @staticmethod
    def _name(fd):
        return str(Path(f"/proc/self/fd/{fd}").readlink())


@pytest.mark.parametrize("end", ["before its sync", "at a failed sync", "after a failed sync"])
def test_what_a_restart_finds_is_durable_before_it_counts(journal, folder, monkeypatch, end):
    disk = PowerCut(monkeypatch)
    writer = journal()
    writer.append(messages(0, 5))
    if end == "before its sync":
        frames = encode_entries(writer.marker, 5, writer.received(), messages(5, 5))
        os.pwrite(writer._file, frames, writer.committed().offset)
    else:
        disk.failing = True
        for _ in range(1 if end == "at a failed sync" else 2):
            with pytest.raises(JournalUnwritableError):
                writer.append(messages(5, 5))
        disk.failing = False
    disk.folders = 0
    found = payloads(read_all(journal())[0])
    assert found == [m.payload for m in messages(0, 10)]
    assert [payload for payload in found if not disk.holds(payload)] == []
    assert disk.folders == 1


def test_a_journal_that_cannot_be_made_durable_is_not_opened(journal, folder, monkeypatch):
    journal().append(messages(0, 5))
    disk = PowerCut(monkeypatch)
    disk.failing = True
    with pytest.raises(JournalError, match="can't be made durable: Input/output error"):
        journal()
    disk.failing = False
    assert len(read_all(journal())[0]) == 5


def test_two_writers_cannot_share_a_folder(journal, folder):
    journal()
    with pytest.raises(JournalError, match="another process"):
        open_journal(folder, MIB)


def test_a_new_journal_goes_on_where_the_store_stands(journal):
    writer = journal(after=Position(7, 1234, 900), received={"north": 900})
    assert read_all(writer, Position(7, 1234, 900))[0] == []
    writer.append(messages(0, 1))
    (entry,), _ = read_all(writer, Position(7, 1234, 900))
    assert (entry.segment, entry.entry, entry.number) == (8, 901, 901)


@pytest.mark.parametrize(
    "torn",
    [b"", b"\x01\x02\x03", bytes(54), bytes(4096), b"12345678" + bytes(46), os.urandom(200)],
    ids=["empty", "three bytes", "54 zeros", "a page of zeros", "marker, then zeros", "noise"],
)
def test_a_torn_first_segment_is_put_aside_and_begun_again(journal, folder, torn):
    folder.mkdir()
    segment_path(folder, 1).write_bytes(torn)
    writer = journal()
    writer.append(messages(0, 2))
    assert payloads(read_all(journal())[0]) == [m.payload for m in messages(0, 2)]
    assert [path.read_bytes() for path in folder.glob("*.stillborn-*")] == [torn]


def test_every_cut_of_the_first_header_is_begun_again(journal, folder):
    writer = journal(after=Position(0, 0, 7), received={"north": 7})
    writer.append(messages(0, 1))
    header = segment_path(folder, 1).read_bytes()[: read_header(folder, 1)[2]]
    for length in range(len(header)):
        segment_path(folder, 1).write_bytes(header[:length])
        assert journal().committed() == BEGINNING


@pytest.mark.parametrize("damaged", [slice(0, 16), slice(20, 21)], ids=["frame", "body"])
def test_a_first_segment_that_holds_an_entry_is_no_torn_one(journal, folder, damaged):
    journal().append(messages(0, 1))
    path = segment_path(folder, 1)
    content = bytearray(path.read_bytes())
    content[damaged] = bytes(len(content[damaged]))
    path.write_bytes(content)
    with pytest.raises(JournalError, match="sound header"):
        journal()
    assert path.read_bytes() == content


@pytest.fixture
def two_journals(journal, folder):
    """An older journal's first segment lies beside one that began anew; their contents."""
    journal().append(messages(0, 5))
    older = segment_path(folder, 1).read_bytes()
    segment_path(folder, 1).unlink()
    journal(after=Position(1, len(older), 5)).append(messages(5, 5))
    segment_path(folder, 1).write_bytes(older)
    return [older, segment_path(folder, 2).read_bytes()]


def contents(folder):
    return [segment_path(folder, segment).read_bytes() for segment in list_segments(folder)]


def test_segments_of_two_journals_are_refused_and_nothing_is_cut(journal, folder, two_journals):
    named = "000000000001.journal and .*000000000002.journal are segments of two journals"
    with pytest.raises(JournalError, match=named):
        journal()
    assert contents(folder) == two_journals


def test_a_foreign_segment_whose_header_is_damaged_is_refused_too(journal, folder, two_journals):
    older, newer = two_journals
    damaged = newer[:20] + b"\x00" + newer[21:]
    segment_path(folder, 2).write_bytes(damaged)
    with pytest.raises(JournalError, match=r"000000000002\.journal: holds entries of another"):
        journal()
    assert contents(folder) == [older, damaged]


def test_a_torn_new_segment_after_a_full_one_is_passed_over(journal, folder):
    writer = journal(2_000)
    for first in range(0, 40, 10):
        writer.append(messages(first, 10))
    newest = list_segments(folder)[-1]
    segment_path(folder, newest + 1).write_bytes(b"\x01")
    writer = journal(2_000)
    writer.append(messages(40, 2))
    assert payloads(read_all(writer)[0]) == [m.payload for m in messages(0, 42)]
    assert payloads(read_all(journal(2_000))[0]) == [m.payload for m in messages(0, 42)]


def test_one_entry_is_found_by_its_place(journal):
    writer = journal()
    writer.append(messages(0, 10))
    entries, reader = read_all(writer)
    assert reader.read_entry(entries[4].segment, entries[4].offset) == entries[4]
    assert reader.read_entry(entries[4].segment, entries[4].offset + 1) is None
    assert reader.read_entry(99, 0) is None


def test_an_entry_larger_than_a_read_is_read_whole(journal):
    writer = journal(8 * MIB)
    large = Message("north", "t", os.urandom(3 * MIB), 1)
    writer.append([large, *messages(1, 1)])
    entries, _ = read_all(writer)
    assert payloads(entries) == [large.payload, messages(1, 1)[0].payload]
