"""What one journalled message holds: readings, or why it holds none. Pure; never raises."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from ingest.agreements import NO_AGREEMENTS, Agreements
from ingest.decoders import CONFIGURED, DIALECTS, Decoded, Unreadable
from ingest.journal import OVERSIZE, RETAINED, Entry
from ingest.signatures import PREFIX, Signing, unwrap
from ingest.topics import NOBODY, Route
from water.refusals import SetAside, Undecodable
from water.tuples import make_tuple

_LAST_WILLS = frozenset({b"online", b"offline", b"connected", b"disconnected"})


class Contents(NamedTuple):
    """What a message of a dialect holds: `readings`, or the reason why it has none."""

    dialect: str
    readings: list[Decoded]
    reason: Undecodable | SetAside | None = None
    detail: str = ""


def read_message(
    entry: Entry,
    find_route: Callable[[str], Route | None],
    suppliers: Collection[str],
    agreements: Agreements = NO_AGREEMENTS,
) -> Contents:
    """Decode a message by its dialect, unless its envelope already says what it is."""
    _, _, _, _, _, supplier, topic, payload, received_ms, flags, _ = entry
    found = find_route(topic)
    if found is None:
        return Contents("", [], Undecodable.UNKNOWN_TOPIC)
    _, dialect, rest = found
    # Counted under nobody's name when it arrived: for the sums it stays so, whoever is known now.
    if supplier == NOBODY or supplier not in suppliers:
        return Contents(dialect, [], Undecodable.UNKNOWN_SUPPLIER)
    reason = _by_envelope(flags, payload)
    if reason is not None:
        return Contents(dialect, [], reason)
    signing = agreements.signatures.get(supplier)
    if signing is not None:
        signed = _unwrap(signing, topic, payload, received_ms)
        if not isinstance(signed, bytes):
            return Contents(dialect, [], *signed)
        payload = signed
    decode = agreements.form or agreements.decoders.get((supplier, dialect))
    decode = decode or DIALECTS.get(dialect)
    if decode is None:
        detail = "not configured for this supplier" if dialect in CONFIGURED else ""
        return Contents(dialect, [], Undecodable.UNKNOWN_DIALECT, detail)
    try:
        readings = decode(rest, payload, received_ms // 1000)
    except Unreadable as unreadable:
        return Contents(dialect, [], *_explain(unreadable, payload))
    except Exception as error:  # noqa: BLE001 (whatever a sender makes a decoder do, the rest goes on)
        return Contents(dialect, [], Undecodable.MALFORMED, type(error).__name__)
    if not isinstance(readings, list):  # (asking an enumeration costs ten times as much)
        return Contents(dialect, [], readings)
    return make_tuple(Contents, (dialect, readings, None, ""))


def _unwrap(
    signing: Signing, topic: str, payload: bytes, received_ms: int
) -> bytes | tuple[Undecodable | SetAside, str]:
    """What is signed, or why it is not read."""
    signed = unwrap(signing, topic, payload, received_ms)
    if isinstance(signed, bytes) and (reason := _by_envelope(0, signed)):
        return reason, ""
    return signed


def _explain(unreadable: Unreadable, payload: bytes) -> tuple[Undecodable, str]:
    """Why a payload is not read; a signature that nobody has looked at explains it better."""
    if payload.startswith(PREFIX):
        return Undecodable.BAD_SIGNATURE, "no key of the supplier is configured"
    return unreadable.reason, unreadable.detail


def _by_envelope(flags: int, payload: bytes) -> Undecodable | SetAside | None:
    if flags & RETAINED:
        return SetAside.RETAINED
    if flags & OVERSIZE:
        return Undecodable.TOO_LARGE
    if not payload or payload.isspace():
        return SetAside.EMPTY
    if len(payload) < 16 and payload.strip().strip(b'"').lower() in _LAST_WILLS:
        return SetAside.LAST_WILL
    return None
