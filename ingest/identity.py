"""The name under which a message is receipted."""

from functools import partial
from hashlib import blake2b

from ingest.journal import OVERSIZE

_DIGEST_BYTES = 8
_SAMPLE_BYTES = 1024
_hash = partial(blake2b, digest_size=_DIGEST_BYTES)


def receipt_id(payload: bytes, flags: int = 0) -> str:
    """BLAKE2b-64 of a payload in hex; one that was cut carries it in front."""
    return payload[:_DIGEST_BYTES].hex() if flags & OVERSIZE else _hash(payload).hexdigest()


def cut_oversize(payload: bytes) -> bytes:
    """What is kept of a payload that is too long: its digest, then its beginning."""
    return _hash(payload).digest() + payload[:_SAMPLE_BYTES]
