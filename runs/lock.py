"""One analysis process at a time on one machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunningError(RuntimeError):
    """Another process analyses; the message names the lock file."""


@contextmanager
def only_one(path: Path | None) -> Iterator[None]:
    """Hold the lock of a file; the system frees it when the process ends, however it ends.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(f"another process analyses: it holds {path}") from None
        yield
    finally:
        os.close(held)
