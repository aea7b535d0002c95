"""What ingest needs of the outside, said by ingest itself."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from water.jobs import Job
from water.loading import Outcome, Position, Refused, Tally
from water.meters import KnownMeter, MeterEvent
from water.pages import Page
from water.readings import Reading


class LoadTransaction(Protocol):
    """One load: all of it becomes visible together with the journal position, or none of it."""

    def add_readings(self, readings: Sequence[Reading]) -> Sequence[Outcome] | None:
        """Store readings, first value wins; None when every one was stored, else one an entry.

        Fields of the same (meter_id, at) merge; a different value for a field already there is a
        conflict: the first stays current and both are kept.
        """
        ...

    def refusals(self) -> Mapping[int, str]:
        """Of readings with outcome REFUSED: index in what was added → the server's reason."""
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


class Loading(Protocol):
    """Loads, one after the other."""

    def begin_readings(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Begin to store readings, at least one; the same ones, for `add_readings` to go on with.

        A server takes them while the caller does something else, such as the load before. What is
        begun first must be added first.
        """
        ...

    def load(self) -> AbstractContextManager[LoadTransaction]:
        """Begin a load; leaving the block commits it, an exception undoes it."""
        ...


class ReadingsSink(Protocol):
    """The readings store as the loader sees it."""

    def load(self) -> AbstractContextManager[LoadTransaction]:
        """Begin a load; leaving the block commits it, an exception undoes it."""
        ...

    def loading(self) -> AbstractContextManager[Loading]:
        """Begin several loads; what is begun and in none when the block ends never was."""
        ...

    def position(self, journal: str) -> Position:
        """Where loading of `journal` goes on."""
        ...

    def marker(self, journal: str) -> str:
        """The marker that a journal is known by; "" = none yet."""
        ...

    def swap_marker(
        self, journal: str, known: str, marker: str, tallies: Mapping[Tally, int] | None = None
    ) -> str:
        """Put another marker in the place of the known one; the one that stands there now.

        Atomic over all processes: of two that claim an unknown journal one reads the other's.
        `tallies` are added to the counts together with the marker, or not at all.
        """
        ...

    def tallies(self) -> dict[Tally, int]:
        """Every count kept so far."""
        ...

    def quarantine_depth(self) -> dict[str, int]:
        """Rows now held in quarantine, a supplier."""
        ...

    def oldest_refused_segment(self, journal: str) -> int | None:
        """The first segment of a journal in which a row of the quarantine stands, or None."""
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
    ) -> Page:
        """A page of the quarantine, newest first; "" = any."""
        ...

    def find_readings(
        self, identities: Sequence[tuple[str, int]]
    ) -> Mapping[tuple[str, int], Reading]:
        """The stored readings with one of these identities (meter, instant in epoch seconds)."""
        ...

    def find_conflicts(
        self, identities: Collection[tuple[str, int]]
    ) -> set[tuple[str, int, str, float]]:
        """The conflicts known of these identities: meter, instant, quantity, offered value."""
        ...


class MeterEvents(Protocol):
    """Where meter changes go that suppliers send."""

    def take(self, journal: str, events: Sequence[MeterEvent]) -> None:
        """Take events in the order of the journal; each of its entries is taken once.

        `journal` names one journal that ever was: its name and marker, or the mark of a replay.
        Raises OSError while the registry is away: hand them over again.
        """
        ...


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


class JobQueue(Protocol):
    """The jobs table."""

    def release(self, kinds: Sequence[str]) -> int:
        """Let jobs that a dead process left running wait again; asked once at the start."""
        ...

    def take(self, kinds: Sequence[str]) -> Job | None:
        """The oldest waiting job of these kinds, or None."""
        ...

    def ask(self, kind: str, arguments: Mapping[str, object], asked_by: str) -> int:
        """Put a job into the queue; its id."""
        ...

    def report(self, job_id: int, outcome: Mapping[str, object]) -> None:
        """Say how far a running job has come."""
        ...

    def finish(self, job_id: int, outcome: Mapping[str, object], *, failed: bool = False) -> None:
        """Say how a job ended."""
        ...
