"""Locks between processes, given back by the kernel when their holder dies."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_lock(file: Path, *, wait: bool) -> Generator[bool]:
    """Hold the lock of this name in the block; False when another has it (never with `wait`)."""
    with file.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
