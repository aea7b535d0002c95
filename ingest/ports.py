"""What ingest needs of the outside, said by ingest itself."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from water.readings import Reading


class Position(NamedTuple):
    """A place in a journal: everything before it is loaded.

    `segment` is the segment's number, `offset` the byte in it, `entry` how many entries the
    journal has written before this place since it began.
    """

    segment: int = 0
    offset: int = 0
    entry: int = 0


class Outcome(IntEnum):
    """What the store did with one reading."""

    STORED = 0
    DUPLICATE = 1
    CONFLICT = 2


class Refused(NamedTuple):
    """A reading that a check refused: a row of the quarantine, with its place in the journal.

    `part` is the number of the reading within its message.
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


class Tally(NamedTuple):
    """What is counted: `ledger` is "messages" or "readings".

    `account` is a term of the sum (decoded, undecodable, set_aside, stored, duplicate, conflict,
    quarantined); `reason` says more for undecodable, set_aside and quarantined, else "".
    """

    supplier: str
    ledger: str
    account: str
    reason: str = ""


class RefusedPage(Protocol):
    """Rows of the quarantine (id and the fields of Refused); `next` is None on the last page."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def next(self) -> str | None: ...


class LoadTransaction(Protocol):
    """One load: all of it becomes visible together with the journal position, or none of it."""

    def add_readings(self, readings: Sequence[Reading]) -> Sequence[Outcome] | None:
        """Store readings, first value wins; None when every one was stored, else one an entry.

        Fields of the same (meter_id, at) merge; a different value for a field already there is a
        conflict: the first stays current and both are kept.
        """
        ...

    def add_refused(self, refused: Sequence[Refused]) -> None:
        """Keep refused readings in quarantine."""
        ...

    def release_refused(self, ids: Sequence[int]) -> Sequence[int]:
        """Take quarantine rows out for a re-run, with what becomes of them in the same load.

        Each row leaves the account "quarantined" (its supplier and reason) of the ledger
        "readings"; the caller adds what it became and nothing to "decoded". Returns the ids that
        were still there: the others must not be loaded again.
        """
        ...

    def add_tallies(self, tallies: Mapping[Tally, int]) -> None:
        """Add to the counts that outlive a restart."""
        ...

    def set_position(self, journal: str, position: Position) -> None:
        """Everything of `journal` before `position` is loaded."""
        ...


class ReadingsSink(Protocol):
    """The readings store as the loader sees it."""

    def load(self) -> AbstractContextManager[LoadTransaction]:
        """Begin a load; leaving the block commits it, an exception undoes it."""
        ...

    def position(self, journal: str) -> Position:
        """Where loading of `journal` goes on."""
        ...

    def tallies(self) -> dict[Tally, int]:
        """Every count kept so far."""
        ...

    def quarantine_depth(self) -> dict[str, int]:
        """Rows now held in quarantine, a supplier."""
        ...

    def load_refused(self, ids: Sequence[int]) -> Sequence[Mapping[str, Any]]:
        """The quarantine rows of these ids that are still there: id and the fields of Refused."""
        ...

    def page_refused(
        self,
        *,
        supplier: str = "",
        reason: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> RefusedPage:
        """A page of the quarantine, newest first; "" = any."""
        ...


@dataclass(frozen=True, slots=True)
class KnownMeter:
    """What one message can be checked against."""

    meter_id: str
    supplier_id: str
    modulus_m3: float | None
    q4_m3_h: float | None
    in_service_from: int | None
    in_service_to: int | None


class MeterDirectory(Protocol):
    """The registry as ingest sees it; asked again whenever `version` moves."""

    def version(self) -> int:
        """A number that moves with every change of meters, devices or suppliers."""
        ...

    def suppliers(self) -> frozenset[str]:
        """Every supplier's id."""
        ...

    def devices(self) -> Mapping[tuple[str, str, str], KnownMeter]:
        """(supplier of the device, dialect, address) → meter.

        A meter's own id is an address of dialect "jieshui" without being listed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Job:
    """Something another process asks of this one."""

    id: int
    kind: str
    arguments: Mapping[str, object]


class JobQueue(Protocol):
    """The jobs table."""

    def release(self, kinds: Sequence[str]) -> int:
        """Let jobs that a dead process left running wait again; asked once at the start."""
        ...

    def take(self, kinds: Sequence[str]) -> Job | None:
        """The oldest waiting job of these kinds, or None."""
        ...

    def finish(self, job_id: int, outcome: Mapping[str, object], *, failed: bool = False) -> None:
        """Say how a job ended."""
        ...
