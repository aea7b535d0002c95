"""The locks of files, between processes of one machine: the kernel frees them with their holder."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import StoreUnavailableError

PATIENCE_S = 60.0
"""How long another process is waited for."""

_PAUSE_S = 0.01
_LONG_S = 0.5
"""Whoever had a lock for longer leaves it to others for a moment: they look only now and then."""


class FileLock:
    """The lock of one file; for one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Take the lock if nobody has it; whether it is ours now."""
        if self._file is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._file = file
        return True

    def holds(self) -> bool:
        """Whether it was taken: nothing takes it from a process that lives."""
        return self._file is not None

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextmanager
def lock_if_free(path: Path) -> Generator[bool]:
    """Hold the lock of a file in the block; False where another has it."""
    lock = FileLock(path)
    try:
        yield lock.take()
    finally:
        lock.release()


@contextmanager
def lock_in_turn(path: Path, patience_s: float = PATIENCE_S) -> Generator[None]:
    """Hold the lock of a file in the block, once another has given it back.

    Raises:
        StoreUnavailableError: another holds on for longer than `patience_s`; nothing was done.
    """
    lock = FileLock(path)
    deadline = time.monotonic() + patience_s
    while not lock.take():
        if time.monotonic() >= deadline:
            raise StoreUnavailableError(f"another process has held {path} for {patience_s:g} s")
        time.sleep(_PAUSE_S)
    taken = time.monotonic()
    try:
        yield
    finally:
        lock.release()
    if time.monotonic() - taken > _LONG_S:
        time.sleep(2 * _PAUSE_S)
