"""Whether the machine's clock was set while we ran: arrivals are dated by it."""

import time
from collections.abc import Callable

_LEAST_S = 30.0
"""What is smaller is drift being mended."""


class ClockWatch:
    """Compares the time of day with a clock that nobody can set; used by one thread."""

    def __init__(
        self,
        time_of_day: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._time_of_day = time_of_day
        self._steady = steady
        self._offset = self._read()

    def _read(self) -> float:
        return self._time_of_day() - self._steady()

    def look(self) -> float:
        """Seconds by which the clock was set since the last look, < 0 = back; 0 = it was not.

        A machine that slept shows as set ahead, by as long as it slept.
        """
        before, self._offset = self._offset, self._read()
        jump = self._offset - before
        return jump if abs(jump) >= _LEAST_S else 0.0
