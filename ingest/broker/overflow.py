"""The overflow: a journal beside the worker's own, in which suppliers that flood wait apart.

The receiver's thread writes both journals; a service of its own loads this one, after the other.
It is begun when somebody floods for the first time, and from then on opened at every start.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from operator import attrgetter
from typing import Protocol

import structlog

from ingest.batch import Batch
from ingest.broker.floods import Floods
from ingest.broker.receipts import Receipts
from ingest.errors import JournalError, JournalUnwritableError
from ingest.groups import Group
from ingest.intake import Body, Intake
from ingest.journal import Message
from ingest.places import overflow_place
from ingest.precedence import Behind, Precedence
from ingest.settings import IngestSettings
from water.loading import Outcome, Position, Tally

log = structlog.get_logger()

_LOOK_S = 0.2
"""The longest that the thread waits to be wanted, so that it hears `stop`."""
_AGAIN_S = 60.0
"""Seconds between tries to open a journal that can't be used as it is."""
_SUPPLIER = attrgetter("supplier")


class Service(Protocol):
    """What loads the overflow (ingest.service.IngestService)."""

    def run(self, stop: threading.Event) -> None:
        """Load until told to stop.

        Raises:
            JournalError: the journal can't be used as it is.
        """
        ...

    def tallies(self) -> Mapping[Tally, int]:
        """What it has counted itself, `received` since its journal began."""
        ...


OpenService = Callable[[IngestSettings, Intake, Precedence], AbstractContextManager[Service]]
"""Makes a service with stores of its own, for a place, an intake and whom it gives way to."""


class Overflow:
    """Takes what waits apart (`Aside`), and stands before the service that loads it (`Intake`).

    Args:
        settings: of the worker, in its place.
        main: what goes into the worker's own journal.
        precedence: the receiver's.
        receipts: told of what is durable and loaded; None = nobody is sent any.
        open_service: makes what loads.
    """

    def __init__(
        self,
        settings: IngestSettings,
        main: Group,
        precedence: Precedence,
        receipts: Receipts | None,
        open_service: OpenService,
    ) -> None:
        self._settings = settings
        self._main = main
        self._precedence = precedence
        self._receipts = receipts
        self._open_service = open_service
        self._floods = Floods(settings.overflow_messages)
        self._group: Group | None = None
        self._service: Service | None = None
        self._wanted = threading.Event()
        if overflow_place(settings).journal.folder.exists():
            self._wanted.set()
        self.trouble = ""

    # -- ingest.groups.Aside

    def take(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Make durable, all or none, those of a group that wait apart; the others.

        Raises:
            JournalUnwritableError: none is durable.
        """
        senders = set(map(_SUPPLIER, messages))
        group = self._group
        apart = self._judge(senders, group)
        if group is None or apart.isdisjoint(senders):
            return messages
        group.put([message for message in messages if message.supplier in apart])
        others = [message for message in messages if message.supplier not in apart]
        self._precedence.note_group(len(others), apart=len(group))
        try:
            group.commit()
        except JournalUnwritableError:
            group.discard()
            raise
        return others

    def _judge(self, senders: set[str], group: Group | None) -> frozenset[str]:
        """Whose messages go to the overflow, if it is open."""
        floods, main, now = self._floods, self._main, time.monotonic()
        floods.note(senders, now)
        if group is not None and floods.apart:
            self._take_back(group)
        if floods.may_flood(main.waiting) and (found := floods.find(senders, main.waiting_of, now)):
            self._wanted.set()
            if group is not None:
                log.warning(
                    "so much waits of suppliers that it waits apart", suppliers=sorted(found)
                )
                floods.put_apart(found)
        return floods.apart

    def _take_back(self, group: Group) -> None:
        over = self._floods.find_over(self._main.waiting_of, group.waiting_of)
        if over:
            log.info("suppliers wait among the others again", suppliers=sorted(over))
            self._floods.take_back(over)

    # -- ingest.intake.Intake

    def each_place(
        self,
        settings: IngestSettings,
        position: Callable[[str], Position],  # noqa: ARG002 (it belongs to one worker)
    ) -> Iterator[IngestSettings]:
        """The one place beside that of the worker."""
        yield overflow_place(settings)

    def find_abandoned(
        self,
        settings: IngestSettings,  # noqa: ARG002 (it is not ours to say)
        position: Callable[[str], Position],  # noqa: ARG002 (likewise)
    ) -> dict[str, str]:
        """The worker says it."""
        return {}

    def open(
        self,
        settings: IngestSettings,  # noqa: ARG002 (they were for the journal, which is open)
        group: Group,
        precedence: Precedence,  # noqa: ARG002 (it is the one that we gave)
    ) -> Sequence[Body]:
        """No thread: the receiver's writes. Who ever flooded is apart until nothing waits here."""
        self._floods.put_apart(group.suppliers)
        self.trouble, self._group = "", group
        return []

    @property
    def passing(self) -> bool:
        """It goes on as long as the worker."""
        return False

    def journalled(self, messages: Sequence[Message]) -> None:
        """Send receipts, after those of the others."""
        if self._receipts and self._group is not None:
            self._receipts.journalled(messages, self._group.newest_entry, apart=True)

    def loaded(self, batch: Batch, outcomes: Sequence[Outcome] | None) -> None:
        """Send receipts, after those of the others."""
        if self._receipts:
            self._receipts.loaded(batch, outcomes, apart=True)

    def passed(self, entry: int, messages: int) -> None:
        """No receipt: who has none sends again."""

    def health(self) -> Mapping[str, object]:
        """What the worker says of it: whether it is open, how many messages of whom wait."""
        waiting = self.waiting()
        return {
            "open": self._group is not None,
            "trouble": self.trouble,
            "waiting": sum(waiting.values()),
            "suppliers": waiting,
        }

    def gauges(self) -> Mapping[str, float | None]:
        """What the worker shows of it."""
        waiting = self.waiting()
        return {"overflow_waiting": sum(waiting.values()), "overflow_suppliers": len(waiting)}

    def tallies(self) -> Mapping[Tally, int]:
        """Nothing but its own service's."""
        return {}

    # -- for the worker

    def waiting(self) -> dict[str, int]:
        """Messages that wait here, of each supplier that has any; from any thread."""
        group = self._group
        if group is None:
            return {}
        counts = {supplier: group.waiting_of(supplier) for supplier in group.suppliers}
        return {supplier: count for supplier, count in sorted(counts.items()) if count}

    @property
    def empty(self) -> bool:
        """Whether nothing waits here; where nobody ever flooded nothing does."""
        if self._group is None:
            return not self._wanted.is_set()
        return not self._group.waiting

    def counted(self) -> Mapping[Tally, int]:
        """What its service has counted."""
        return self._service.tallies() if self._service else {}

    def run(self, stop: threading.Event) -> None:
        """Load, from when it is wanted for the first time until told to stop."""
        while not stop.is_set():
            if self._wanted.wait(_LOOK_S):
                self._serve(stop)

    def _serve(self, stop: threading.Event) -> None:
        behind = Behind(self._precedence, lambda: bool(self._main.waiting))
        try:
            with self._open_service(self._settings, self, behind) as self._service:
                self._service.run(stop)
        except (JournalError, OSError) as error:
            if self._group is not None:
                raise
            self.trouble = str(error)
            log.error("the overflow can't be opened", error=str(error))  # noqa: TRY400 (no bug)
            stop.wait(_AGAIN_S)
        finally:
            self._group = None
