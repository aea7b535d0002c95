"""The name under which a message is receipted."""

from hashlib import blake2b

from ingest.journal import OVERSIZE

_DIGEST_BYTES = 8
_SAMPLE_BYTES = 1024
_begin = blake2b(digest_size=_DIGEST_BYTES).copy
"""A digest of nothing yet: a copy costs two thirds of a new one."""


def receipt_id(payload: bytes, flags: int = 0) -> str:
    """BLAKE2b-64 of a payload in hex; one that was cut carries it in front."""
    if flags & OVERSIZE:
        return payload[:_DIGEST_BYTES].hex()
    digest = _begin()
    digest.update(payload)
    return digest.hexdigest()


def cut_oversize(payload: bytes) -> bytes:
    """What is kept of a payload that is too long: its digest, then its beginning."""
    return bytes.fromhex(receipt_id(payload)) + payload[:_SAMPLE_BYTES]
