"""Delivery of the outbox through apprise: 企业微信, 钉钉, 飞书, mail or a webhook.

At least once: a process that dies between the sending and the writing down sends again.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import cast

import apprise
import structlog

from alerts.ports import Outbox, StoredNotice
from water.clock import Clock

_log = structlog.get_logger()

_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_ATTEMPTS = 50
_BATCH = 100

_TYPES = {
    "notice": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "formal": apprise.NotifyType.WARNING,
    "red": apprise.NotifyType.FAILURE,
}


class DeliveryError(ValueError):
    """An address can't be used; the message names the audience, never the URL."""


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
        self._audiences = {name: _senders(name, urls) for name, urls in audiences.items()}
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

    def _senders_of(self, audience: str) -> Sequence[apprise.Apprise]:
        desk = audience.split(":", maxsplit=1)[0]
        return self._audiences.get(audience, self._audiences.get(desk, ()))

    def _send(self, notice: StoredNotice, senders: Sequence[apprise.Apprise]) -> str | None:
        """Send to every address not reached yet; what went wrong, or None."""
        reached = self._reached.setdefault(notice.id, set())
        errors: list[str] = []
        for place, sender in enumerate(senders):
            if place in reached:
                continue
            error = _send(sender, notice)
            if error is None:
                reached.add(place)
            else:
                errors.append(error)
        return "; ".join(errors)[:500] or None


def _send(sender: apprise.Apprise, notice: StoredNotice) -> str | None:
    """What apprise logged when it could not send, or None."""
    capture = apprise.LogCapture(level=apprise.logging.WARNING, fmt="%(message)s")
    with cast("AbstractContextManager[io.StringIO]", capture) as said:
        sent = bool(
            sender.notify(  # pyright: ignore[reportUnknownMemberType] (apprise's bare dict)
                title=notice.title,
                body=notice.body,
                body_format=apprise.NotifyFormat.TEXT,
                notify_type=_TYPES[notice.severity],
            )
        )
        words = said.getvalue().strip()
    return None if sent else words or "refused without a reason"


def wait_after(attempts: int) -> timedelta | None:
    """How long to wait after so many failed attempts: 30 s, doubled up to 1 h; None = give up."""
    if attempts >= _ATTEMPTS:
        return None
    return min(_FIRST_WAIT * 2 ** min(attempts - 1, 16), _LONGEST_WAIT)


def _senders(audience: str, urls: Sequence[str]) -> list[apprise.Apprise]:
    """One sender an address, so that each is retried by itself."""
    senders: list[apprise.Apprise] = []
    for place, url in enumerate(urls, start=1):
        sender = apprise.Apprise()
        added = sender.add(url)  # pyright: ignore[reportUnknownMemberType] (apprise's bare dict)
        if not added:
            raise DeliveryError(f"audience {audience}: address {place} is no apprise URL")
        senders.append(sender)
    return senders
