"""People's accounts and programs' keys: who may come in, and who let them."""

import hashlib
import re
import secrets
from typing import Any

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from registry.passwords import LONGEST, check_password_rules, make_one_time_password, normalise
from registry.ports import AccountRows
from registry.report import RegistryError
from water.clock import Clock
from water.viewer import Role, Viewer

log = structlog.get_logger()

ADMINISTRATOR = "admin"
"""Login of the first administrator."""

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}", re.ASCII)
_SCOPED = frozenset({Role.SUPPLIER, Role.USER})
_KEY_MARK = "jsk"

Row = dict[str, Any]


class Accounts:
    """Accounts and API keys (api.ports.Accounts); every change is audited.

    Passwords are kept as argon2id hashes and hashed again when the parameters have moved; of a key
    (256 random bits) only the SHA-256 is kept. `hasher` is for tests, which can't wait.
    """

    def __init__(
        self, store: AccountRows, clock: Clock, *, hasher: PasswordHasher | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._hasher = hasher or PasswordHasher()
        # Verified for a login that doesn't exist, so that the answer takes as long.
        self._nobody = self._hasher.hash(secrets.token_hex())

    # ------------------------------------------------------------ people

    def check_password(self, login: str, password: str) -> Row | None:
        """The account when login and password fit and it is not disabled, else None."""
        password = normalise(password)[: LONGEST + 1]
        row = self._store.account(_as_login(login))
        password_hash = row["password_hash"] if row else self._nobody
        fits = self._verify(password_hash, password)
        if row is None or not fits or row["disabled"]:
            return None
        if self._hasher.check_needs_rehash(password_hash):
            renewed = {"password_hash": self._hasher.hash(password)}
            self._store.change_account(row["login"], renewed, None, if_hash=password_hash)
        return _without_hash(row)

    def change_password(self, login: str, old: str, new: str) -> None:
        """Set a new password and end the account's other sessions.

        Raises:
            RegistryError: a sentence, when the old one is wrong or the new one breaks a rule.
        """
        login = _as_login(login)
        if self.check_password(login, old) is None:
            raise RegistryError("the old password is wrong")
        if normalise(old) == normalise(new):
            raise RegistryError("the new password is the old one")
        check_password_rules(normalise(new), login=login)
        changes = {"password_hash": self._hasher.hash(normalise(new)), "must_change": False}
        audit = self._audit(login, "account.password_changed", login)
        self._store.change_account(login, changes, audit, end_sessions=True)

    def end_sessions(self, login: str) -> None:
        """End every session of an account, as its log-out does; nothing if there is none."""
        login = _as_login(login)
        audit = self._audit(login, "account.sessions_ended", login)
        self._store.change_account(login, {}, audit, end_sessions=True)

    def account(self, login: str) -> Row | None:
        """The account of a login, without its hash."""
        row = self._store.account(_as_login(login))
        return _without_hash(row) if row else None

    def accounts(self) -> list[Row]:
        """Every account by login, without hashes."""
        return [_without_hash(row) for row in self._store.accounts()]

    def create_account(
        self, login: str, name: str, role: str, scope: str | None, actor: str
    ) -> str:
        """Make an account; a one-time password that must be changed at the first log-in.

        Raises:
            RegistryError: a sentence, when the login is taken or anything does not fit.
        """
        if not _LOGIN.fullmatch(login):
            raise RegistryError(
                f"{login!r} is no login: small letters, digits and . _ @ - are, at most 64"
            )
        password = self._add(login, _as_name(name), _as_role(role, scope), scope, actor)
        if password is None:
            raise RegistryError(f"there is an account {login} already")
        return password

    def reset_password(self, login: str, actor: str) -> str:
        """Replace a forgotten password by a one-time password, and end the sessions.

        Raises:
            RegistryError: when there is no such account.
        """
        login, password = _as_login(login), make_one_time_password()
        changes = {"password_hash": self._hasher.hash(password), "must_change": True}
        audit = self._audit(actor, "account.password_reset", login)
        if not self._store.change_account(login, changes, audit, end_sessions=True):
            raise RegistryError(f"there is no account {login}")
        return password

    def disable_account(self, login: str, actor: str) -> None:
        """Let nobody in with this login any more, and end its sessions.

        Raises:
            RegistryError: when there is no such account, or no administrator would be left.
        """
        login = _as_login(login)
        left = [row for row in self._administrators() if not row["disabled"]]
        if [row["login"] for row in left] == [login]:
            raise RegistryError(f"{login} is the last administrator")
        self._set_disabled(login, actor, disabled=True)

    def enable_account(self, login: str, actor: str) -> None:
        """Let a disabled account in again.

        Raises:
            RegistryError: when there is no such account.
        """
        self._set_disabled(_as_login(login), actor, disabled=False)

    def ensure_administrator(self) -> str | None:
        """Make the account `admin` when there is no administrator; its one-time password.

        None when there is one already: the password is told once.
        """
        if self._administrators():
            return None
        return self._add(ADMINISTRATOR, "管理员", Role.ADMINISTRATOR, None, "jieshui")

    # ------------------------------------------------------------ programs

    def viewer_of_key(self, key: str) -> Viewer | None:
        """The viewer of an API key that is not revoked, else None."""
        if not key.isascii() or not key.startswith(f"{_KEY_MARK}_"):
            return None
        row = self._store.key_of_hash(_hash_key(key))
        if row is None or row["revoked_at"] is not None:
            return None
        return Viewer(f"key {row['id']} {row['name']}", Role(row["role"]), row["scope"])

    def keys(self) -> list[Row]:
        """Every API key, newest first, without hashes."""
        return [
            {name: value for name, value in row.items() if name != "key_hash"}
            for row in self._store.api_keys()
        ]

    def create_key(self, name: str, role: str, scope: str | None, actor: str) -> tuple[str, str]:
        """Make an API key: (its id, the key itself, which is shown this once).

        Raises:
            RegistryError: a sentence, when role and scope don't fit.
        """
        key_id = secrets.token_hex(4)
        key = f"{_KEY_MARK}_{key_id}_{secrets.token_urlsafe(32)}"
        row = {
            "id": key_id,
            "key_hash": _hash_key(key),
            "name": _as_name(name),
            "role": _as_role(role, scope),
            "scope": scope,
            "created_at": self._clock.now(),
        }
        detail = {"name": name, "role": role, "scope": scope}
        self._store.add_key(row, self._audit(actor, "key.created", key_id, **detail))
        return key_id, key

    def revoke_key(self, key_id: str, actor: str) -> None:
        """Let nobody in with this key any more; nothing happens when it is revoked already.

        Raises:
            KeyError: when there is none of that id.
        """
        revoked = self._store.revoke_key(key_id, self._audit(actor, "key.revoked", key_id))
        if not revoked and all(row["id"] != key_id for row in self._store.api_keys()):
            raise KeyError(key_id)

    # ------------------------------------------------------------ inside

    def _add(self, login: str, name: str, role: str, scope: str | None, actor: str) -> str | None:
        password = make_one_time_password()
        row = {
            "login": login,
            "name": name,
            "role": role,
            "scope": scope,
            "password_hash": self._hasher.hash(password),
            "must_change": True,
            "disabled": False,
            "session_epoch": 0,
            "created_at": self._clock.now(),
        }
        detail = {"name": name, "role": role, "scope": scope}
        audit = self._audit(actor, "account.created", login, **detail)
        return password if self._store.add_account(row, audit) else None

    def _administrators(self) -> list[Row]:
        return [row for row in self._store.accounts() if row["role"] == Role.ADMINISTRATOR]

    def _set_disabled(self, login: str, actor: str, *, disabled: bool) -> None:
        audit = self._audit(actor, f"account.{'disabled' if disabled else 'enabled'}", login)
        changes = {"disabled": disabled}
        if not self._store.change_account(login, changes, audit, end_sessions=disabled):
            raise RegistryError(f"there is no account {login}")

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except VerificationError:
            return False
        except InvalidHashError:
            log.warning("a stored password hash can't be read")
            return False

    def _audit(self, actor: str, action: str, subject: str, **detail: object) -> Row:
        return {
            "at": self._clock.now(),
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": detail,
        }


def _as_login(login: str) -> str:
    return login.strip().lower()


def _as_name(name: str) -> str:
    if not name.strip() or len(name) > 200:
        raise RegistryError("a name of 1 to 200 characters is wanted")
    return name.strip()


def _as_role(role: str, scope: str | None) -> str:
    if role not in set(Role):
        raise RegistryError(f"{role!r} is no role; there are {', '.join(Role)}")
    if role in _SCOPED and not scope:
        raise RegistryError(f"the role {role} needs a scope: the id of the {role}")
    if role not in _SCOPED and scope:
        raise RegistryError(f"the role {role} has no scope")
    return role


def _hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _without_hash(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "password_hash"}
