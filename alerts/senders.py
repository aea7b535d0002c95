"""The addresses at which people are told: 企业微信, 钉钉, 飞书, mail or a webhook, by apprise."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import cast

import apprise

_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_ATTEMPTS = 50

_TYPES = {
    "notice": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "formal": apprise.NotifyType.WARNING,
    "red": apprise.NotifyType.FAILURE,
}


class DeliveryError(ValueError):
    """An address can't be used; the message names the audience, never the URL."""


class Sender:
    """One address, so that each is tried again by itself."""

    def __init__(self, address: apprise.Apprise) -> None:
        self._address = address

    def send(self, title: str, body: str, severity: str) -> str | None:
        """Send; what apprise logged when it could not, or None."""
        capture = apprise.LogCapture(level=apprise.logging.WARNING, fmt="%(message)s")
        with cast("AbstractContextManager[io.StringIO]", capture) as said:
            sent = bool(
                self._address.notify(  # pyright: ignore[reportUnknownMemberType] (a bare dict)
                    title=title,
                    body=body,
                    body_format=apprise.NotifyFormat.TEXT,
                    notify_type=_TYPES[severity],
                )
            )
            words = said.getvalue().strip()
        return None if sent else words or "refused without a reason"


def open_senders(audience: str, urls: Sequence[str]) -> list[Sender]:
    """One sender an apprise URL, in their order.

    Raises:
        DeliveryError: one is no apprise URL.
    """
    senders: list[Sender] = []
    for place, url in enumerate(urls, start=1):
        address = apprise.Apprise()
        added = address.add(url)  # pyright: ignore[reportUnknownMemberType] (apprise's bare dict)
        if not added:
            raise DeliveryError(f"audience {audience}: address {place} is no apprise URL")
        senders.append(Sender(address))
    return senders


def wait_after(attempts: int) -> timedelta | None:
    """How long to wait after so many failed attempts: 30 s, doubled up to 1 h; None = give up."""
    if attempts >= _ATTEMPTS:
        return None
    return min(_FIRST_WAIT * 2 ** min(attempts - 1, 16), _LONGEST_WAIT)
