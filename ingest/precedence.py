"""Receiving goes first while a backlog comes in.

Threads of one process take turns at the interpreter, and a thread that computes gives it up only
every few milliseconds: beside a busy loader every system call of the receiver would wait so long.
So turns are made shorter, and whoever has done a piece of work lets the receiver have several times
as long, as long as it is busy. Nothing starves: between two pauses a whole piece of work is done.
"""

import sys
import threading
import time
from collections.abc import Callable

_MANY = 200
"""Messages in one group that are no longer the trickle of live meters."""
_SHARE = 9
"""How many times as long as the others the receiver has while it is busy."""
_LONGEST_S = 2.0
_TURN_S = 0.0005
"""How long a thread may compute before another has its turn (the interpreter's own: 5 ms)."""


def shorten_turns() -> None:
    """Let the receiver have the interpreter sooner; for the whole process."""
    sys.setswitchinterval(_TURN_S)


_LOOK_S = 0.005


class Precedence:
    """Who is in a hurry; the receiver says so, the other threads heed it."""

    def __init__(self) -> None:
        self._calm = threading.Event()
        self._calm.set()

    def note_group(self, messages: int) -> None:
        """The receiver has made so many messages durable at once."""
        if messages >= _MANY:
            self._calm.clear()
        else:
            self.note_silence()

    def note_silence(self) -> None:
        """The receiver has nothing to do."""
        if not self._calm.is_set():
            self._calm.set()

    def give_way(self, worked_s: float) -> None:
        """After so many seconds of work: pause while the receiver is busy."""
        self._calm.wait(min(worked_s * _SHARE, _LONGEST_S))


class Behind(Precedence):
    """For a loader that comes after another: it gives way to the receiver, then to that loader.

    Args:
        first: what the receiver says.
        others: whether something waits for the other loader.
    """

    def __init__(self, first: Precedence, others: Callable[[], bool]) -> None:
        super().__init__()
        self._first = first
        self._others = others

    def give_way(self, worked_s: float) -> None:
        """After so many seconds of work: pause while the receiver or the other loader is busy."""
        self._first.give_way(worked_s)
        until = time.monotonic() + min(worked_s * _SHARE, _LONGEST_S)
        while self._others() and time.monotonic() < until:
            time.sleep(_LOOK_S)
