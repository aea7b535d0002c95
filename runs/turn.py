"""Whose turn it is to analyse: one process at a time, the others stand by."""

import time

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
    """Felt before every write: the turn is still ours, and the loop still moves."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._felt = time.monotonic()

    def __call__(self) -> None:
        """Go on only while it is our turn.

        Raises:
            LostTurnError: it isn't any more; nothing may be written.
        """
        if not self._turn.holds():
            raise LostTurnError("the turn to analyse is lost: the connection that held it broke")
        self.beat()

    def beat(self) -> None:
        """The loop moves."""
        self._felt = time.monotonic()

    def age_s(self) -> float:
        """Machine seconds since the loop last moved."""
        return time.monotonic() - self._felt
