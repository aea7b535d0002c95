"""Who has a journal open."""

import fcntl
import os
import subprocess
import sys
import threading

import pytest
from tenacity import stop_after_delay

from ingest.errors import JournalTakenError
from ingest.journal import lock, open_journal
from ingest.journal.lock import is_taken, take_lock

HOLD = """
import sys, pathlib
from ingest.journal import open_journal
journal = open_journal(pathlib.Path(sys.argv[1]), 1 << 20)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_journal_is_taken_while_it_is_open(tmp_path):
    folder = tmp_path / "journal"
    assert not is_taken(folder)
    journal = open_journal(folder, 1 << 20)
    assert is_taken(folder)
    with pytest.raises(JournalTakenError):
        open_journal(folder, 1 << 20)
    journal.close()
    assert not is_taken(folder)


def test_a_journal_of_another_process_is_taken_until_that_is_dead(tmp_path):
    command = [sys.executable, "-c", HOLD, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert is_taken(tmp_path)
        process.kill()
    assert not is_taken(tmp_path)


def test_who_only_looks_keeps_nobody_from_a_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_GLANCE", lock._GLANCE.copy(stop=stop_after_delay(10)))
    os.close(take_lock(tmp_path))
    look = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    ends = threading.Timer(0.01, os.close, [look])
    ends.start()
    os.close(take_lock(tmp_path))
    ends.join()
