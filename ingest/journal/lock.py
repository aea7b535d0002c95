"""The lock of a journal's folder: who writes it has it, and the death of a process frees it."""

import fcntl
import os
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from ingest.errors import JournalError, JournalTakenError

_FILE = "lock"
_GLANCE = Retrying(
    retry=retry_if_exception_type(BlockingIOError),
    stop=stop_after_delay(0.05),
    wait=wait_fixed(0.01),
    reraise=True,
)
"""Outlasts somebody who only looks."""


def take_lock(folder: Path) -> int:
    """Take the lock; the open file that holds it.

    Raises:
        JournalTakenError: another process has it.
        JournalError: there are no locks in this file system.
    """
    lock = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        _GLANCE(fcntl.flock, lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise JournalTakenError(f"{folder}: another process writes this journal") from error
    except OSError as error:
        os.close(lock)
        raise JournalError(f"{folder}: can't be locked: {error.strerror}") from error
    return lock


def is_taken(folder: Path) -> bool:
    """Whether a process has the journal of a folder open just now."""
    try:
        lock = os.open(folder / _FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
