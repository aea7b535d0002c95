"""Rounds of looking, judging and telling until told to stop."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from threading import Event
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from jieshui.watch.judging import Look, Standing, judge
from jieshui.watch.keeping import Kept, Memory
from jieshui.watch.telling import Post
from water.clock import Clock

_SLOW_S = 300.0
"""Looks and letters of one round may take so long; then the watch itself counts as hung."""


class Watch:
    """Looks at everything in rounds; what it finds is told to `addresses`, kept in `memory`.

    Raises:
        DeliveryError: an address is none.
    """

    def __init__(
        self,
        look: Callable[[datetime], Iterable[Look]],
        addresses: Sequence[str],
        memory: Memory,
        *,
        clock: Clock,
        zone: tzinfo,
        pause_s: float,
        patience_s: float,
        metrics: CollectorRegistry,
    ) -> None:
        self._look = look
        self._memory = memory
        self._clock = clock
        self._zone = zone
        self._pause_s = pause_s
        self._patience = timedelta(seconds=patience_s)
        kept = memory.load()
        self._standings = kept.standings
        self._post = Post(addresses, metrics, kept.letters)
        self._troubles: dict[str, str] = {}
        self._round_at = time.monotonic()
        self._good = Gauge(
            "jieshui_watch_good", "1 while all is well with it", ["subject"], registry=metrics
        )

    def run(self, stop: Event) -> None:
        """Go round until `stop` is set."""
        while not stop.is_set():
            self.go_round()
            stop.wait(self._pause_s)

    def go_round(self) -> None:
        """Look at everything once, and tell what is to be told."""
        now = self._clock.now()
        looks = list(self._look(now))
        before, self._standings = self._standings, {}
        for look in looks:
            self._judge(before.get(look.subject), look, now)
        self._troubles = {each.subject: each.trouble.en for each in looks if each.trouble}
        self._post.send(now)
        self._memory.save(Kept(self._standings, self._post.waiting))
        self._round_at = time.monotonic()

    def health(self) -> dict[str, Any]:
        """What is wrong now; `ready` says that the watch goes its rounds."""
        age_s = time.monotonic() - self._round_at
        return {
            "ready": age_s < self._pause_s + _SLOW_S,
            "since_last_round_s": round(age_s, 1),
            "troubles": self._troubles,
            "letters_waiting": len(self._post.waiting),
        }

    def _judge(self, before: Standing | None, look: Look, now: datetime) -> None:
        standing, letter = judge(before, look, now, self._patience, self._zone)
        if standing is not None:
            self._standings[look.subject] = standing
        if letter is not None:
            self._post.add(letter, now)
        self._good.labels(look.subject).set(look.trouble is None)
