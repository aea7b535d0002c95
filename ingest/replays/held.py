"""Which of the readings that a message gives today a row of the quarantine stands for."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ingest.batch import storable_instant
from ingest.decoders import Decoded
from water.texts import storable

Identity = tuple[str, int | None]


class Held(NamedTuple):
    """A row of the quarantine: its id, and which reading of its message was refused.

    `part` is the reading's number in the message, `address` and `at` (epoch seconds; None: it
    named no moment) are what the decoder of then gave for it.
    """

    row: int
    part: int
    address: str
    at: int | None


def held_in(row: Mapping[str, Any]) -> Held:
    """What a row says of its reading."""
    return Held(row["id"], row["part"], row["address"], row["at"])


def match_parts(held: Sequence[Held], readings: Sequence[Decoded]) -> dict[int, int]:
    """Find the refused readings of a message among those that it gives today.

    A mended decoder may give more readings or fewer, and the number alone would name another one.
    So a row stands for the reading of the same address and instant: that of its own number, else
    the only one. Where there is none, address or instant are what was mended, perhaps. That is
    believed of a row without an instant, if the reading of its number has its address, and of
    the only reading of a message, if it has the row's address or its instant.

    Args:
        held: rows of one message.
        readings: what the message gives today.

    Returns:
        id of the row → number of its reading; rows that stand for none are missing.
    """
    identities = [(storable(each.address), storable_instant(each.at)) for each in readings]
    found = {one.row: one.part for one in held if identities[one.part : one.part + 1] == [one[2:]]}
    free: dict[Identity, list[int]] = {}
    for part in sorted(set(range(len(readings))) - set(found.values())):
        free.setdefault(identities[part], []).append(part)
    for one in held:
        if one.row in found:
            continue
        there = free.get((one.address, one.at), [])
        part = there[0] if len(there) == 1 else None if there else _find_mended(one, identities)
        if part is not None and part in free.get(identities[part], ()):
            free[identities[part]].remove(part)
            found[one.row] = part
    return found


def _find_mended(one: Held, identities: Sequence[Identity]) -> int | None:
    """The number of the reading whose address or instant was another one when it was refused."""
    if one.part >= len(identities):
        return None
    address, at = identities[one.part]
    same_address, same_instant = address == one.address, one.at is not None and at == one.at
    alone = len(identities) == 1 and (same_address or same_instant)
    return one.part if alone or (one.at is None and same_address) else None
