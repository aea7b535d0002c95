"""One load into InfluxDB: readings first, then everything that counts them, at once."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

from storage.influx.client import InfluxClient
from storage.influx.lines import format_reading, write_lines
from storage.merging import Disagreement, Row, merge
from storage.registry import ledger, ledger_touched, ledger_unsettled
from storage.registry.ledger import Conflict
from storage.registry.ledger_touched import Days
from storage.registry.ledger_unsettled import Identity, Part, Unsettled
from water.city_time import CityTime, days_between
from water.loading import Outcome, Position, Refused, Tally
from water.readings import Reading

_FIRST_QUANTITY, _QUALITY = 3, 7
_BEFORE_ALL = -(2**63)

LookUp = Callable[[Sequence[Identity]], dict[Identity, Row]]
"""The stored rows with one of these identities."""


class Load:
    """The transaction that ingest loads through (ingest.ports.LoadTransaction).

    Readings are written where they are added: only the server can say which of them it refuses.
    What counts them waits for `finish`. Between the two, and after a crash between them, the
    ledger knows them as unsettled.

    Args:
        client: where readings go.
        connection: of the only loader, without a transaction.
        writer: the name of this loader in the ledger.
        city: cuts time into local days.
        newest: meter → the instant of its newest stored reading; brought up to date.
        look_up: finds stored readings.
    """

    def __init__(
        self,
        client: InfluxClient,
        connection: Connection,
        writer: str,
        city: CityTime,
        newest: dict[str, int],
        look_up: LookUp,
    ) -> None:
        self._client = client
        self._connection = connection
        self._writer = writer
        self._city = city
        self._newest = newest
        self._look_up = look_up
        with connection.begin():
            self._unsettled = Unsettled(connection)
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
        rows: list[Row] = [(reading[1], reading[0], *reading[2:]) for reading in readings]
        first, self._added = self._added, self._added + len(rows)
        late = self._find_late(rows)
        if late or self._unsettled or len({row[:2] for row in rows}) < len(rows):
            outcomes, changed = self._merge(rows, late)
        else:
            outcomes, changed = None, [(row, _mask(row)) for row in rows]
        refused = self._write(sorted(changed, key=_instant))
        if refused:
            outcomes = outcomes or [Outcome.STORED] * len(rows)
            self._refuse(rows, outcomes, refused, first)
        return outcomes

    def _find_late(self, rows: Sequence[Row]) -> list[Identity]:
        """The readings that are not newer than everything stored of their meter."""
        newest = self._newest
        return [row[:2] for row in rows if row[0] <= newest.get(row[1], _BEFORE_ALL)]

    def _merge(
        self, rows: Sequence[Row], late: Sequence[Identity]
    ) -> tuple[list[Outcome], list[tuple[Row, int]]]:
        """An outcome each, and the rows to write with the quantities that are new in them."""
        found = self._look_up(late) if late else {}
        there = dict(self._settled(found))
        filled: dict[Identity, int] = {}
        outcomes: list[Outcome] = []
        for row in rows:
            identity = row[:2]
            self._unsettled.settle(identity, _mask(row))
            kept = there.get(identity)
            if kept is None:
                there[identity] = row
                filled[identity] = _mask(row)
                outcomes.append(Outcome.STORED)
                continue
            merged = merge(kept, row)
            outcomes.append(merged.outcome)
            self._conflicts += _conflicts(row, merged.disagreements)
            if merged.row != kept:
                there[identity] = merged.row
                new = _mask(merged.row) & ~_mask(kept)
                filled[identity] = filled.get(identity, 0) | new
        return outcomes, [(there[identity], mask) for identity, mask in filled.items()]

    def _settled(self, found: Mapping[Identity, Row]) -> Iterable[tuple[Identity, Row]]:
        """What was found, without what a crashed load wrote and nobody counted."""
        for identity, row in found.items():
            mask = self._unsettled.mask(identity)
            kept = _without(row, mask) if mask else row
            if _mask(kept):
                yield identity, kept

    def _write(self, changed: Sequence[tuple[Row, int]]) -> dict[Identity, str]:
        """Write rows in order of time; the refused ones with the server's reason."""
        if not changed:
            return {}
        parts = [Part(row[0], row[1], mask) for row, mask in changed]
        with self._connection.begin():
            self._own_rows.append(ledger_unsettled.add(self._connection, parts))
        # Before the request: if its answer gets lost, these readings may be there all the same.
        self._newest.update((row[1], row[0]) for row, _ in changed if self._is_newest(row))
        refusals = write_lines(self._client, [format_reading(row) for row, _ in changed])
        refused = {changed[i][0][:2]: reason for i, reason in refusals.items()}
        self._note_days([row for row, _ in changed if row[:2] not in refused])
        return refused

    def _is_newest(self, row: Row) -> bool:
        return row[0] > self._newest.get(row[1], _BEFORE_ALL)

    def _note_days(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        first, last = (
            self._city.day_of(datetime.fromtimestamp(at, UTC)) for at in (rows[0][0], rows[-1][0])
        )
        days = days_between(first, last)
        starts = [int(self._city.day_start(day).timestamp()) for day in days]
        names = [day.isoformat() for day in days]
        touched: Days = {}
        for row in rows:
            day = names[bisect_right(starts, row[0]) - 1]
            # In order of time: the last one is a meter's newest.
            touched.setdefault(day, {})[row[1]] = row[0]
        ledger_touched.merge(self._touched, touched)

    def _refuse(
        self,
        rows: Sequence[Row],
        outcomes: list[Outcome],
        refused: Mapping[Identity, str],
        first: int,
    ) -> None:
        """Give every reading with a refused identity its outcome and the server's reason."""
        for i, row in enumerate(rows):
            if row[:2] in refused:
                outcomes[i] = Outcome.REFUSED
                self._refusals[first + i] = refused[row[:2]]
        self._conflicts = [c for c in self._conflicts if (c.at, c.meter_id) not in refused]

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

    def finish(self) -> int | None:
        """Count everything and settle it, in one transaction; the mark of what was touched."""
        connection = self._connection
        with connection.begin():
            mark = None
            if self._touched:
                mark = ledger_touched.add(connection, self._writer, self._touched)
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
        return mark


def _instant(changed: tuple[Row, int]) -> int:
    return changed[0][0]


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


def _conflicts(row: Row, disagreements: Sequence[Disagreement]) -> list[Conflict]:
    return [
        Conflict(row[1], row[0], quantity, float(kept), float(offered), row[2])
        for quantity, kept, offered in disagreements
    ]
