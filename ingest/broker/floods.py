"""Which suppliers flood, and so wait apart from the others."""

from collections.abc import Callable, Collection, Iterable

from ingest.topics import NOBODY

_RECENTLY_S = 600.0
"""Who has sent within so long is somebody who would wait behind a flood."""

Waiting = Callable[[str], int]
"""Supplier → its messages that are durable in a journal and not yet loaded from it."""


class Floods:
    """Whose messages wait apart; used by the receiving thread, `apart` may be read by any.

    Nobody's topics can flood like a supplier's. Yet nobody waits for them: they are no reason to
    put a supplier apart.

    Args:
        messages: so many may wait beside those of others; 0 = any number.

    Attributes:
        apart: those who wait apart.
    """

    def __init__(self, messages: int) -> None:
        self._messages = messages
        self._heard: dict[str, float] = {}
        self.apart: frozenset[str] = frozenset()

    def note(self, senders: Iterable[str], now: float) -> None:
        """These have sent, at a monotonic second."""
        self._heard.update(dict.fromkeys(senders, now))

    def may_flood(self, waiting: int) -> bool:
        """Whether so many waiting messages are a flood, or hold one, when they are of several."""
        return 0 < self._messages < waiting

    def find(self, senders: Collection[str], waiting: Waiting, now: float) -> set[str]:
        """Those of the senders who flood and hold up others."""
        found = set[str]()
        for sender in sorted(senders):
            floods = sender not in self.apart and self.may_flood(waiting(sender))
            if floods and self._holds_up_others(sender, found, now):
                found.add(sender)
        return found

    def put_apart(self, suppliers: Collection[str]) -> None:
        """Their messages wait apart from now on."""
        self.apart |= frozenset(suppliers)

    def find_over(self, waiting: Waiting, waiting_apart: Waiting) -> set[str]:
        """Those apart of whom nothing waits there any more, nor a flood among the others."""
        return {
            supplier
            for supplier in self.apart
            if not waiting_apart(supplier) and waiting(supplier) <= self._messages
        }

    def take_back(self, suppliers: Collection[str]) -> None:
        """Their messages wait among those of the others again."""
        self.apart -= frozenset(suppliers)

    def _holds_up_others(self, supplier: str, found: Collection[str], now: float) -> bool:
        no_others = self.apart.union(found, (supplier, NOBODY))
        return any(
            now - heard_at < _RECENTLY_S and other not in no_others
            for other, heard_at in self._heard.items()
        )
