"""One load into InfluxDB: readings first, then everything that counts them, at once."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter

from storage.influx.writing import Begun, Writer, Writing
from storage.merging import Disagreement, Row, merge
from storage.registry import ledger, ledger_touched, ledger_unsettled
from storage.registry.ledger import Conflict
from storage.registry.ledger_touched import Days, keep_newest
from storage.registry.ledger_unsettled import Identity
from water.city_time import CityTime, days_between
from water.loading import Outcome, Position, Refused, Tally
from water.readings import Reading

_FIRST_QUANTITY, _QUALITY = 3, 7
_AT = itemgetter(1)

LookUp = Callable[[Sequence[Identity]], dict[Identity, Row]]
"""The stored rows with one of these identities."""


class Load:
    """The transaction that ingest loads through (ingest.ports.LoadTransaction).

    Readings are written where they are added: only the server can say which of them it refuses.
    What counts them waits for `finish`. Between the two, and after a crash between them, the
    ledger knows them as unsettled.

    Args:
        writer: writes readings.
        name: the name of this loader in the ledger.
        city: cuts time into local days.
        look_up: finds stored readings.
    """

    def __init__(self, writer: Writer, name: str, city: CityTime, look_up: LookUp) -> None:
        self._writer = writer
        self._connection = writer.connection
        self._unsettled = writer.unsettled
        self._name = name
        self._city = city
        self._look_up = look_up
        self._own_rows: list[int] = []
        self._added = 0
        self._refusals: dict[int, str] = {}
        self._touched: Days = {}
        self._conflicts: list[Conflict] = []
        self._refused: list[Refused] = []
        self._released: set[int] = set()
        self._tallies: Counter[Tally] = Counter()
        self._positions: dict[str, Position] = {}

    def add_readings(self, readings: Sequence[Reading]) -> list[Outcome] | None:
        """Store readings, first value wins; None if every one was stored, else an outcome each.

        Raises:
            StoreUnavailableError: some may be written and none is counted; load them again.
        """
        if not readings:
            return None
        first, self._added = self._added, self._added + len(readings)
        begun = readings if isinstance(readings, Begun) else self._writer.begin(readings)
        outcomes, refused = None, self._finish_writing(begun.new) if begun.new else {}
        if begun.late:
            outcomes = [Outcome.STORED] * len(begun)
            merged, said = self._add_late([begun[place] for place in begun.late])
            refused |= said
            for place, outcome in zip(begun.late, merged, strict=True):
                outcomes[place] = outcome
        if refused:
            outcomes = outcomes or [Outcome.STORED] * len(begun)
            self._refuse(begun, outcomes, refused, first)
        return outcomes

    def _finish_writing(self, writing: Writing) -> dict[Identity, str]:
        """Wait until readings are written; the refused ones with the server's reason."""
        if writing.row is not None:
            self._own_rows.append(writing.row)
        identities, refusals = writing.identities, writing.refusals.result()
        if not refusals:
            self._note_days(identities)
            return {}
        self._note_days([one for i, one in enumerate(identities) if i not in refusals])
        return {identities[i]: reason for i, reason in refusals.items()}

    def _add_late(self, readings: Sequence[Reading]) -> tuple[list[Outcome], dict[Identity, str]]:
        """Merge readings into what is stored: an outcome each, and what the server refuses."""
        there = self._find_there(readings)
        outcomes, rows, filled = self._merge(readings, dict(there))
        if not rows:
            return outcomes, {}
        lists, parts = self._unsettled.lists, self._unsettled.unlisted(filled)
        whole = {identity for identity in filled if identity in there or lists(identity)}
        return outcomes, self._finish_writing(self._writer.write_merged(rows, parts, whole))

    def _find_there(self, readings: Sequence[Reading]) -> dict[Identity, Row]:
        """The stored rows with the identity of one of these."""
        late = [reading[:2] for reading in readings if self._writer.is_late(reading[:2])]
        return dict(self._counted(self._look_up(late) if late else {}))

    def _merge(
        self, readings: Sequence[Reading], there: dict[Identity, Row]
    ) -> tuple[list[Outcome], list[Row], dict[Identity, int]]:
        """An outcome each, the rows to write, and which quantities are new in them.

        `there` are the stored rows; brought up to date.
        """
        filled: dict[Identity, int] = {}
        outcomes: list[Outcome] = []
        for reading in readings:
            identity = reading[:2]
            offered = _mask(reading)
            self._unsettled.settle(identity, offered)
            kept = there.get(identity)
            if kept is None:
                there[identity] = reading
                filled[identity] = offered
                outcomes.append(Outcome.STORED)
                continue
            merged = merge(kept, reading)
            outcomes.append(merged.outcome)
            self._conflicts += _conflicts(reading, merged.disagreements)
            if merged.row != kept:
                there[identity] = merged.row
                new = _mask(merged.row) & ~_mask(kept)
                filled[identity] = filled.get(identity, 0) | new
        return outcomes, [there[identity] for identity in filled], filled

    def _counted(self, found: Mapping[Identity, Row]) -> Iterable[tuple[Identity, Row]]:
        """What was found, without what a crashed load wrote and nobody counted."""
        for identity, row in found.items():
            mask = self._unsettled.mask(identity)
            kept = _without(row, mask) if mask else row
            if _mask(kept):
                yield identity, kept

    def _note_days(self, readings: Sequence[Identity]) -> None:
        """Keep which local days of which meters are touched; `readings` are in order of time."""
        if not readings:
            return
        first, last = (
            self._city.day_of(datetime.fromtimestamp(readings[i][1], UTC)) for i in (0, -1)
        )
        begin = 0
        for day in days_between(first, last):
            midnight = self._city.day_bounds(day)[1].timestamp()
            end = bisect_left(readings, midnight, lo=begin, key=_AT)
            if end > begin:
                # A later one replaces an earlier one: the newest instant of each meter stays.
                keep_newest(
                    self._touched.setdefault(day.isoformat(), {}), dict(readings[begin:end])
                )
            begin = end

    def _note_contested(self) -> None:
        """A day with a new conflict is judged anew."""
        for conflict in self._conflicts:
            day = self._city.day_of(datetime.fromtimestamp(conflict.at, UTC)).isoformat()
            keep_newest(self._touched.setdefault(day, {}), {conflict.meter_id: conflict.at})

    def _refuse(
        self,
        readings: Sequence[Reading],
        outcomes: list[Outcome],
        refused: Mapping[Identity, str],
        first: int,
    ) -> None:
        """Give every reading with a refused identity its outcome and the server's reason."""
        for i, reading in enumerate(readings):
            if reading[:2] in refused:
                outcomes[i] = Outcome.REFUSED
                self._refusals[first + i] = refused[reading[:2]]
        self._conflicts = [c for c in self._conflicts if (c.meter_id, c.at) not in refused]

    def refusals(self) -> Mapping[int, str]:
        """Of the readings with outcome REFUSED: index in what was added → the server's reason."""
        return self._refusals

    def add_refused(self, refused: Sequence[Refused]) -> None:
        """Keep refused readings in quarantine."""
        self._refused += refused

    def release_refused(self, ids: Sequence[int]) -> list[int]:
        """Take quarantine rows out for a re-run; the ids that were still there.

        Each row leaves the account "quarantined" (its supplier and reason) of the ledger
        "readings"; the caller adds what it became, and nothing to "decoded".
        """
        with self._connection.begin():
            accounts = ledger.find_refused(self._connection, ids)
        released = [row for row in ids if row in accounts and row not in self._released]
        self._released.update(released)
        self._tallies.subtract(accounts[row] for row in released)
        return released

    def add_tallies(self, tallies: Mapping[Tally, int]) -> None:
        """Add to the counts."""
        self._tallies.update(tallies)

    def set_position(self, journal: str, position: Position) -> None:
        """Everything of `journal` before `position` is loaded."""
        self._positions[journal] = position

    def finish(self) -> None:
        """Count everything and settle it, in one transaction."""
        connection = self._connection
        with connection.begin():
            self._note_contested()
            if self._touched:
                ledger_touched.add(connection, self._name, self._touched)
            if self._released:
                ledger.delete_refused(connection, self._released)
            ledger.add_refused(connection, self._refused)
            ledger.add_conflicts(connection, self._conflicts)
            ledger.add_tallies(connection, self._tallies)
            for journal, position in self._positions.items():
                ledger.set_position(connection, journal, position)
            self._unsettled.save(connection)
            if self._own_rows:
                ledger_unsettled.remove(connection, self._own_rows)


class Loading:
    """Loads of the only loader, one after the other (ingest.ports.Loading)."""

    def __init__(self, writer: Writer, name: str, city: CityTime, look_up: LookUp) -> None:
        self._writer = writer
        self._make_load = partial(Load, writer, name, city, look_up)

    def begin_readings(self, readings: Sequence[Reading]) -> Begun:
        """Begin to store readings; whoever adds them to a load waits for the server."""
        return self._writer.begin(readings)

    @contextmanager
    def load(self) -> Generator[Load]:
        """Begin a load; leaving the block commits it, an exception undoes what it counted."""
        load = self._make_load()
        yield load
        load.finish()


def _mask(row: Row) -> int:
    """Which quantities a row has, a bit each."""
    return (
        (row[3] is not None)
        | (row[4] is not None) << 1
        | (row[5] is not None) << 2
        | (row[6] is not None) << 3
    )


def _without(row: Row, mask: int) -> Row:
    """A row without the quantities of a mask."""
    left = [
        None if mask >> i & 1 else value for i, value in enumerate(row[_FIRST_QUANTITY:_QUALITY])
    ]
    return (*row[:_FIRST_QUANTITY], *left, row[_QUALITY])  # pyright: ignore[reportReturnType] - four quantities


def _conflicts(reading: Reading, disagreements: Sequence[Disagreement]) -> list[Conflict]:
    return [
        Conflict(*reading[:2], quantity, float(kept), float(offered), reading.received_at)
        for quantity, kept, offered in disagreements
    ]
