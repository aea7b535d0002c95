"""Where the messages of a journal come from, said by the service that loads them."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from ingest.batch import Batch
from ingest.groups import Group
from ingest.journal import Message
from ingest.precedence import Precedence
from ingest.settings import IngestSettings
from water.loading import Outcome, Position, Tally


class Body(NamedTuple):
    """What a thread runs until it is told to stop."""

    name: str
    run: Callable[[threading.Event], None]


class Intake(Protocol):
    """Writes the journal of one service, and tells senders what became of their messages.

    The service asks for places, opens the intake in the one that it got, and runs its threads;
    `journalled` and `loaded` are called by those that write and load, and never block.
    """

    def each_place(
        self, settings: IngestSettings, position: Callable[[str], Position]
    ) -> Iterator[IngestSettings]:
        """The journals (with what belongs to each) that may be taken, in the order to try them.

        `position` tells how far the store has loaded a journal, by its name.
        """
        ...

    def find_abandoned(
        self, settings: IngestSettings, position: Callable[[str], Position]
    ) -> dict[str, str]:
        """Journals beside its own that nobody reads, where that is its business to say."""
        ...

    def open(
        self, settings: IngestSettings, group: Group, precedence: Precedence
    ) -> Sequence[Body]:
        """What to run: first the thread that writes the journal, then those that tell senders.

        The first is told to stop at once, the others when it has ended.
        """
        ...

    @property
    def passing(self) -> bool:
        """Whether the service will soon be gone, and should begin nothing that others can do."""
        ...

    def journalled(self, messages: Sequence[Message]) -> None:
        """A group is durable."""
        ...

    def loaded(self, batch: Batch, outcomes: Sequence[Outcome] | None) -> None:
        """A batch is stored."""
        ...

    def passed(self, entry: int, messages: int) -> None:
        """All up to `entry` is stored; what became of the last `messages` of it nobody heard."""
        ...

    def tallies(self) -> Mapping[Tally, int]:
        """What was counted beside this service and is shown with its own counts."""
        ...

    def health(self) -> Mapping[str, object]:
        """What people and probes are told; `ready` = messages are received and kept."""
        ...

    def gauges(self) -> Mapping[str, float | None]:
        """Name → value of what stands on /metrics; None is left out."""
        ...
