"""Letters on their way: each address by itself, tried again until it is reached."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from alerts.senders import Sender, open_senders, wait_after
from jieshui.watch.judging import Letter

log = structlog.get_logger()

_MOST = 1000
"""Letters that may wait; beyond it the oldest goes."""


@dataclass
class _Waiting:
    sender: Sender
    letter: Letter
    due: datetime
    attempts: int = 0


class Post:
    """Sends letters to every address.

    Raises:
        DeliveryError: an address is none.
    """

    def __init__(self, addresses: Sequence[str], metrics: CollectorRegistry) -> None:
        self._senders = open_senders("watch", addresses)
        self._waiting: deque[_Waiting] = deque(maxlen=_MOST)
        self._sent = Counter(
            "jieshui_watch_letters", "Letters sent, by outcome", ["outcome"], registry=metrics
        )
        waiting = Gauge("jieshui_watch_letters_waiting", "Letters not sent yet", registry=metrics)
        waiting.set_function(lambda: self.waiting)

    @property
    def waiting(self) -> int:
        """How many letters are not sent yet."""
        return len(self._waiting)

    def add(self, letter: Letter, now: datetime) -> None:
        """Take a letter for every address."""
        log.warning("watch_tells", title=letter.title, addresses=len(self._senders))
        self._waiting.extend(_Waiting(sender, letter, now) for sender in self._senders)

    def send(self, now: datetime) -> None:
        """Try what is due, in the order it came."""
        left = [each for each in self._waiting if each.due > now or not self._reach(each, now)]
        self._waiting = deque(left, maxlen=_MOST)

    def _reach(self, waiting: _Waiting, now: datetime) -> bool:
        """Whether it needs no further try."""
        letter = waiting.letter
        error = waiting.sender.send(letter.title, letter.body, letter.severity)
        self._sent.labels("failed" if error else "sent").inc()
        if error is None:
            return True
        waiting.attempts += 1
        wait = wait_after(waiting.attempts)
        log.warning("watch_could_not_tell", title=letter.title, error=error, again=bool(wait))
        if wait is None:
            return True
        waiting.due = now + wait
        return False
