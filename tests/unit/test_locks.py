"""The locks of files: one holder at a time, waited for and then given up."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from storage.errors import StoreUnavailableError
from storage.locks import FileLock, lock_if_free, lock_in_turn

HOLDER = """
import sys, time
from pathlib import Path
from storage.locks import FileLock
print(FileLock(Path(sys.argv[1])).take(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "lock"


def test_where_another_has_it_nothing_is_waited_for(file):
    with lock_if_free(file) as one, lock_if_free(file) as other:
        assert (one, other) == (True, False)
    with lock_if_free(file) as again:
        assert again


def test_a_second_waits_for_the_first(file):
    first = FileLock(file)
    first.take()
    threading.Timer(0.2, first.release).start()
    began = time.monotonic()
    with lock_in_turn(file):
        assert time.monotonic() - began > 0.1
        assert not FileLock(file).take()
    assert FileLock(file).take()


def test_who_waited_long_enough_is_told_that_nothing_was_done(file):
    first = FileLock(file)
    first.take()
    said = r"another process has held .*lock for 0\.1 s"
    with pytest.raises(StoreUnavailableError, match=said), lock_in_turn(file, patience_s=0.1):
        pytest.fail("it is the other's")
    first.release()


def test_who_held_on_for_long_and_wants_it_again_leaves_others_their_turn(file, monkeypatch):
    monkeypatch.setattr("storage.locks._LONG_S", 0.05)
    order = []

    def hold(name, times):
        for _ in range(times):
            with lock_in_turn(file):
                order.append(name)
                time.sleep(0.1)

    threads = [threading.Thread(target=hold, args=("busy", 6))]
    threads.append(threading.Thread(target=hold, args=("other", 1)))
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert order.index("other") <= 2


def test_the_death_of_a_process_frees_its_lock(file):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, file], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "True\n"
        os.kill(holder.pid, signal.SIGKILL)
        with lock_in_turn(file, patience_s=10):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
