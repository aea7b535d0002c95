"""Mosquitto's password file: a line a login, `name:$7$iterations$salt$hash`.

The format of mosquitto_passwd of Mosquitto 2 (PBKDF2 with SHA-512). Written here, because the
program takes a password only from a terminal or its command line, where every user of the machine
can read it, and because the machine that gives out logins needs no Mosquitto.
"""

import hashlib
import os
import secrets
from base64 import b64encode
from pathlib import Path

from jieshui.mosquitto.files import write_whole

_ITERATIONS = 1_000
"""Few: our passwords are random, there is nothing to guess, and a reload hashes once a client."""
_SALT_BYTES = 12


def make_password() -> str:
    """A random password of 256 bits, without signs that a shell or a URL reads."""
    return secrets.token_urlsafe(32)


def load_logins(path: Path) -> dict[str, str]:
    """Login → what the file says of its password; none when there is no file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def set_password(path: Path, login: str, password: str) -> None:
    """Add a login, or give it another password."""
    _save(path, {**load_logins(path), login: _hash(password)})


def remove_login(path: Path, login: str) -> None:
    """Take a login out of the file."""
    logins = load_logins(path)
    logins.pop(login, None)
    _save(path, logins)


def _save(path: Path, logins: dict[str, str]) -> None:
    write_whole(path, "".join(f"{login}:{word}\n" for login, word in sorted(logins.items())))


def _hash(password: str) -> str:
    salt = os.urandom(_SALT_BYTES)
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${b64encode(salt).decode()}${b64encode(hashed).decode()}"
