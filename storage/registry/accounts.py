"""Rows of accounts and API keys; the rules live in registry.accounts.

Each write carries its audit entry (at, actor, action, subject, detail), kept in the same
transaction.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, Select, insert, select, update
from sqlalchemy.exc import IntegrityError

from storage.registry.engine import for_reading
from storage.registry.models import AccountRow, ApiKeyRow, AuditRow, table_of

_ACCOUNT, _KEY, _AUDIT = table_of(AccountRow), table_of(ApiKeyRow), table_of(AuditRow)


class AccountStore:
    """Accounts and keys by their ids (registry.ports.AccountRows)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = for_reading(engine)

    def account(self, login: str) -> dict[str, Any] | None:
        """The account of a login, with its password hash."""
        return self._first(select(_ACCOUNT).where(_ACCOUNT.c.login == login))

    def accounts(self) -> list[dict[str, Any]]:
        """Every account, by login."""
        return self._all(select(_ACCOUNT).order_by(_ACCOUNT.c.login))

    def add_account(self, row: Mapping[str, Any], audit: Mapping[str, Any]) -> bool:
        """Keep a new account; False when its login is taken."""
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(_ACCOUNT), [dict(row)])
                connection.execute(insert(_AUDIT), [dict(audit)])
        except IntegrityError:
            return False
        return True

    def change_account(
        self,
        login: str,
        changes: Mapping[str, Any],
        audit: Mapping[str, Any] | None,
        *,
        if_hash: str | None = None,
        end_sessions: bool = False,
    ) -> bool:
        """Change fields of an account; False when there is none of that login.

        `if_hash` also refuses when the password hash has changed meanwhile; `end_sessions` moves
        the session epoch. An unaudited change (a rehash) passes None.
        """
        values = dict(changes)
        if end_sessions:
            values["session_epoch"] = _ACCOUNT.c.session_epoch + 1
        statement = update(_ACCOUNT).where(_ACCOUNT.c.login == login).values(values)
        if if_hash is not None:
            statement = statement.where(_ACCOUNT.c.password_hash == if_hash)
        with self._engine.begin() as connection:
            changed = connection.execute(statement).rowcount == 1
            if changed and audit is not None:
                connection.execute(insert(_AUDIT), [dict(audit)])
        return changed

    def key_of_hash(self, key_hash: str) -> dict[str, Any] | None:
        """The API key of a SHA-256, in hexadecimal."""
        return self._first(select(_KEY).where(_KEY.c.key_hash == key_hash))

    def api_keys(self) -> list[dict[str, Any]]:
        """Every API key, newest first."""
        return self._all(select(_KEY).order_by(_KEY.c.created_at.desc(), _KEY.c.id))

    def add_key(self, row: Mapping[str, Any], audit: Mapping[str, Any]) -> None:
        """Keep a new API key."""
        with self._engine.begin() as connection:
            connection.execute(insert(_KEY), [dict(row)])
            connection.execute(insert(_AUDIT), [dict(audit)])

    def revoke_key(self, key_id: str, audit: Mapping[str, Any]) -> bool:
        """Revoke a key at the audit entry's time; False when there is none that still stands."""
        standing = (_KEY.c.id == key_id) & _KEY.c.revoked_at.is_(None)
        with self._engine.begin() as connection:
            statement = update(_KEY).where(standing).values(revoked_at=audit["at"])
            revoked = connection.execute(statement).rowcount == 1
            if revoked:
                connection.execute(insert(_AUDIT), [dict(audit)])
        return revoked

    def _first(self, query: Select[*tuple[Any, ...]]) -> dict[str, Any] | None:
        with self._reading.connect() as connection:
            row = connection.execute(query).mappings().first()
            return dict(row) if row else None

    def _all(self, query: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
        with self._reading.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
