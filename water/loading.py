"""What passes between the loader of readings and the store that keeps them."""

from enum import IntEnum
from typing import NamedTuple


class Position(NamedTuple):
    """A place in a journal: everything before it is loaded.

    `segment` is the segment's number, `offset` the byte in it, `entry` how many entries the
    journal has written before this place since it began.
    """

    segment: int = 0
    offset: int = 0
    entry: int = 0


class Outcome(IntEnum):
    """What the store did with one reading; REFUSED: its server can't take it, and says why."""

    STORED = 0
    DUPLICATE = 1
    CONFLICT = 2
    REFUSED = 3


class Refused(NamedTuple):
    """A reading that a check refused: a row of the quarantine, with its place in the journal.

    `part` is the number of the reading within its message; `journal` is the name of the journal
    that `segment` and `offset` belong to.
    """

    supplier: str
    reason: str
    detail: str
    dialect: str
    address: str
    at: int | None
    received_at: int
    segment: int
    offset: int
    part: int
    journal: str = "ingest"


class Tally(NamedTuple):
    """What is counted: `ledger` is "messages" or "readings".

    `account` is a term of the sum (received, decoded, undecodable, set_aside, waiting, stored,
    duplicate, conflict, quarantined); `reason` says more for undecodable, set_aside and
    quarantined. For received and waiting, which every journal counts for itself, it is the name of
    the journal ("" for the journal "ingest"). Else it is "".
    """

    supplier: str
    ledger: str
    account: str
    reason: str = ""
