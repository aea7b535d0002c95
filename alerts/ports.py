"""What alerts needs of the outside, said by alerts itself.

The values that the store gives back are Protocols, because a store can't know this room.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

Answer = TypeVar("Answer")


class StoredAlert(Protocol):
    """An alert as it stands in the database."""

    @property
    def id(self) -> int: ...
    @property
    def rule(self) -> str: ...
    @property
    def subject_kind(self) -> str: ...
    @property
    def subject_id(self) -> str: ...
    @property
    def period(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def opened_at(self) -> datetime: ...
    @property
    def seen_at(self) -> datetime: ...
    @property
    def evidence(self) -> Mapping[str, Any]: ...


class Subject(Protocol):
    """Who or what an alert is about, in the registry's words, and whose it is."""

    @property
    def name(self) -> str: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def supplier_id(self) -> str | None: ...


class AlertBook(Protocol):
    """The alerts within one transaction; nobody else changes those that were read meanwhile."""

    def open_alerts(self, rule: str) -> Sequence[StoredAlert]:
        """Every alert of a rule that is not resolved."""
        ...

    def alert(self, alert_id: int) -> StoredAlert | None: ...

    def subject(self, subject_kind: str, subject_id: str) -> Subject:
        """What the registry knows of a subject; its id as name where it knows nothing."""
        ...

    def add_alert(self, row: Mapping[str, Any]) -> int:
        """Open an alert (columns of the alert table); its id."""
        ...

    def change_alert(self, alert_id: int, changes: Mapping[str, Any]) -> None: ...

    def add_event(
        self,
        alert_id: int,
        at: datetime,
        *,
        from_state: str | None,
        to_state: str,
        actor: str,
        reason: str,
    ) -> None: ...

    def add_notice(self, alert_id: int, audience: str, title: str, body: str, at: datetime) -> bool:
        """Put a message in the outbox; False when this audience was already told this title."""
        ...


class AlertStore(Protocol):
    """Where alerts are kept; at most one open alert a rule, subject and period."""

    def transact(self, work: Callable[[AlertBook], Answer]) -> Answer:
        """Do `work` in one transaction, and anew when another process came between."""
        ...


class StoredNotice(Protocol):
    """A message in the outbox."""

    @property
    def id(self) -> int: ...
    @property
    def alert_id(self) -> int: ...
    @property
    def audience(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def attempts(self) -> int: ...


class Outbox(Protocol):
    """The messages that wait for delivery."""

    def due_notices(self, now: datetime, limit: int) -> Sequence[StoredNotice]:
        """Waiting messages whose next attempt is due, oldest first."""
        ...

    def notice_sent(self, notice_id: int, at: datetime) -> None: ...

    def notice_kept(self, notice_id: int) -> None:
        """Nobody is to be sent this one: it stays to be read."""
        ...

    def notice_failed(self, notice_id: int, error: str, next_attempt_at: datetime | None) -> None:
        """Count an attempt and when to try again; None = given up."""
        ...
