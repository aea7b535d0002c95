"""Readings that a load has written, or was about to, before they were counted.

A load keeps here what it is going to write, writes it to the readings store, and takes it out
again in the transaction that counts it. A loader that dies between leaves its row behind. Whoever
loads next holds what such a row lists for not stored yet, whether it was written or not: so each
part of a reading is counted as stored once, over any crash.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, Table, delete, insert, select, update

from storage.registry.models import LedgerUnsettledRow, table_of

_UNSETTLED: Table = table_of(LedgerUnsettledRow)

Identity = tuple[str, int]
"""A reading's meter and instant (epoch seconds)."""

Part = tuple[str, int, int]
"""Quantities of one reading: meter, instant, and bit i for quantity i of
water.readings.QUANTITIES."""

_decoder = msgspec.msgpack.Decoder(list[Part])


class Unsettled:
    """What crashed loads left behind, as a load finds it; used within one session."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(select(_UNSETTLED.c.id, _UNSETTLED.c.parts))
        self._rows: dict[int, dict[Identity, int]] = {
            row_id: {(meter, at): mask for meter, at, mask in _decoder.decode(packed)}
            for row_id, packed in rows
        }
        self._listed: dict[Identity, int] = {}
        for parts in self._rows.values():
            for identity, mask in parts.items():
                self._listed[identity] = self._listed.get(identity, 0) | mask
        self._changed: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._listed)

    def lists(self, identity: Identity) -> bool:
        """Whether a crashed load may have written some of this reading."""
        return identity in self._listed

    def unlisted(self, parts: Mapping[Identity, int]) -> list[Part]:
        """What of these is not kept yet: a load that is tried again has been here before."""
        return [
            (*identity, mask)
            for identity, mask in parts.items()
            if mask & ~self._listed.get(identity, 0)
        ]

    def mask(self, identity: Identity) -> int:
        """The quantities of a reading that nobody has counted."""
        found = 0
        for parts in self._rows.values():
            found |= parts.get(identity, 0)
        return found

    def settle(self, identity: Identity, mask: int) -> None:
        """These quantities of a reading are counted by this load."""
        for row_id, parts in self._rows.items():
            if identity in parts:
                parts[identity] &= ~mask
                self._changed.add(row_id)

    def save(self, connection: Connection) -> None:
        """Keep what is left, in the transaction that counts what was settled."""
        for row_id in self._changed:
            left = [(*identity, mask) for identity, mask in self._rows[row_id].items() if mask]
            if left:
                row = update(_UNSETTLED).where(_UNSETTLED.c.id == row_id)
                connection.execute(row, {"parts": msgspec.msgpack.encode(left)})
            else:
                remove(connection, [row_id])
        self._changed.clear()


class LeftBehind(NamedTuple):
    """What is written, or was about to be, and not counted: by a load under way, or a dead one.

    Attributes:
        loads: how many.
        readings: how many readings they list.
        oldest: instant of the oldest of these, epoch seconds; None = there is none.
    """

    loads: int
    readings: int
    oldest: int | None


def find_left_behind(connection: Connection) -> LeftBehind:
    """Look at every unsettled row."""
    rows = connection.execute(select(_UNSETTLED.c.parts)).scalars()
    instants = [[at for _, at, _ in _decoder.decode(packed)] for packed in rows]
    every = [at for load in instants for at in load]
    return LeftBehind(len(instants), len(every), min(every, default=None))


def add(connection: Connection, parts: Sequence[Part]) -> int:
    """Keep what is about to be written; the id of its row."""
    statement = insert(_UNSETTLED).returning(_UNSETTLED.c.id)
    return connection.execute(statement, {"parts": msgspec.msgpack.encode(parts)}).scalar_one()


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Take rows out: what they list is counted."""
    connection.execute(delete(_UNSETTLED).where(_UNSETTLED.c.id.in_(ids)))
