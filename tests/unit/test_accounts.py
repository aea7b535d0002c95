"""Accounts, passwords and API keys, over a real registry database."""

import hashlib
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from registry.accounts import Accounts
from registry.report import RegistryError
from storage.registry.accounts import AccountStore
from storage.registry.engine import migrate, open_registry
from water.viewer import Role, Viewer

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
GOOD = "twelve drops of water"


class _Clock:
    def now(self) -> datetime:
        return datetime(2026, 9, 15, tzinfo=UTC)


class _CountingHasher(PasswordHasher):
    """The real hasher, which also counts how often it had to do the work."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash, password):  # noqa: A002 (argon2's name)
        self.verified += 1
        return super().verify(hash, password)


@pytest.fixture
def engine(tmp_path):
    engine = open_registry(f"sqlite:///{tmp_path}/registry.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def accounts(engine) -> Accounts:
    return Accounts(AccountStore(engine), _Clock(), hasher=QUICK)


@pytest.fixture
def amy(accounts) -> str:
    """A bureau account whose password is GOOD."""
    once = accounts.create_account("amy", "Amy", "bureau", None, "admin")
    accounts.change_password("amy", once, GOOD)
    return "amy"


def _audit(engine) -> list[tuple]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT actor, action, subject FROM audit ORDER BY id"))
        return [tuple(row) for row in rows]


def test_the_first_start_makes_an_administrator_and_tells_the_password_once(accounts, engine):
    password = accounts.ensure_administrator()
    assert accounts.ensure_administrator() is None
    row = accounts.check_password("admin", password)
    assert (row["role"], row["must_change"]) == ("administrator", True)
    assert _audit(engine) == [("jieshui", "account.created", "admin")]


def test_an_administrator_of_another_name_is_enough(accounts):
    accounts.create_account("boss", "Boss", "administrator", None, "amy")
    assert accounts.ensure_administrator() is None


def test_only_the_right_password_of_an_enabled_account_lets_in(accounts, amy):
    assert accounts.check_password(amy, GOOD)["login"] == "amy"
    assert accounts.check_password(" AMY ", GOOD)["login"] == "amy"
    assert accounts.check_password(amy, GOOD + "!") is None
    assert accounts.check_password(amy, "") is None
    assert accounts.check_password("nobody", GOOD) is None
    accounts.disable_account(amy, "admin")
    assert accounts.check_password(amy, GOOD) is None
    accounts.enable_account(amy, "admin")
    assert accounts.check_password(amy, GOOD)


@pytest.mark.parametrize("login", ["amy", "nobody", "off"])
def test_every_log_in_costs_one_verification_whoever_asks(engine, amy, login):
    hasher = _CountingHasher()
    accounts = Accounts(AccountStore(engine), _Clock(), hasher=hasher)
    accounts.create_account("off", "Off", "bureau", None, "admin")
    accounts.disable_account("off", "admin")
    hasher.verified = 0
    accounts.check_password(login, "wrong password, always")
    assert hasher.verified == 1


def test_a_password_is_the_same_however_it_was_typed(accounts, amy):
    accounts.change_password(amy, GOOD, "Ｔｗｅｌｖｅ drops é")
    assert accounts.check_password(amy, "Twelve drops é")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("wrong password", "a quite new password", "old password is wrong"),
        (GOOD, "elevenchars", "at least 12"),
        (GOOD, GOOD, "is the old one"),
        (GOOD, "aaaaaaaaaaaaaaa", "different characters"),
        (GOOD, "ab" * 600, "at most 1024"),
    ],
)
def test_a_new_password_is_refused_in_a_sentence(accounts, amy, old, new, said):
    with pytest.raises(ValueError, match=said):
        accounts.change_password(amy, old, new)
    assert accounts.check_password(amy, GOOD)


def test_a_password_can_not_be_the_login(accounts):
    login = "amy@water.example"
    once = accounts.create_account(login, "Amy", "bureau", None, "admin")
    with pytest.raises(RegistryError, match="can't be the login"):
        accounts.change_password(login, once, login.upper())


def test_a_change_of_password_ends_the_sessions_and_the_duty_to_change(accounts):
    once = accounts.create_account("amy", "Amy", "bureau", None, "admin")
    before = accounts.account("amy")
    accounts.change_password("amy", once, GOOD)
    after = accounts.account("amy")
    assert before["must_change"]
    assert not after["must_change"]
    assert after["session_epoch"] == before["session_epoch"] + 1
    assert accounts.check_password("amy", once) is None


def test_a_reset_gives_a_new_one_time_password_and_ends_the_sessions(accounts, amy):
    epoch = accounts.account(amy)["session_epoch"]
    once = accounts.reset_password(amy, "admin")
    assert accounts.check_password(amy, GOOD) is None
    row = accounts.check_password(amy, once)
    assert row["must_change"]
    assert row["session_epoch"] == epoch + 1


def test_a_hash_of_older_parameters_is_renewed_at_log_in_and_keeps_the_sessions(engine, amy):
    store = AccountStore(engine)
    before = store.account(amy)
    stronger = Accounts(
        store, _Clock(), hasher=PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    )
    assert stronger.check_password(amy, GOOD)
    after = store.account(amy)
    assert "t=2" in after["password_hash"]
    assert after["session_epoch"] == before["session_epoch"]
    assert stronger.check_password(amy, GOOD)


def test_the_last_administrator_can_not_be_disabled(accounts):
    accounts.ensure_administrator()
    with pytest.raises(RegistryError, match="last administrator"):
        accounts.disable_account("admin", "admin")
    accounts.create_account("boss", "Boss", "administrator", None, "admin")
    accounts.disable_account("admin", "boss")
    assert accounts.account("admin")["disabled"]


@pytest.mark.parametrize(
    ("login", "role", "scope", "said"),
    [
        ("Amy Lee", "bureau", None, "no login"),
        ("amy", "emperor", None, "no role"),
        ("amy", "supplier", None, "needs a scope"),
        ("amy", "bureau", "s1", "has no scope"),
    ],
)
def test_an_account_that_does_not_fit_is_refused(accounts, engine, login, role, scope, said):
    with pytest.raises(RegistryError, match=said):
        accounts.create_account(login, "Amy", role, scope, "admin")
    assert accounts.accounts() == []
    assert _audit(engine) == []


def test_a_login_is_given_once(accounts, amy, engine):
    trail = _audit(engine)
    with pytest.raises(RegistryError, match="already"):
        accounts.create_account(amy, "Other", "bureau", None, "admin")
    assert _audit(engine) == trail
    with pytest.raises(RegistryError, match="no account"):
        accounts.reset_password("nobody", "admin")


def test_a_key_lets_in_until_it_is_revoked(accounts, engine):
    key_id, key = accounts.create_key("gateway", "supplier", "s1", "admin")
    assert accounts.viewer_of_key(key) == Viewer(f"key {key_id} gateway", Role.SUPPLIER, "s1")
    for wrong in ("", "jsk_", key[:-1], key + "x", key.replace("jsk", "JSK"), "jsk_é"):
        assert accounts.viewer_of_key(wrong) is None
    accounts.revoke_key(key_id, "admin")
    accounts.revoke_key(key_id, "admin")
    assert accounts.viewer_of_key(key) is None
    assert [action for _, action, _ in _audit(engine)] == ["key.created", "key.revoked"]
    with pytest.raises(KeyError):
        accounts.revoke_key("none", "admin")


def test_of_a_key_only_its_hash_is_kept_and_of_no_secret_anything_in_the_audit(accounts, engine):
    once = accounts.create_account("amy", "Amy", "user", "u1", "admin")
    _, key = accounts.create_key("gateway", "bureau", None, "admin")
    secret = key.rsplit("_", 1)[1] if key.count("_") == 2 else key.split("_", 2)[2]
    with engine.connect() as connection:
        kept = [
            str(row)
            for table in ("account", "api_key", "audit")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]
    assert any(hashlib.sha256(key.encode()).hexdigest() in row for row in kept)
    for row in kept:
        assert secret not in row
        assert once not in row


def test_no_list_shows_a_hash(accounts, amy):
    accounts.create_key("gateway", "bureau", None, "admin")
    shown = [*accounts.accounts(), *accounts.keys(), accounts.account(amy)]
    assert all(not {"password_hash", "key_hash"} & set(row) for row in shown)


def test_one_time_passwords_and_keys_never_repeat(accounts):
    keys = [accounts.create_key("k", "bureau", None, "admin")[1] for _ in range(5)]
    assert all(one != other for one, other in pairwise(keys))
    assert all(len(key.split("_", 2)[2]) >= 43 for key in keys)  # 256 bits in base64


def test_the_changes_of_an_account_are_audited(accounts, amy, engine):
    accounts.reset_password(amy, "admin")
    accounts.disable_account(amy, "admin")
    accounts.enable_account(amy, "boss")
    assert _audit(engine) == [
        ("admin", "account.created", "amy"),
        ("amy", "account.password_changed", "amy"),
        ("admin", "account.password_reset", "amy"),
        ("admin", "account.disabled", "amy"),
        ("boss", "account.enabled", "amy"),
    ]
