"""Whose turn it is to analyse: one process at a time, the others stand by."""

import time
from collections.abc import Callable

from runs.ports import Turn


class LostTurnError(ConnectionError):
    """What held our turn is gone; by now another process may analyse."""


class Alone:
    """The turn of a process that shares its stores with no other (runs.ports.Turn)."""

    def take(self) -> bool:
        """Always."""
        return True

    def holds(self) -> bool:
        """Always."""
        return True

    def release(self) -> None:
        """Nothing is held."""


class Pulse:
    """Felt right before every write: the turn is still ours, and the loop still moves.

    A write that had begun when the turn was lost comes to its end all the same. The next process
    begins after the last mark, so it computes those days too; only if it is done with them first
    do the older figures stay, until one of these days is touched again.

    Args:
        turn: whose turn it is.
        lost: called where it turns out not to be ours.
    """

    def __init__(self, turn: Turn, lost: Callable[[], None]) -> None:
        self._turn = turn
        self._lost = lost
        self._felt = time.monotonic()

    def __call__(self) -> None:
        """Go on only while it is our turn.

        Raises:
            LostTurnError: it isn't any more; nothing may be written.
        """
        if not self.holds():
            raise LostTurnError("the turn to analyse is lost: the connection that held it broke")
        self.beat()

    def holds(self) -> bool:
        """Whether it is still our turn."""
        if self._turn.holds():
            return True
        self._lost()
        return False

    def beat(self) -> None:
        """The loop moves."""
        self._felt = time.monotonic()

    def age_s(self) -> float:
        """Machine seconds since the loop last moved."""
        return time.monotonic() - self._felt
