"""What a writer has just made durable, for a reader close behind it: nothing is read back."""

from collections import deque
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from ingest.journal.entries import HEAD_BYTES, Entry, Message
from water.loading import Position
from water.tuples import make_tuple

_BYTES = 48 << 20
"""Bytes of the journal of which no more are remembered."""


class _Group(NamedTuple):
    """Messages that were made durable together, and where they stand.

    Attributes:
        begin, end: the journal's end before and after them.
        numbers: each supplier's newest message before them.
        messages: the messages.
    """

    begin: Position
    end: Position
    numbers: Mapping[str, int]
    messages: Sequence[Message]

    @property
    def bytes(self) -> int:
        """How much it takes in the journal."""
        return self.end.offset - self.begin.offset


class Recent:
    """Groups that were written and not read yet, up to a limit; what is beyond it has the files.

    One thread notes, another reads.

    Args:
        messages: how many are remembered at most.
        journal_bytes: so many bytes of them.
    """

    def __init__(self, messages: int, journal_bytes: int = _BYTES) -> None:
        self._limits = messages, journal_bytes
        self._groups: deque[_Group] = deque()
        self._held, self._held_bytes = 0, 0
        self._lock = Lock()

    def note(
        self,
        begin: Position,
        end: Position,
        numbers: Mapping[str, int],
        messages: Sequence[Message],
    ) -> None:
        """Remember a group, unless too much is remembered already.

        Args:
            begin: where it begins in its segment, and the count of the entry before it.
            end: where it ends.
            numbers: each supplier's newest message before it; not changed any more.
            messages: the group; not changed any more.
        """
        group = _Group(begin, end, numbers, messages)
        with self._lock:
            if self._held < self._limits[0] and self._held_bytes < self._limits[1]:
                self._groups.append(group)
                self._count(len(messages), group.bytes)

    def read(self, position: Position) -> tuple[list[Entry], Position] | None:
        """The entries after a position of the group that holds the next one, and its end.

        None: the next one is not remembered.
        """
        with self._lock:
            while self._groups and self._groups[0].end.entry <= position.entry:
                self._forget_first()
            if not self._groups or self._groups[0].begin.entry > position.entry:
                return None
            group = self._forget_first()
        entries = _make_entries(group)
        return entries[position.entry - group.begin.entry :], group.end

    def _forget_first(self) -> _Group:
        group = self._groups.popleft()
        self._count(-len(group.messages), -group.bytes)
        return group

    def _count(self, messages: int, journal_bytes: int) -> None:
        self._held += messages
        self._held_bytes += journal_bytes


def _make_entries(group: _Group) -> list[Entry]:
    """What a reader would make of the bytes; one loop, for it runs for every message."""
    segment, offset, entry = group.begin
    numbers = dict(group.numbers)
    known = numbers.get
    entries: list[Entry] = []
    for supplier, topic, payload, received_ms, flags in group.messages:
        entry += 1
        numbers[supplier] = number = known(supplier, 0) + 1
        names = len(supplier) + len(topic)
        if not (supplier.isascii() and topic.isascii()):
            names = len(supplier.encode()) + len(topic.encode())
        end = offset + HEAD_BYTES + names + len(payload)
        place = (
            segment,
            offset,
            end,
            entry,
            number,
            supplier,
            topic,
            payload,
            received_ms,
            flags,
            0,
        )
        entries.append(make_tuple(Entry, place))
        offset = end
    return entries
