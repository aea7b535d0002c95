"""Receiving goes first while a backlog comes in, then loading, then telling suppliers of it.

Threads of one process take turns at the interpreter, and a thread that computes gives it up only
every few milliseconds: beside a busy loader every system call of the receiver would wait so long.
So turns are made shorter, and whoever has done a piece of work lets those before it have several
times as long, as long as they are busy. Nothing starves: between two pauses a whole piece of work
is done.
"""

import sys
import threading
import time
from collections.abc import Callable

_MANY = 200
"""Messages in one group, or waiting, that are no longer the trickle of live meters."""
_SHARE = 9
"""How many times as long as the others the receiver has while it is busy."""
_LONGEST_S = 2.0
_LOOK_S = 0.005
"""Seconds between looks at what waits for another loader."""
_TURN_S = 0.0005
"""How long a thread may compute before another has its turn (the interpreter's own: 5 ms)."""


def shorten_turns() -> None:
    """Let the receiver have the interpreter sooner; for the whole process."""
    sys.setswitchinterval(_TURN_S)


class Precedence:
    """Who is in a hurry; the receiver says so, the other threads heed it."""

    def __init__(self) -> None:
        self._calm, self._calm_apart = threading.Event(), threading.Event()
        self._loaded = threading.Event()
        self.note_silence()
        self.note_waiting(0)

    def note_group(self, messages: int, apart: int = 0) -> None:
        """The receiver has made so many messages durable at once, and so many that wait apart.

        To these only the work for those who wait apart gives way: the others don't pay for it.
        """
        _note(self._calm, messages)
        _note(self._calm_apart, messages + apart)

    def note_silence(self) -> None:
        """The receiver has nothing to do."""
        self.note_group(0)

    def note_waiting(self, messages: int) -> None:
        """The loader has so many messages before it."""
        _note(self._loaded, messages)

    def let_load(self, worked_s: float) -> None:
        """After so many seconds of work that can wait: pause while a backlog is loaded."""
        self._loaded.wait(min(worked_s * _SHARE, _LONGEST_S))

    def is_calm(self) -> bool:
        """Whether the receiver is not busy: who works may go on without a pause."""
        return self._calm.is_set()

    def give_way(self, worked_s: float, *, apart: bool = False) -> None:
        """After so many seconds of work, maybe for who waits apart: pause while it is busy."""
        calm = self._calm_apart if apart else self._calm
        calm.wait(min(worked_s * _SHARE, _LONGEST_S))


def _note(calm: threading.Event, messages: int) -> None:
    if messages >= _MANY:
        calm.clear()
    elif not calm.is_set():
        calm.set()


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

    def is_calm(self) -> bool:
        """Whether neither the receiver is busy nor the other loader."""
        return self._first.is_calm() and not self._others()

    def give_way(self, worked_s: float, *, apart: bool = True) -> None:
        """After so many seconds of work: pause while the receiver or the other loader is busy."""
        self._first.give_way(worked_s, apart=apart)
        until = time.monotonic() + min(worked_s * _SHARE, _LONGEST_S)
        while self._others() and time.monotonic() < until:
            time.sleep(_LOOK_S)
