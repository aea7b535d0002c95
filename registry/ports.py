"""What the registry room needs of the outside, said by the room itself."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

Key = tuple[Any, ...]
"""What names a row of a kind (registry.kinds.Kind.key; of a plan also its version)."""


class RegistryTransaction(Protocol):
    """Reading, deciding and writing that nobody else can come between."""

    def rows(self, kind: str) -> dict[Key, dict[str, Any]]:
        """Every row of a kind by its key."""
        ...

    def ids(self, kind: str) -> set[str]:
        """Every id of suppliers, zones, users or meters."""
        ...

    def put(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, replacing those of the same key."""
        ...

    def ask_again(self, arguments: Mapping[str, Any], asked_by: str, kind: str) -> None:
        """Ask analysis to compute days again: a job of this kind (water.jobs)."""
        ...

    def audit(self, actor: str, entries: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Keep who did what, now: (action, subject, detail)."""
        ...


class RegistryRows(Protocol):
    """The registry database as imports see it."""

    def transaction(self) -> AbstractContextManager[RegistryTransaction]:
        """Leaving the block commits, an exception undoes everything."""
        ...


class AccountRows(Protocol):
    """Rows of accounts and keys; each write keeps its audit entry in the same transaction."""

    def account(self, login: str) -> dict[str, Any] | None: ...
    def accounts(self) -> list[dict[str, Any]]: ...
    def add_account(self, row: Mapping[str, Any], audit: Mapping[str, Any]) -> bool:
        """False when the login is taken."""
        ...

    def change_account(
        self,
        login: str,
        changes: Mapping[str, Any],
        audit: Mapping[str, Any] | None,
        *,
        if_hash: str | None = None,
        end_sessions: bool = False,
    ) -> bool:
        """False when there is no such login, or its password hash is not `if_hash` any more."""
        ...

    def key_of_hash(self, key_hash: str) -> dict[str, Any] | None: ...
    def api_keys(self) -> list[dict[str, Any]]: ...
    def add_key(self, row: Mapping[str, Any], audit: Mapping[str, Any]) -> None: ...
    def revoke_key(self, key_id: str, audit: Mapping[str, Any]) -> bool:
        """Revoke at the audit entry's time; False when there is none that still stands."""
        ...


class EditTransaction(Protocol):
    """Reading, deciding and writing edits and meter changes that nobody can come between.

    Rows have the columns of the tables edit, conflict_decision, meter_change and meter_event.
    """

    def meter(self, meter_id: str) -> dict[str, Any] | None: ...
    def edit(self, edit_id: int) -> dict[str, Any] | None: ...
    def edits_at(self, meter_id: str, at: datetime) -> list[dict[str, Any]]:
        """Every edit of a meter's reading at an instant, by version."""
        ...

    def add_edit(self, row: Mapping[str, Any]) -> int: ...
    def change_edit(self, edit_id: int, values: Mapping[str, Any]) -> None: ...
    def recompute(self, meter_id: str, at: datetime, asked_by: str) -> None:
        """Ask for the figures around an edit."""
        ...

    def decision(
        self, meter_id: str, at: datetime, quantity: str, offered: float
    ) -> dict[str, Any] | None: ...
    def put_decision(self, row: Mapping[str, Any]) -> None: ...
    def changes_near(
        self, meter_id: str, at: datetime, within: timedelta
    ) -> list[dict[str, Any]]: ...
    def put(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of an import kind, replacing those of the same key."""
        ...

    def remove_change(self, change: Mapping[str, Any]) -> None:
        """Take a meter change out."""
        ...

    def event(self, event_id: int) -> dict[str, Any] | None: ...
    def events(
        self, supplier_id: str, meter_id: str | None, refusal: str
    ) -> list[dict[str, Any]]: ...
    def add_event(self, row: Mapping[str, Any]) -> None: ...
    def change_event(self, event_id: int, values: Mapping[str, Any]) -> None: ...
    def taken_to(self, journal: str) -> int:
        """The number of the journal's newest entry whose events were taken."""
        ...

    def set_taken_to(self, journal: str, entry: int) -> None: ...
    def audit(self, actor: str, entries: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Keep who did what, now: (action, subject, detail)."""
        ...


class EditRows(Protocol):
    """The registry database as edits see it."""

    def transaction(self) -> AbstractContextManager[EditTransaction]:
        """Leaving the block commits, an exception undoes everything."""
        ...
