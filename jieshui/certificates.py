"""When certificates end."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509


class End(NamedTuple):
    """The end of one certificate."""

    path: Path
    subject: str
    not_after: datetime


def ends(paths: Iterable[Path]) -> list[End]:
    """The end of every certificate in PEM files, which may each hold a chain.

    Raises:
        OSError: a file can't be read.
        ValueError: a file holds no certificate.
    """
    return [
        End(path, certificate.subject.rfc4514_string(), certificate.not_valid_after_utc)
        for path in paths
        for certificate in x509.load_pem_x509_certificates(path.read_bytes())
    ]
