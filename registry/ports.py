"""What the registry room needs of the outside, said by the room itself."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
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
