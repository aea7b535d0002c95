"""Delivery of the outbox to the addresses of its audiences.

At least once: a process that dies between the sending and the writing down sends again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from alerts.ports import Outbox, StoredNotice
from alerts.senders import Sender, open_senders, wait_after
from water.clock import Clock

_log = structlog.get_logger()

_BATCH = 100


class Delivery:
    """Sends what waits in the outbox.

    `audiences` maps "bureau", "utility", one user ("user:U001") or one supplier ("supplier:S1")
    to apprise URLs. Plain "user" or "supplier" is a desk that is sent the notices of all those
    that are not named; one that is named, even without a URL, is its own. An audience without a
    URL is not sent to: the notice is kept.
    """

    def __init__(self, store: Outbox, audiences: Mapping[str, Sequence[str]], clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._audiences = {name: open_senders(name, urls) for name, urls in audiences.items()}
        self._reached: dict[int, set[int]] = {}
        """Which addresses a notice has reached while another of its addresses failed."""

    def deliver_due(self) -> int:
        """Try every notice that is due; how many were sent."""
        now = self._clock.now()
        return sum(self._deliver(notice, now) for notice in self._store.due_notices(now, _BATCH))

    def _deliver(self, notice: StoredNotice, now: datetime) -> bool:
        senders = self._senders_of(notice.audience)
        if not senders:
            self._store.notice_kept(notice.id)
            return False
        error = self._send(notice, senders)
        if error is None:
            self._store.notice_sent(notice.id, now)
            self._reached.pop(notice.id, None)
            _log.info("notice sent", notice=notice.id, audience=notice.audience)
            return True
        wait = wait_after(notice.attempts + 1)
        self._store.notice_failed(notice.id, error, now + wait if wait else None)
        _log.warning("notice not sent", notice=notice.id, audience=notice.audience, error=error)
        return False

    def _senders_of(self, audience: str) -> Sequence[Sender]:
        desk = audience.split(":", maxsplit=1)[0]
        return self._audiences.get(audience, self._audiences.get(desk, ()))

    def _send(self, notice: StoredNotice, senders: Sequence[Sender]) -> str | None:
        """Send to every address not reached yet; what went wrong, or None."""
        reached = self._reached.setdefault(notice.id, set())
        errors: list[str] = []
        for place, sender in enumerate(senders):
            if place in reached:
                continue
            error = sender.send(notice.title, notice.body, notice.severity)
            if error is None:
                reached.add(place)
            else:
                errors.append(error)
        return "; ".join(errors)[:500] or None
