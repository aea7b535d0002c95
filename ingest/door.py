"""The intake from HTTP: what platforms push is journalled, and they are told what became of it.

Requests come in many threads; one thread gathers what waits into groups, makes each durable with
one fdatasync, and only then lets the senders know.
"""

import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from ingest.batch import Batch
from ingest.broker.receipts import describe_loaded
from ingest.errors import JournalUnwritableError
from ingest.groups import Group
from ingest.identity import receipt_id
from ingest.intake import Body
from ingest.journal import Message
from ingest.places import each_door
from ingest.precedence import Precedence
from ingest.settings import IngestSettings
from ingest.topics import NOBODY
from water.doors import DoorClosedError, DoorCrowdedError
from water.loading import Outcome, Position, Tally
from water.refusals import Undecodable

log = structlog.get_logger()

_QUIET_S = 0.2
"""The longest that the thread waits for a message, so that it hears `stop`."""
_SOON_S, _LATER_S = 1, 60
"""When to come again: a group takes less than a second, a backlog of the store longer."""


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How much of one supplier may wait; more is refused, so that it hurts nobody else.

    Attributes:
        messages: messages that are not durable yet.
        backlog_bytes: payload bytes that are durable and not loaded yet (the store is away, or
            the supplier sends faster than the store takes).
    """

    messages: int = 200
    backlog_bytes: int = 1 << 30


@dataclass(slots=True)
class Ticket:
    """What a sender has for a message that it brought.

    Attributes:
        receipt: the id of the message, as in receipts.
        durable: done when the message is in the journal, and may be acknowledged.
        loaded: what became of it, once it is loaded: an item of a receipt; only where the
            sender said that it would `follow`. Cancel it when nobody waits any longer.
    """

    receipt: str
    supplier: str
    topic: bytes
    payload: bytes
    follow: bool
    durable: Future[None] = field(default_factory=Future[None])
    loaded: Future[dict[str, Any]] = field(default_factory=Future[dict[str, Any]])


class Door:
    """Takes messages from any thread; one of its own writes the journal (`Intake`)."""

    def __init__(self, payload_bytes: int, limits: DoorLimits | None = None) -> None:
        """A longer message than `payload_bytes` is the caller's to refuse."""
        self.payload_bytes = payload_bytes
        self._limits = limits or DoorLimits()
        self._lock = threading.Lock()
        self._shut: str | None = "the door is not open yet"
        self._unwritable = ""
        self._group: Group | None = None
        self._precedence = Precedence()
        self._offered: queue.SimpleQueue[Ticket] = queue.SimpleQueue()
        self._waiting: Counter[str] = Counter()
        self._backlog: Counter[str] = Counter()
        self._newest_durable = self._newest_loaded = 0
        self._durable: deque[tuple[int, Counter[str]]] = deque()
        self._asking: dict[int, Ticket] = {}

    # -- for whoever serves requests

    def offer(
        self, supplier: str, dialect: str, path: str, payload: bytes, *, follow: bool = False
    ) -> Ticket:
        """Bring a message; it counts for nothing before `durable` is done.

        `durable` may end with a DoorClosedError: nothing is acknowledged.

        Raises:
            ValueError: the topic has a NUL, which MQTT forbids and signatures separate by.
            KeyError: nobody of that name is registered.
            DoorClosedError: nothing is taken now.
            DoorCrowdedError: too much of this supplier waits.
        """
        topic = f"water/v1/{supplier}/{dialect}/{path}"
        if "\0" in topic:
            raise ValueError("a NUL in a topic")
        ticket = Ticket(receipt_id(payload), supplier, topic.encode(), payload, follow)
        ticket.durable.set_running_or_notify_cancel()  # whoever gives up waiting can't undo it
        with self._lock:
            if self._group is None or self._shut is not None:
                raise DoorClosedError(self._shut)
            if supplier == NOBODY or self._group.owner(topic) != supplier:
                raise KeyError(supplier)
            self._require_room(supplier)
            self._waiting[supplier] += 1
            self._offered.put(ticket)
        return ticket

    def require_open(self) -> None:
        """See that messages are taken.

        Raises:
            DoorClosedError: they are not.
        """
        if self._shut is not None or self._unwritable:
            raise DoorClosedError(self._shut or self._unwritable)

    def shut(self, why: str) -> None:
        """Take nothing any more; what waits is not acknowledged."""
        with self._lock:
            self._shut = why
        while not self._offered.empty():
            self._refuse([self._offered.get()], why)

    def _require_room(self, supplier: str) -> None:
        if self._waiting[supplier] >= self._limits.messages:
            raise DoorCrowdedError(f"{self._waiting[supplier]} messages", _SOON_S)
        if self._backlog[supplier] >= self._limits.backlog_bytes:
            raise DoorCrowdedError(f"{self._backlog[supplier]} bytes to be loaded", _LATER_S)

    # -- ingest.intake.Intake

    def each_place(
        self, settings: IngestSettings, position: Callable[[str], Position]
    ) -> Iterator[IngestSettings]:
        """Journals that another door has left with messages in them, then any that is free."""
        return each_door(settings, position)

    def find_abandoned(
        self,
        settings: IngestSettings,  # noqa: ARG002 (it is not ours to say)
        position: Callable[[str], Position],  # noqa: ARG002 (likewise)
    ) -> dict[str, str]:
        """The ingest process says it."""
        return {}

    def open(
        self,
        settings: IngestSettings,  # noqa: ARG002 (they were for the journal, which is open)
        group: Group,
        precedence: Precedence,
    ) -> Sequence[Body]:
        """One thread, which writes the journal."""
        self._precedence = precedence
        self._newest_durable = group.newest_entry
        with self._lock:
            self._group, self._shut = group, None
        return [Body("ingest-door", self._run)]

    @property
    def passing(self) -> bool:
        """It goes on for ever."""
        return False

    def journalled(self, messages: Sequence[Message]) -> None:
        """What is durable waits for the store from now on."""
        sizes = Counter[str]()
        for message in messages:
            sizes[message.supplier] += len(message.payload)
        with self._lock:
            self._newest_durable += len(messages)
            self._durable.append((self._newest_durable, sizes))
            self._backlog.update(sizes)
            self._drop_loaded()

    def loaded(self, batch: Batch, outcomes: Sequence[Outcome] | None) -> None:
        """Tell those who have waited for it."""
        self.passed(batch.position.entry, 0)
        with self._lock:
            told = {
                entry.entry: self._asking.pop(entry.entry)
                for entry in batch.entries
                if entry.entry in self._asking
            }
        if told:
            _tell(told, batch, outcomes)

    def passed(self, entry: int, messages: int) -> None:  # noqa: ARG002 (who waits asks again)
        """What is loaded waits no more: a group at a time, once all of it is."""
        with self._lock:
            self._newest_loaded = entry
            self._drop_loaded()

    def _drop_loaded(self) -> None:
        while self._durable and self._durable[0][0] <= self._newest_loaded:
            self._backlog.subtract(self._durable.popleft()[1])

    def tallies(self) -> Mapping[Tally, int]:
        """Nothing is loaded beside."""
        return {}

    def health(self) -> Mapping[str, object]:
        """Whether messages are taken."""
        trouble = self._shut or self._unwritable
        return {"ready": not trouble, "trouble": trouble}

    def gauges(self) -> Mapping[str, float | None]:
        """How much waits for the disk."""
        return {"journal_unwritable": float(bool(self._unwritable))}

    # -- the thread

    def _run(self, stop: threading.Event) -> None:
        group = self._group
        assert group is not None  # noqa: S101 (the thread is started after `open`)
        try:
            while not stop.is_set():
                tickets = self._gather(group)
                if tickets:
                    self._precedence.note_group(len(tickets))
                    self._commit(group, tickets)
                else:
                    self._precedence.note_silence()
        finally:
            self._precedence.note_silence()
            self.shut("the door is closing")

    def _gather(self, group: Group) -> list[Ticket]:
        """All that waits, up to a full group."""
        tickets: list[Ticket] = []
        try:
            tickets.append(self._offered.get(timeout=_QUIET_S))
            self._take(group, tickets)
            while not group.full:
                tickets.append(self._offered.get_nowait())
                self._take(group, tickets)
        except queue.Empty:
            pass
        return tickets

    def _take(self, group: Group, tickets: Sequence[Ticket]) -> None:
        newest = tickets[-1]
        group.take([(newest.topic, newest.payload, 0, None)])

    def _commit(self, group: Group, tickets: Sequence[Ticket]) -> None:
        """Make a group durable, then let its senders know; without room it is not kept."""
        followed = {
            entry: ticket
            for entry, ticket in enumerate(tickets, group.newest_entry + 1)
            if ticket.follow
        }
        with self._lock:
            self._asking.update(followed)
        try:
            group.commit()
        except JournalUnwritableError as error:
            group.discard()
            self._note_unwritable(error)
            self._forget(followed)
            self._refuse(tickets, str(error))
            return
        if self._unwritable:
            self._unwritable = ""
            log.info("journal can be written again")
        self._acknowledge(tickets)
        for entry, ticket in followed.items():
            ticket.loaded.add_done_callback(lambda _, entry=entry: self._forget([entry]))

    def _note_unwritable(self, error: JournalUnwritableError) -> None:
        if not self._unwritable:
            log.error("journal can't be written, nothing is taken", error=str(error))
        self._unwritable = str(error)

    def _acknowledge(self, tickets: Sequence[Ticket]) -> None:
        with self._lock:
            self._waiting.subtract(ticket.supplier for ticket in tickets)
        for ticket in tickets:
            ticket.durable.set_result(None)

    def _forget(self, entries: Iterable[int]) -> None:
        with self._lock:
            for entry in entries:
                self._asking.pop(entry, None)

    def _refuse(self, tickets: Sequence[Ticket], why: str) -> None:
        with self._lock:
            self._waiting.subtract(ticket.supplier for ticket in tickets)
        for ticket in tickets:
            ticket.durable.set_exception(DoorClosedError(why))


def _tell(told: Mapping[int, Ticket], batch: Batch, outcomes: Sequence[Outcome] | None) -> None:
    """Say what became of the messages that somebody waits for."""
    items = {supplier: iter(of) for supplier, of in describe_loaded(batch, outcomes).items()}
    for entry in batch.entries:
        item = next(items[entry.supplier]) if entry.supplier in items else _NOBODYS
        ticket = told.get(entry.entry)
        if ticket is not None and ticket.loaded.set_running_or_notify_cancel():
            ticket.loaded.set_result(msgspec.to_builtins(item))


_NOBODYS: dict[str, Any] = {"undecodable": Undecodable.UNKNOWN_SUPPLIER.value}
"""Its supplier was struck off the registry after it was offered; receipts leave it out."""
