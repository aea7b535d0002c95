"""The intake from a file: its rows go through the journal and the checks like any reading."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import msgspec
import structlog

from ingest.accounting import ACCOUNTS
from ingest.agreements import Agreements
from ingest.batch import Batch
from ingest.errors import JournalUnwritableError
from ingest.groups import Group
from ingest.history.decoding import decode_history
from ingest.history.log import HistoryLog
from ingest.history.rows import FORM, ReadRow, Row, Unfit
from ingest.intake import Body
from ingest.journal import Message
from ingest.places import import_place
from ingest.precedence import Precedence
from ingest.settings import IngestSettings
from water.loading import Outcome, Position, Tally
from water.refusals import Refusal

log = structlog.get_logger()

MESSAGE_ROWS = 500
"""Rows in a message; the cut of a file, and so part of the name of an import."""
_GROUP_MESSAGES = 40
"""Messages made durable at once: 20,000 rows, some 2 MB."""
_AHEAD = 200
"""Messages that may wait for the store: the journal is to be no second copy of a huge file."""
_SHOWN = 50
"""Unfit lines of each reason whose numbers are kept; all are counted."""
_MESSAGE_BYTES = 1 << 20
"""More than so many rows can come to."""
_ROOM_S = 1.0
"""Seconds between tries to write while the journal has no room."""


@dataclass(slots=True)
class Tale:
    """What became of a file's lines.

    Attributes:
        rows: lines that are rows of history.
        unfit: lines that are none, by reason.
        places: the numbers of the first of these lines, by reason.
        earlier: of `rows`, those that an import that broke off (or ended) had journalled.
        counts: what became of the readings that were loaded meanwhile, by account.
        quarantined: those of them that a check refused, by reason.
        untold: messages that were loaded meanwhile while the store's answer got lost: what became
            of their rows only the stored sums show.
    """

    rows: int = 0
    unfit: Counter[Unfit] = field(default_factory=Counter[Unfit])
    places: dict[Unfit, list[int]] = field(default_factory=dict[Unfit, list[int]])
    earlier: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    quarantined: Counter[str] = field(default_factory=Counter[str])
    untold: int = 0

    def describe(self) -> dict[str, Any]:
        """As programs read it."""
        return {
            "rows": self.rows,
            "earlier": self.earlier,
            **{account: self.counts[account] for account in ("stored", "duplicate", "conflict")},
            "quarantined": dict(self.quarantined),
            "loaded_untold": self.untold,
            "unfit": {reason.value: count for reason, count in self.unfit.items()},
            "lines": {reason.value: numbers for reason, numbers in self.places.items()},
        }


@dataclass(frozen=True, slots=True)
class Import:
    """What is imported.

    Attributes:
        content: digest of the file.
        supplier: whose meters these are.
        dialect: whose addresses their rows hold.
        options: whatever else decides which rows the file has.
        lines: of the file, numbered.
        read: fields of a line → row.
        again: whether to begin from the start whatever was imported.
    """

    content: str
    supplier: str
    dialect: str
    options: Sequence[str]
    lines: Iterable[tuple[int, Sequence[str] | Unfit]]
    read: ReadRow
    again: bool = False

    @property
    def name(self) -> str:
        """Tells this import from every other: the same one goes on where it stood."""
        said = (self.content, self.supplier, self.dialect, FORM, MESSAGE_ROWS, *self.options)
        return " ".join(map(str, said))


def history_settings(settings: IngestSettings) -> IngestSettings:
    """How an import is judged: written in our own form, whatever dialect its addresses are of."""
    own_form = Agreements(form=decode_history)
    limits = replace(settings.limits, payload_bytes=_MESSAGE_BYTES)
    return replace(settings, agreements=own_form, limits=limits)


class History:
    """One thread, which cuts a file into messages and writes the journal (`Intake`)."""

    def __init__(self, what: Import | None) -> None:
        """With None nothing new is written: what an import left behind is loaded."""
        self._what = what
        self.tale = Tale()
        self.written = threading.Event()
        self._group: Group | None = None
        self._log: HistoryLog | None = None
        self._loaded = threading.Condition()
        self._newest_loaded = 0
        self._trouble = ""

    # -- ingest.intake.Intake

    def each_place(
        self,
        settings: IngestSettings,
        position: Callable[[str], Position],  # noqa: ARG002 (imports have one place)
    ) -> Iterator[IngestSettings]:
        """The one journal of imports."""
        yield import_place(settings)

    def find_abandoned(
        self,
        settings: IngestSettings,  # noqa: ARG002 (it is not ours to say)
        position: Callable[[str], Position],  # noqa: ARG002 (likewise)
    ) -> dict[str, str]:
        """The ingest process says it."""
        return {}

    def open(
        self,
        settings: IngestSettings,
        group: Group,
        precedence: Precedence,  # noqa: ARG002 (nobody waits for an answer)
    ) -> Sequence[Body]:
        """One thread, which writes the journal."""
        self._group, self._log = group, HistoryLog(settings.journal.folder)
        self._newest_loaded = group.newest_entry
        return [Body("ingest-history", self._run)]

    @property
    def passing(self) -> bool:
        """It ends with its file."""
        return True

    def journalled(self, messages: Sequence[Message]) -> None:
        """Nobody is told."""

    def loaded(self, batch: Batch, outcomes: Sequence[Outcome] | None) -> None:
        """Count what became of the rows, and let the file go on."""
        for judgement in batch.judgements:
            _count(self.tale, judgement.refused, _of(outcomes, judgement.first, judgement.end))
        self.passed(batch.position.entry, 0)

    def passed(self, entry: int, messages: int) -> None:
        """Count the messages of which nobody heard what became, and let the file go on."""
        self.tale.untold += messages
        with self._loaded:
            self._newest_loaded = entry
            self._loaded.notify()

    def tallies(self) -> Mapping[Tally, int]:
        """Nothing is loaded beside."""
        return {}

    def health(self) -> Mapping[str, object]:
        """Whether the journal can be written."""
        return {"ready": not self._trouble, "trouble": self._trouble}

    def gauges(self) -> Mapping[str, float | None]:
        """Nothing beside the journal's own."""
        return {}

    # -- the thread

    def _run(self, stop: threading.Event) -> None:
        what, group = self._what, self._group
        if what is not None and group is not None and self._log is not None:
            before = self._log.begin(what.name, group.newest_entry, again=what.again)
            messages = self._messages(what, before)
            while not stop.is_set() and self._write(messages, group, stop):
                pass
        if not stop.is_set():
            self.written.set()

    def _messages(self, what: Import, before: int) -> Iterator[tuple[bytes, bytes]]:
        """(topic, payload) of each message, save the first ones that the journal has."""
        rows = self._rows(what)
        number = 0
        while part := list(islice(rows, MESSAGE_ROWS)):
            number += 1
            if number <= before:
                self.tale.earlier += len(part)
                continue
            topic = f"water/v1/{what.supplier}/{what.dialect}/-/reading"
            yield topic.encode(), msgspec.json.encode({"readings": part})

    def _rows(self, what: Import) -> Iterator[Row]:
        tale, read = self.tale, what.read
        for number, fields in what.lines:
            row = fields if isinstance(fields, Unfit) else read(fields)
            if isinstance(row, Row):
                tale.rows += 1
                yield row
            else:
                tale.unfit[row] += 1
                places = tale.places.setdefault(row, [])
                if len(places) < _SHOWN:
                    places.append(number)

    def _write(
        self, messages: Iterator[tuple[bytes, bytes]], group: Group, stop: threading.Event
    ) -> bool:
        """Make the next messages durable, once the store is not far behind; False at the end."""
        part = list(islice(messages, _GROUP_MESSAGES))
        if not part:
            return False
        group.take([(topic, payload, 0, None) for topic, payload in part])
        with self._loaded:
            while group.newest_entry - self._newest_loaded > _AHEAD and not stop.is_set():
                self._loaded.wait(_ROOM_S)
        while not stop.is_set():
            try:
                group.commit()
            except JournalUnwritableError as error:
                self._note_trouble(str(error))
                stop.wait(_ROOM_S)
            else:
                self._note_trouble("")
                return True
        return False

    def _note_trouble(self, trouble: str) -> None:
        if trouble and not self._trouble:
            log.error("journal can't be written, the import waits", error=trouble)
        self._trouble = trouble


def _of(outcomes: Sequence[Outcome] | None, first: int, end: int) -> Counter[Outcome]:
    """How often each outcome came of some readings; None = all were stored."""
    return (
        Counter({Outcome.STORED: end - first})
        if outcomes is None
        else Counter(Outcome(outcome) for outcome in outcomes[first:end])
    )


def _count(tale: Tale, refused: Sequence[tuple[int, str]], outcomes: Mapping[Outcome, int]) -> None:
    tale.quarantined.update(reason for _, reason in refused)
    for outcome, count in outcomes.items():
        if outcome is Outcome.REFUSED:
            tale.quarantined[Refusal.STORE_REFUSED.value] += count
        else:
            tale.counts[ACCOUNTS[outcome]] += count
