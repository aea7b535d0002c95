"""Letters on their way: each address by itself, tried again until it is reached."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from alerts.senders import open_senders, wait_after
from jieshui.watch.judging import Letter
from jieshui.watch.keeping import Waiting

log = structlog.get_logger()

_MOST = 1000
"""Letters that may wait; beyond it the oldest goes."""


class Post:
    """Sends letters to every address; `waiting` are those of before a restart.

    Raises:
        DeliveryError: an address is none.
    """

    def __init__(
        self, addresses: Sequence[str], metrics: CollectorRegistry, waiting: Iterable[Waiting] = ()
    ) -> None:
        self._senders = open_senders("watch", addresses)
        known = (each for each in waiting if 0 <= each.place < len(self._senders))
        self._waiting = deque(known, maxlen=_MOST)
        self._sent = Counter(
            "jieshui_watch_letters", "Letters sent, by outcome", ["outcome"], registry=metrics
        )
        gauge = Gauge("jieshui_watch_letters_waiting", "Letters not sent yet", registry=metrics)
        gauge.set_function(lambda: len(self._waiting))

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """The letters that are not sent yet."""
        return tuple(self._waiting)

    def add(self, letter: Letter, now: datetime) -> None:
        """Take a letter for every address."""
        log.warning("watch_tells", title=letter.title, addresses=len(self._senders))
        self._waiting.extend(Waiting(place, letter, now) for place in range(len(self._senders)))

    def send(self, now: datetime) -> None:
        """Try what is due, in the order it came."""
        left = [each if each.due > now else self._try(each, now) for each in self._waiting]
        self._waiting = deque((each for each in left if each), maxlen=_MOST)

    def _try(self, waiting: Waiting, now: datetime) -> Waiting | None:
        """What is still to be done for it; None = nothing."""
        letter = waiting.letter
        error = self._senders[waiting.place].send(letter.title, letter.body, letter.severity)
        self._sent.labels("failed" if error else "sent").inc()
        if error is None:
            return None
        attempts = waiting.attempts + 1
        wait = wait_after(attempts)
        log.warning("watch_could_not_tell", title=letter.title, error=error, again=bool(wait))
        if wait is None:
            return None
        return replace(waiting, due=now + wait, attempts=attempts)
