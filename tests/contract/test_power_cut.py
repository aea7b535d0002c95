"""What of the embedded store outlives a power cut: only what was synced may be relied on."""

import os
import shutil
from datetime import date
from pathlib import Path

import pytest

from storage.readings import open_readings
from water.clock import SystemClock

pytestmark = pytest.mark.embedded


class Disk:
    """A store's folder, and what of its write-ahead log a power cut would leave of it."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder, self.log = folder, folder / "readings.sqlite-wal"
        self.kept = b""
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._sync)

    def _sync(self, descriptor) -> None:
        self._fsync(descriptor)
        if os.path.samestat(os.fstat(descriptor), self.log.stat()):
            self.kept = self.log.read_bytes()

    def after_a_power_cut(self, to: Path) -> Path:
        shutil.copytree(self.folder, to, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
        (to / self.log.name).write_bytes(self.kept)
        return to


@pytest.fixture
def disk(tmp_path, monkeypatch):
    return Disk(tmp_path / "readings", monkeypatch)


@pytest.fixture
def open_copy(disk, tmp_path, city):
    opened = []

    def open_after():
        folder = disk.after_a_power_cut(tmp_path / f"after{len(opened)}")
        opened.append(open_readings(folder, city, SystemClock()))
        return opened[-1]

    yield open_after
    for store in opened:
        store.close()


def test_a_mark_that_was_told_is_no_load_again(disk, store, load, reading, open_copy):
    for hour in (1, 2):
        load(store, [reading("m1", 1, hour, register_m3=hour)])
    told = store.touched_days(0, 10).mark
    load(store, [reading("m1", 2, register_m3=3)])
    after = open_copy()
    assert after.touched_days(told, 10).mark == told
    load(after, [reading("m1", 3, register_m3=4)])
    days = after.touched_days(told, 10).days
    assert [day.date() for day in days["day"]] == [date(2026, 1, 3)]


def test_a_file_that_goes_is_named_by_no_manifest_that_may_come_back(
    disk, store, load, reading, instant, open_copy
):
    load(store, [reading("m1", 1, 1, register_m3=1)])
    store.compact(instant(1, 2).date())
    store.touched_days(0, 10)
    load(store, [reading("m1", 1, 2, register_m3=2)])
    store.compact(instant(1, 2).date())
    store.compact(instant(1, 2).date(), grace_s=-1)
    registers = open_copy().load_readings(["m1"], instant(1, 1), instant(1, 3))["register_m3"]
    assert registers.tolist() == [1, 2]
