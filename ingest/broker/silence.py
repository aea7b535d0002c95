"""Connected, and yet nothing arrives: when that is longer than usual. Pure; monotonic seconds in.

A broker may answer pings and deliver nothing: a subscription that it has lost, a right that was
taken away, a window of messages whose acknowledgements got lost. Whether suppliers are merely
quiet can't be known here; what is usual can be learned.
"""

from collections import deque
from statistics import median

_SLOTS, _FILLED = 15, 8
"""Messages come all the time when they came in so many of the slots that `patience_s` is cut into
before they ceased."""
_SPARSE = 5
"""Where they don't, silence may be so many times as long until what is usual is learned: meters
that report hourly are quiet for an hour."""
_TIMES = 3
"""Silence is told of after so many usual gaps."""
_WEEK_S = 7 * 86_400.0
_LEARNED = 3
"""Fewer long gaps within a week are outages, not a habit."""
_KEPT = 50
_ANSWER_S = 60.0
"""What kept messages have to come after a connection is made anew, before silence is told of."""


class Silence:
    """Judges the time since the last arrival.

    Twice the same: first a connection is to be made anew, which proves the way from us to the
    broker and has it send again what it holds; silence after that is told.

    Args:
        patience_s: silence shorter than this is never told of; 0 = none is.
        now: monotonic seconds.
        expecting: whether messages have come in an earlier life of the process.
    """

    def __init__(self, patience_s: float, now: float, *, expecting: bool) -> None:
        self._patience_s = patience_s
        self._since = self._arrived_at = now
        self._expecting = expecting
        self._slots = deque[int](maxlen=_SLOTS)
        self._long_gaps = deque[tuple[float, float]](maxlen=_KEPT)
        self._probed_at: float | None = None
        self.told = False

    def note_arrival(self, now: float) -> bool:
        """A message came (a retained one is no news); whether that ends a silence told of."""
        gap = now - self._arrived_at
        if self._expecting and gap >= self._patience_s / _TIMES:
            self._long_gaps.append((now, gap))
        slot = self._slot(now)
        if not self._slots or self._slots[-1] != slot:
            self._slots.append(slot)
        over, self.told = self.told, False
        self._since = self._arrived_at = now
        self._expecting, self._probed_at = True, None
        return over

    def note_connection(self, now: float) -> None:
        """Connected: while the broker was away nothing could come; a probe goes on as it was."""
        if self._probed_at is None:
            self._since = now

    def length_s(self, now: float) -> float:
        """Seconds since the last arrival, or since the start."""
        return now - self._arrived_at

    def limit_s(self, now: float) -> float:
        """The silence that is no longer usual: three times the median of this week's long gaps."""
        gaps = [gap for at, gap in self._long_gaps if now - at <= _WEEK_S]
        if len(gaps) >= _LEARNED:
            return max(self._patience_s, _TIMES * median(gaps))
        return self._patience_s if self._came_all_the_time() else _SPARSE * self._patience_s

    def _came_all_the_time(self) -> bool:
        first = self._slot(self._arrived_at) - _SLOTS
        return sum(slot > first for slot in self._slots) >= _FILLED

    def _slot(self, now: float) -> int:
        return int(now * _SLOTS / self._patience_s) if self._patience_s else 0

    def wants_probe(self, now: float) -> bool:
        """Whether to connect anew now; once a limit."""
        if not self._patience_s or not self._expecting:
            return False
        if now - (self._probed_at or self._since) < self.limit_s(now):
            return False
        self._probed_at = now
        return True

    def is_news(self, now: float) -> bool:
        """Whether the silence is to be told of now: a new connection did not end it."""
        if self.told or self._probed_at is None:
            return False
        if now - self._probed_at < min(_ANSWER_S, self._patience_s):
            return False
        self.told = True
        return True
