"""Secrets that lie in files of their own, so that no configuration has to hold them."""

from pathlib import Path

from jieshui.errors import JieshuiError


def read_secret(path: Path) -> str:
    """The secret that a file holds.

    Raises:
        JieshuiError: it can't be read, or is empty.
    """
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise JieshuiError(f"the secret's file {path} can't be read: {error}") from None
    if not secret:
        raise JieshuiError(f"the file {path} is empty: it should hold a secret")
    return secret
