"""Rules of passwords, and one-time passwords."""

import secrets
import unicodedata

from registry.report import RegistryError

SHORTEST = 12
LONGEST = 1024
"""Characters; a longer one would only be work for the hash."""

_FEWEST_DISTINCT = 5
_EASY_TO_READ = "abcdefghjkmnpqrstuvwxyz23456789"


def normalise(password: str) -> str:
    """The same password however an input method typed it (Unicode NFKC)."""
    return unicodedata.normalize("NFKC", password)


def check_password_rules(password: str, *, login: str) -> None:
    """Refuse a password that is too short, too long, the login, or the same few characters.

    Raises:
        RegistryError: saying which rule.
    """
    if len(password) < SHORTEST:
        raise RegistryError(f"a password has at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise RegistryError(f"a password has at most {LONGEST} characters")
    if password.strip().casefold() == login.casefold():
        raise RegistryError("a password can't be the login")
    if len(set(password)) < _FEWEST_DISTINCT:
        raise RegistryError(f"a password has at least {_FEWEST_DISTINCT} different characters")


def make_one_time_password() -> str:
    """A random password of 99 bits, in groups that can be read out: xxxxx-xxxxx-xxxxx-xxxxx."""
    groups = ("".join(secrets.choice(_EASY_TO_READ) for _ in range(5)) for _ in range(4))
    return "-".join(groups)
