"""The name under which a message is receipted."""

from hashlib import blake2b

from ingest.journal import OVERSIZE

_DIGEST_BYTES = 8
_SAMPLE_BYTES = 1024


def receipt_id(payload: bytes, flags: int = 0) -> str:
    """BLAKE2b-64 of a payload in hex; one that was cut carries it in front."""
    cut = flags & OVERSIZE
    return (payload[:_DIGEST_BYTES] if cut else _digest(payload)).hex()


def cut_oversize(payload: bytes) -> bytes:
    """What is kept of a payload that is too long: its digest, then its beginning."""
    return _digest(payload) + payload[:_SAMPLE_BYTES]


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=_DIGEST_BYTES).digest()
