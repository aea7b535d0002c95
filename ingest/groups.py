"""Messages gather into a group; the group is made durable as one, and only then acknowledged."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from ingest.broker.packets import Publication
from ingest.identity import cut_oversize
from ingest.journal import OVERSIZE, RETAINED, JournalWriter, Message
from ingest.settings import JournalSettings
from water.clock import Clock
from water.tuples import make_tuple


class Loaded(NamedTuple):
    """How far a journal is loaded.

    Attributes:
        entry: the count of the newest message that is loaded.
        numbers: that of each supplier's newest.
    """

    entry: int
    numbers: Mapping[str, int]


class Aside(Protocol):
    """Where the messages of some suppliers go instead."""

    def take(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Make durable, all or none, those of a group that wait apart; the others.

        Raises:
            JournalUnwritableError: none is durable.
        """
        ...


class Group:
    """The messages that arrived since the last commit; used by the receiving thread only.

    Args:
        journal: where the group is made durable.
        settings: when a group is full and how long it may wait.
        payload_bytes: longer payloads are cut and flagged.
        attribute: topic → supplier under whose name a message is counted.
        clock: gives the arrival time.
        journalled: told of every group once it is durable; must not block.
        observe_sync: told the seconds that making a group durable took.
        loaded: how far the journal is loaded.

    Attributes:
        aside: takes the messages of suppliers that wait apart; None = there is no such place.
        newest_ms: when the newest message that is durable arrived, epoch ms; None = none did.
        brought_news: whether the last committed group held more than retained messages, which
            a broker sends again on each subscription.
    """

    def __init__(
        self,
        journal: JournalWriter,
        settings: JournalSettings,
        payload_bytes: int,
        attribute: Callable[[str], str],
        clock: Clock,
        *,
        journalled: Callable[[Sequence[Message]], None],
        observe_sync: Callable[[float], None],
        loaded: Callable[[], Loaded] = lambda: Loaded(0, {}),
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._payload_bytes = payload_bytes
        self._attribute = attribute
        self._clock = clock
        self._journalled = journalled
        self._observe_sync = observe_sync
        self._loaded = loaded
        self._messages: list[Message] = []
        self._packet_ids: list[int] = []
        self._bytes = 0
        self._began = 0.0
        self.aside: Aside | None = None
        self.newest_ms: int | None = None
        self.brought_news = False

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def begun(self) -> bool:
        """Whether the journal has ever held a message."""
        return self._journal.committed().entry > 0

    @property
    def newest_entry(self) -> int:
        """The count of the newest message that is durable."""
        return self._journal.committed().entry

    @property
    def waiting(self) -> int:
        """Messages that are durable and not yet loaded."""
        return max(0, self.newest_entry - self._loaded().entry)

    def waiting_of(self, supplier: str) -> int:
        """Those of a supplier."""
        number = self._loaded().numbers.get(supplier, 0)
        return max(0, self._journal.received_of(supplier) - number)

    @property
    def suppliers(self) -> list[str]:
        """Those of whom the journal has ever held a message."""
        return list(self._journal.received())

    def owner(self, topic: str) -> str:
        """The supplier under whose name a message on a topic is counted; from any thread."""
        return self._attribute(topic)

    @property
    def full(self) -> bool:
        """Whether nothing more should be read before a commit."""
        return (
            len(self._messages) >= self._settings.group_messages
            or self._bytes >= self._settings.group_bytes
        )

    def take(self, publications: Sequence[Publication]) -> None:
        """Take the messages that one read has brought."""
        if not self._messages:
            self._began, self.brought_news = time.monotonic(), False
        received_ms = round(self._clock.now().timestamp() * 1000)
        attribute, limit = self._attribute, self._payload_bytes
        keep, remember = self._messages.append, self._packet_ids.append
        size = 0
        for name, payload, flags, packet_id in publications:
            try:
                topic = name.decode()
            except UnicodeDecodeError:
                topic = ""  # (which is nobody's)
            if len(payload) > limit:
                payload, flags = cut_oversize(payload), flags | OVERSIZE  # noqa: PLW2901 (from here on this is the message)
            size += len(payload)
            keep(make_tuple(Message, (attribute(topic), topic, payload, received_ms, flags)))
            if packet_id is not None:
                remember(packet_id)
        self._bytes += size

    def put(self, messages: Sequence[Message]) -> None:
        """Take messages that are whole already, to be committed at once."""
        self._messages += messages

    def due(self, *, idle: bool) -> bool:
        """Whether to commit now: full, nothing more on the socket, or waited long enough."""
        if not self._messages:
            return False
        waited_ms = (time.monotonic() - self._began) * 1000
        return idle or self.full or waited_ms >= self._settings.group_ms

    def commit(self) -> list[int]:
        """Make the group durable; the packet ids that may now be acknowledged, in order.

        Raises:
            JournalUnwritableError: what is not durable is still here, and nothing may be
                acknowledged.
        """
        began = time.monotonic()
        newest_ms = self._messages[-1].received_ms
        self.brought_news |= any(not message.flags & RETAINED for message in self._messages)
        if self.aside is not None:
            self._messages = list(self.aside.take(self._messages))
        if self._messages:
            self._journal.append(self._messages)
        self._observe_sync(time.monotonic() - began)
        messages, self._messages = self._messages, []
        packet_ids, self._packet_ids = self._packet_ids, []
        self._bytes = 0
        self.newest_ms = newest_ms
        if messages:
            self._journalled(messages)
        return packet_ids

    def discard(self) -> None:
        """Drop what could not be made durable: its senders are told, and keep it."""
        self._messages, self._packet_ids, self._bytes = [], [], 0
