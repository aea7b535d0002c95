"""The intake from the broker: what it sends is journalled, receipts go back to the suppliers."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from ingest.batch import Batch
from ingest.broker.deserted import Deserted
from ingest.broker.overflow import OpenService, Overflow
from ingest.broker.receipts import Receipts
from ingest.broker.receiver import Receiver
from ingest.broker.session import ReceiverState
from ingest.broker.silence import Silence
from ingest.broker.subscriptions import Subscriptions
from ingest.groups import Group
from ingest.intake import Body
from ingest.journal import Message
from ingest.precedence import Precedence, shorten_turns
from ingest.settings import IngestSettings
from ingest.topics import NOBODY
from ingest.workers import each_place, find_abandoned, list_filters
from water.clock import Clock
from water.loading import Outcome, Position, Tally

_JUMP_S = 3_600.0
"""A clock that was set is warned of for so long."""


class Stream:
    """Threads: one reads the broker and writes the journals, one publishes receipts.

    One more loads the overflow, where there is one.
    """

    def __init__(
        self, clock: Clock, overflow: OpenService | None = None, *, leaving: bool = False
    ) -> None:
        """Nothing is opened before `open`; receipts bear the time of `clock`.

        Without an `overflow` a supplier that floods is in the way of the others. A stream that is
        `leaving` subscribes to nothing, unsubscribes, and takes what the broker has kept.
        """
        self._leaving = leaving
        self._clock = clock
        self._open_overflow = overflow
        self._overflow: Overflow | None = None
        self._state = ReceiverState()
        self._receipts: Receipts | None = None
        self._deserted: Deserted | None = None
        self._group: Group | None = None

    def each_place(
        self,
        settings: IngestSettings,
        position: Callable[[str], Position],  # noqa: ARG002 (the broker keeps each place's session)
    ) -> Iterator[IngestSettings]:
        """One place where nothing is shared, else as many as processes want."""
        return each_place(settings)

    def find_abandoned(
        self, settings: IngestSettings, position: Callable[[str], Position]
    ) -> dict[str, str]:
        """Those that no process of this configuration reads; one that leaves can't say."""
        return {} if self._leaving else find_abandoned(settings, position)

    def open(
        self, settings: IngestSettings, group: Group, precedence: Precedence
    ) -> Sequence[Body]:
        """The receiver, then the overflow and the receipts, which go on with what it leaves."""
        shorten_turns()
        mqtt, folder = settings.mqtt, settings.journal.folder
        self._group = group
        receiver = Receiver(
            mqtt,
            [] if self._leaving else list_filters(settings),
            group,
            precedence,
            Silence(settings.silent_s, time.monotonic(), expecting=group.begun),
            Subscriptions(folder / "subscriptions.json", mqtt),
        )
        self._state, self._deserted = receiver.state, Deserted(folder.parent)
        bodies = [Body("ingest-receiver", receiver.run)]
        if settings.receipts:
            self._receipts = Receipts(mqtt, self._clock, precedence)
            bodies.append(Body("ingest-receipts", self._receipts.run))
        if self._open_overflow:
            self._overflow = overflow = Overflow(
                settings, group, precedence, self._receipts, self._open_overflow
            )
            if settings.overflow_messages:
                group.aside = overflow
            bodies.insert(1, Body("ingest-overflow", overflow.run))
        return bodies

    @property
    def passing(self) -> bool:
        """It goes on for ever."""
        return False

    def journalled(self, messages: Sequence[Message]) -> None:
        """Send receipts."""
        if self._receipts and self._group is not None:
            self._receipts.journalled(messages, self._group.newest_entry)

    def loaded(self, batch: Batch, outcomes: Sequence[Outcome] | None) -> None:
        """Send receipts."""
        if self._receipts:
            self._receipts.loaded(batch, outcomes)

    def passed(self, entry: int, messages: int) -> None:
        """No receipt: who has none sends again, and hears what it comes to."""

    def health(self) -> Mapping[str, object]:
        """How it stands with the broker."""
        state = self._state
        subscribed = state.connected and state.subscribed
        return {
            "ready": subscribed and not state.journal_unwritable,
            "connected": state.connected,
            "subscribed": subscribed,
            "trouble": state.trouble,
            "journal_unwritable": state.journal_unwritable,
            "sessions_lost": state.sessions_lost,
            "protocol_errors": state.protocol_errors,
            "clock_jumps": state.clock_jumps,
            "silent": state.silent,
            "silent_s": self._silent_s(),
            "receipts": self._receipts.health() if self._receipts else None,
            "overflow": self._overflow.health() if self._overflow else None,
            "overflow_loaded": self._overflow.empty if self._overflow else True,
            "warnings": self._warnings(),
        }

    def tallies(self) -> Mapping[Tally, int]:
        """What the overflow has counted."""
        return self._overflow.counted() if self._overflow else {}

    def _silent_s(self) -> float | None:
        """Seconds since the last message that was no retained one, or since the start."""
        heard_at = self._state.heard_at
        return round(time.monotonic() - heard_at, 1) if heard_at else None

    def _warnings(self) -> list[tuple[str, str]]:
        """What works and is still to be looked at: in Chinese and in English."""
        warnings: list[tuple[str, str]] = []
        if self._state.silent:
            warnings.append(("已连接但长时间无数据", "connected, but no message arrives"))
        jumped_at = self._state.clock_jumped_at
        if jumped_at is not None and time.monotonic() - jumped_at < _JUMP_S:
            warnings.append(("服务器时钟被调整", "the machine's clock was set"))
        if self._receipts and self._receipts.trouble:
            warnings.append(("回执无法发送", f"receipts can't be sent: {self._receipts.trouble}"))
        warnings += _warn_of_deserted(self._deserted) if self._deserted else []
        return warnings + (_warn_of(self._overflow) if self._overflow else [])

    def gauges(self) -> Mapping[str, float | None]:
        """How it stands with the broker, in numbers."""
        receipts = self._receipts
        return {
            "connected": float(self._state.connected),
            "journal_unwritable": float(self._state.journal_unwritable),
            "sessions_lost": float(self._state.sessions_lost),
            "protocol_errors": float(self._state.protocol_errors),
            "clock_jumps": float(self._state.clock_jumps),
            "silent": float(self._state.silent),
            "silent_seconds": self._silent_s(),
            "receipts_connected": float(receipts.connected) if receipts else None,
            "receipts_dropped": receipts.dropped if receipts else None,
            **(self._overflow.gauges() if self._overflow else {}),
        }


def _warn_of_deserted(deserted: Deserted) -> list[tuple[str, str]]:
    """To which sessions the broker deals messages that nobody receives."""
    return [
        (
            f"没有进程使用 {folder}，消息服务器分给其会话的消息无人接收：{'、'.join(sessions)}",
            f"no process has {folder}, nobody receives what its session is dealt: "
            + ", ".join(sessions),
        )
        for folder, sessions in deserted.list_settled().items()
    ]


def _warn_of(overflow: Overflow) -> list[tuple[str, str]]:
    """Who waits apart, and whether the place for it is not to be had."""
    warnings: list[tuple[str, str]] = []
    for supplier, count in overflow.waiting().items():
        whose, whose_english = _NOBODYS if supplier == NOBODY else (f"{supplier} 的", supplier)
        warnings.append(
            (
                f"{whose}积压消息 {count} 条在溢流日志中单独排队，不影响其他供水企业",
                f"{count} messages of {whose_english} wait apart, others are not held up",
            )
        )
    if overflow.trouble:
        warnings.append(("溢流日志无法打开", f"the overflow can't be opened: {overflow.trouble}"))
    return warnings


_NOBODYS = "不属于任何供水企业的", "topics of no supplier"
