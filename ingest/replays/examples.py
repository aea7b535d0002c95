"""Messages as a replay shows them: a few that can't be decoded, or give other readings today."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ingest.batch import Rules
from ingest.journal import Entry
from water.texts import storable

_NEWEST = 3
"""Messages of a supplier and a reason that are shown."""
_KINDS = 20
"""Suppliers and reasons of which messages are shown."""
_PAYLOAD, _TOPIC, _DETAIL = 120, 200, 200
"""Signs that are shown of each."""

Row = dict[str, Any]


def describe_message(entry: Entry, counts_as: str, rules: Rules) -> Row:
    """A message as people look at it; it is decoded once more, for what fails in it."""
    return {
        "supplier": storable(entry.supplier),
        "topic": storable(entry.topic)[:_TOPIC],
        "received_at": datetime.fromtimestamp(entry.received_ms / 1000, UTC).isoformat(),
        "payload": write_payload(entry.payload),
        "counts_as": counts_as,
        "detail": storable(rules.read(entry).detail)[:_DETAIL],
    }


def write_payload(payload: bytes) -> str:
    r"""How a payload begins, in one line: what can't be printed is escaped as in \x00."""
    text = payload[: 4 * _PAYLOAD].decode("utf-8", "backslashreplace")[:_PAYLOAD]
    escaped = (sign if sign.isprintable() else sign.encode("unicode_escape").decode()
               for sign in text)  # fmt: skip
    return "".join(escaped)[:_PAYLOAD]


@dataclass(slots=True)
class Undecodable:
    """The newest few messages of each supplier and reason that can't be decoded today either."""

    _newest: dict[tuple[str, str], deque[Row]] = field(
        default_factory=dict[tuple[str, str], deque[Row]]
    )

    def take(self, messages: list[tuple[Entry, str]], rules: Rules) -> None:
        """Look at messages in the order of arrival, each with what it counts as today.

        Only those that stay in sight are decoded again.
        """
        newest: dict[tuple[str, str], list[Entry]] = {}
        for entry, label in reversed(messages):
            if label.startswith("undecodable/"):
                found = newest.setdefault((entry.supplier, label), [])
                if len(found) < _NEWEST:
                    found.append(entry)
        for kind, entries in newest.items():
            if kind in self._newest or len(self._newest) < _KINDS:
                kept = self._newest.setdefault(kind, deque(maxlen=_NEWEST))
                kept.extend(describe_message(entry, kind[1], rules) for entry in entries[::-1])

    def rows(self) -> list[Row]:
        """All of them, newest first within a supplier and reason."""
        return [row for kept in self._newest.values() for row in reversed(kept)]
