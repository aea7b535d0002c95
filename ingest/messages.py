"""What one journalled message holds: readings, or why it holds none. Pure; never raises."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from ingest.agreements import NO_AGREEMENTS, Agreements
from ingest.decoders import CONFIGURED, DIALECTS, Decoded, Unreadable
from ingest.journal import OVERSIZE, RETAINED, Entry
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
    decode = DIALECTS.get(dialect) or agreements.decoders.get((supplier, dialect))
    if decode is None:
        detail = "not configured for this supplier" if dialect in CONFIGURED else ""
        return Contents(dialect, [], Undecodable.UNKNOWN_DIALECT, detail)
    try:
        readings = decode(rest, payload, received_ms // 1000)
    except Unreadable as unreadable:
        return Contents(dialect, [], unreadable.reason, unreadable.detail)
    except Exception as error:  # noqa: BLE001 (whatever a sender makes a decoder do, the rest goes on)
        return Contents(dialect, [], Undecodable.MALFORMED, type(error).__name__)
    if not isinstance(readings, list):  # (asking an enumeration costs ten times as much)
        return Contents(dialect, [], readings)
    return make_tuple(Contents, (dialect, readings, None, ""))


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
