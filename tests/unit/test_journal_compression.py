"""Closed segments are compressed: read as before, sound after a crash, damage bounded."""

import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pytest

from ingest.journal import JournalReader, Message, compression, open_journal
from ingest.journal.compressed import BLOCK_BYTES, CompressedSegment, pack_block
from ingest.journal.segments import (
    compressed_path,
    kept_path,
    list_segments,
    measure_kept,
    segment_path,
)
from water.loading import Position

MARKER = b"\x01marker\xff"
CLOSED = -1.0
"""Seconds ago: every closed segment is old enough."""


def messages(first, count):
    noise = os.urandom(200).hex().encode()
    return [
        Message("north", "water/v1/north/x", b"payload %06d %s" % (n, noise[n % 100 :] + noise), n)
        for n in range(first, first + count)
    ]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def journal(folder):
    """A journal of four segments of about two blocks each."""
    writer = open_journal(folder, 2 * BLOCK_BYTES)
    for first in range(0, 10_500, 500):
        writer.append(messages(first, 500))
    assert list_segments(folder) == [1, 2, 3, 4, 5]
    yield writer
    writer.close()


def make_reader(journal):
    return JournalReader(journal._folder, journal.marker, journal.committed)


def read_all(reader):
    found, position = [], Position()
    while True:
        entries, position = reader.read(position)
        if not entries:
            return found
        found += entries


def compress_all(journal):
    count = 0
    while journal.compress_loaded(journal.committed(), CLOSED):
        count += 1
    return count


def test_compressed_segments_read_as_before_entry_by_entry(journal, folder):
    before = read_all(make_reader(journal))
    assert compress_all(journal) == 4
    assert [kept_path(folder, n).name[12:] for n in (1, 4, 5)] == [
        ".journal.zst", ".journal.zst", ".journal",
    ]  # fmt: skip
    reader = make_reader(journal)
    assert read_all(reader) == before
    assert reader.damage.bytes == 0
    for entry in before[::997]:
        assert reader.read_entry(entry.segment, entry.offset) == entry
    assert reader.read_entry(1, before[0].offset + 1) is None


def test_a_compressed_segment_is_smaller_and_as_old_as_before(journal, folder):
    path = segment_path(folder, 1)
    os.utime(path, (1_000_000, 1_000_000))
    size = path.stat().st_size
    journal.compress_loaded(journal.committed(), CLOSED)
    packed = compressed_path(folder, 1).stat()
    assert packed.st_size < 0.7 * size
    assert packed.st_mtime == 1_000_000
    assert packed.st_mode & 0o777 == 0o640


def test_any_zstd_tool_gives_the_plain_segment_back(journal, folder, tmp_path):
    plain = segment_path(folder, 1).read_bytes()
    journal.compress_loaded(journal.committed(), CLOSED)
    with pa.input_stream(str(compressed_path(folder, 1)), compression="zstd") as stream:
        assert stream.read() == plain


def test_only_what_is_loaded_and_closed_for_a_while_is_compressed(journal, folder):
    third = Position(3, 100, 1)
    assert not journal.compress_loaded(journal.committed(), 3600)
    assert journal.compress_loaded(third, CLOSED)
    assert journal.compress_loaded(third, CLOSED)
    assert not journal.compress_loaded(third, CLOSED)
    assert segment_path(folder, 3).exists()


def test_a_journal_with_compressed_segments_opens_counts_and_goes_on(journal, folder):
    compress_all(journal)
    end, received = journal.committed(), journal.received()
    journal.close()
    again = open_journal(folder, 2 * BLOCK_BYTES)
    assert (again.committed(), again.received(), again.marker) == (end, received, journal.marker)
    again.append(messages(10_500, 1))
    assert len(read_all(make_reader(again))) == 10_501
    journal._lock = again._lock  # the fixture closes it


def test_compressed_segments_go_when_their_days_are_over(journal, folder):
    compress_all(journal)
    os.utime(compressed_path(folder, 1), (0, 0))
    assert journal.drop_loaded(journal.committed(), keep_s=3600) == 1
    assert list_segments(folder) == [2, 3, 4, 5]


class Crash(BaseException):
    """The process ends here: nothing catches it."""


STEPS = {
    "while it is written": ("ingest.journal.compression.pack_block", 1),
    "before it is renamed": ("ingest.journal.compression.os.utime", 0),
    "before the folder is synced": ("ingest.journal.compression.sync_folder", 0),
    "before it is compared": ("ingest.journal.compression._is_same", 0),
    "before the plain one goes": ("pathlib.Path.unlink", 0),
    "before the last sync": ("ingest.journal.compression.sync_folder", 1),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_leaves_a_sound_segment(journal, folder, monkeypatch, step):
    before = read_all(make_reader(journal))
    name, calls = STEPS[step]
    fail_after(monkeypatch, name, calls, Crash)
    with pytest.raises(Crash):
        journal.compress_loaded(journal.committed(), CLOSED)
    monkeypatch.undo()
    assert list_segments(folder) == [1, 2, 3, 4, 5]
    assert read_all(make_reader(journal)) == before
    compress_all(journal)
    assert read_all(make_reader(journal)) == before
    assert sorted(path.name[12:] for path in folder.glob("0*")) == [
        ".journal", *[".journal.zst"] * 4,
    ]  # fmt: skip


def fail_after(monkeypatch, name, calls, error):
    module, _, attribute = name.rpartition(".")
    owner = Path if module == "pathlib.Path" else compression
    for part in module.removeprefix("ingest.journal.compression").split("."):
        owner = getattr(owner, part) if part and owner is compression else owner
    real, left = getattr(owner, attribute), [calls]

    def fail(*args, **kwargs):
        if not left[0]:
            raise error(28, "no space")
        left[0] -= 1
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, attribute, fail)


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("ingest.journal.compression.open_compressed", 0),
        ("pathlib.Path.unlink", 0),
        ("ingest.journal.compression.sync_folder", 1),
    ],
)
def test_a_bad_disk_leaves_the_segment_sound_and_the_later_ones_are_compressed(
    journal, folder, monkeypatch, name, calls
):
    before = read_all(make_reader(journal))
    with monkeypatch.context() as patched:
        fail_after(patched, name, calls, OSError)
        assert not journal.compress_loaded(journal.committed(), CLOSED)
    compress_all(journal)
    for segment in (2, 3, 4):
        assert not segment_path(folder, segment).exists()
    assert read_all(make_reader(journal)) == before


def test_a_disk_that_is_full_leaves_the_segment_plain(journal, folder, monkeypatch):
    fail_after(monkeypatch, "ingest.journal.compression.pack_block", 1, OSError)
    assert not journal.compress_loaded(journal.committed(), CLOSED)
    assert sorted(path.name for path in folder.glob("0*")) == [
        segment_path(folder, n).name for n in (1, 2, 3, 4, 5)
    ]


def test_what_reads_back_differently_does_not_replace_the_plain_one(journal, folder, monkeypatch):
    monkeypatch.setattr(
        compression, "pack_block", lambda m, plain, o, t: pack_block(m, plain[::-1], o, t)
    )
    assert not journal.compress_loaded(journal.committed(), CLOSED)
    assert not compressed_path(folder, 1).exists()
    assert segment_path(folder, 1).exists()


def damage(path, at, count=1):
    content = bytearray(path.read_bytes())
    for n in range(at, at + count):
        content[n] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("at", ["in a block", "in its head"])
def test_damage_takes_a_block_is_counted_and_the_rest_is_read(journal, folder, at):
    before = read_all(make_reader(journal))
    compress_all(journal)
    path = compressed_path(folder, 2)
    damage(path, path.stat().st_size // 3 if at == "in a block" else 10)
    reader = make_reader(journal)
    after = read_all(reader)
    read = set(after)
    lost = [entry for entry in before if entry not in read]
    assert {entry.segment for entry in lost} == {2}
    assert 0 < sum(entry.end - entry.offset for entry in lost) <= reader.damage.bytes
    assert reader.damage.bytes < BLOCK_BYTES + 2_000
    assert after == [entry for entry in before if entry in read]
    assert reader.read_entry(2, lost[0].offset) is None


def test_a_compressed_segment_of_which_nothing_can_be_read_is_damage_as_a_whole(journal, folder):
    before = read_all(make_reader(journal))
    compress_all(journal)
    compressed_path(folder, 3).write_bytes(b"\0" * 5_000)
    reader = make_reader(journal)
    after = read_all(reader)
    assert [e.entry for e in after] == [e.entry for e in before if e.segment != 3]
    assert (reader.damage.bytes, reader.damage.places) == (5_000, 1)


def of_bytes(content):
    return CompressedSegment(lambda at, size: content[at : at + size], len(content), MARKER)


@pytest.mark.parametrize("marker", [MARKER, None], ids=["known", "as the file begins"])
def test_a_head_that_somebody_wrote_into_a_payload_is_no_block(marker):
    forged = pack_block(os.urandom(len(MARKER)), b"forged", 0, 6)
    plain = os.urandom(BLOCK_BYTES + 5_000) + forged + os.urandom(100)
    blocks = [
        pack_block(MARKER, plain[at : at + BLOCK_BYTES], at, len(plain)) for at in (0, BLOCK_BYTES)
    ]
    content = bytearray(b"".join(blocks))
    assert forged in content
    content[len(blocks[0]) + 20] ^= 0xFF
    segment = CompressedSegment(lambda at, size: content[at : at + size], len(content), marker)
    assert segment.length == len(plain)
    assert segment.read(0, 1 << 30) == plain[:BLOCK_BYTES] + bytes(len(plain) - BLOCK_BYTES)


def test_a_block_cut_off_at_the_end_reads_as_zeros():
    plain = os.urandom(BLOCK_BYTES + 1000)
    blocks = [
        pack_block(MARKER, plain[at : at + BLOCK_BYTES], at, len(plain)) for at in (0, BLOCK_BYTES)
    ]
    whole, cut = of_bytes(b"".join(blocks)), of_bytes(blocks[0] + blocks[1][:500])
    assert whole.read(BLOCK_BYTES - 5, 10) == plain[BLOCK_BYTES - 5 : BLOCK_BYTES + 5]
    assert whole.read(0, 1 << 30) == plain
    assert cut.length == whole.length
    assert cut.read(BLOCK_BYTES - 5, 10) == plain[BLOCK_BYTES - 5 : BLOCK_BYTES] + bytes(5)


def test_a_page_of_entries_of_one_segment_unpacks_each_block_once(journal, monkeypatch):
    entries = [e for e in read_all(make_reader(journal)) if e.segment == 2]
    compress_all(journal)
    unpacked = []
    real = CompressedSegment._unpack_sound
    monkeypatch.setattr(
        CompressedSegment, "_unpack_sound", lambda s, n: (unpacked.append(n), real(s, n))[1]
    )
    reader = make_reader(journal)
    for entry in entries[::50]:
        assert reader.read_entry(2, entry.offset) == entry
    assert len(unpacked) <= 4


def test_a_restored_plain_copy_wins_over_the_compressed_one(journal, folder, tmp_path):
    before = read_all(make_reader(journal))
    shutil.copy2(segment_path(folder, 1), tmp_path / "copy")
    compress_all(journal)
    shutil.copy2(tmp_path / "copy", segment_path(folder, 1))
    compressed_path(folder, 1).write_bytes(b"")
    assert read_all(make_reader(journal)) == before
    assert time.time() - kept_path(folder, 1).stat().st_mtime < 3600


def test_what_is_kept_is_measured(journal, folder, tmp_path):
    sizes = sum(path.stat().st_size for path in folder.glob("*.journal"))
    assert measure_kept(folder) == (5, 0, sizes)
    journal.compress_loaded(journal.committed(), CLOSED)
    kept = measure_kept(folder)
    assert (kept.segments, kept.compressed) == (5, 1)
    assert kept.bytes < sizes
    assert measure_kept(tmp_path / "nowhere") == (0, 0, 0)
