# pyright: standard
# pyarrow types its arrays as unknown: strict rules have nothing to hold on to.
"""The writing of readings into InfluxDB, beside whoever has them written."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from itertools import repeat
from operator import itemgetter, le
from typing import NamedTuple

from sqlalchemy import Connection

from storage.errors import StoreUnavailableError
from storage.influx.client import InfluxClient
from storage.influx.lines import Columns, format_readings, transpose, write_lines
from storage.merging import Row
from storage.registry import ledger_unsettled
from storage.registry.ledger_touched import keep_newest
from storage.registry.ledger_unsettled import Identity, Part, Unsettled
from water.readings import Reading

_BEFORE_ALL = -(2**63)
_AT = itemgetter(1)


class Writing(NamedTuple):
    """A request on its way.

    Attributes:
        identities: the readings that it writes, in order of time.
        row: that of the ledger which lists them; None = the ledger listed them before.
        refusals: the places of those that the server refuses, with its reason, once it answers.
    """

    identities: Sequence[Identity]
    row: int | None
    refusals: Future[dict[int, str]]


class Begun(list[Reading]):
    """Readings of which those are being written that wait for nothing.

    Attributes:
        new: their writing; None = all wait.
        late: the places of the others.
    """

    def __init__(
        self, readings: Sequence[Reading], new: Writing | None, late: Sequence[int] = ()
    ) -> None:
        super().__init__(readings)
        self.new = new
        self.late = late


class Writer:
    """Writes what the only loader has written, and knows what is stored.

    What it is about to write the ledger lists as unsettled, whoever takes it out again.

    Args:
        client: where readings go.
        connection: of the only loader, without a transaction.
        newest: meter → the instant of its newest stored reading; brought up to date.
        unsettled: what crashed loads left behind.
        requests: makes requests in their order, beside the caller.
    """

    def __init__(
        self,
        client: InfluxClient,
        connection: Connection,
        newest: dict[str, int],
        unsettled: Unsettled,
        requests: Executor,
    ) -> None:
        self._client = client
        self.connection = connection
        self._newest = newest
        self.unsettled = unsettled
        self._requests = requests
        self._failed = False

    def begin(self, readings: Sequence[Reading]) -> Begun:
        """Begin to write those of some readings of which nothing can be stored yet."""
        columns = _in_order(readings)
        if not self.unsettled and self._are_new(columns):
            return Begun(readings, self._write_new(columns))
        late = self._find_late(readings)
        waiting = set(late)
        new = [reading for place, reading in enumerate(readings) if place not in waiting]
        return Begun(readings, self._write_new(_in_order(new)) if new else None, late)

    def _write_new(self, readings: Columns) -> Writing:
        parts = list(zip(readings.meters, readings.instants, readings.masks(), strict=True))
        return self._write(readings, parts)

    def write_merged(
        self, rows: Sequence[Row], parts: Sequence[Part], whole: set[Identity]
    ) -> Writing:
        """Begin to write rows, at least one, that stored ones are merged into.

        Args:
            rows: what is to stand there.
            parts: what of it the ledger doesn't know yet for unsettled.
            whole: the identities at which something may stand.
        """
        columns = _in_order(rows)
        return self._write(columns, parts, [one in whole for one in columns.identities])

    def _write(
        self, readings: Columns, parts: Sequence[Part], whole: Sequence[bool] = ()
    ) -> Writing:
        row = None
        if parts:
            with self.connection.begin():
                row = ledger_unsettled.add(self.connection, parts)
        # Before the request: if its answer gets lost, these readings may be there all the same.
        keep_newest(self._newest, dict(readings.identities))
        refusals = self._requests.submit(self._request, readings, whole)
        return Writing(readings.identities, row, refusals)

    def _request(self, readings: Columns, whole: Sequence[bool]) -> dict[int, str]:
        """Make lines and write them, unless what was to be written before them is not."""
        if self._failed:
            raise StoreUnavailableError("the request before this one has failed")
        try:
            return write_lines(self._client, format_readings(readings, whole))
        except BaseException:
            self._failed = True
            raise

    def _are_new(self, readings: Columns) -> bool:
        """Whether each is newer than all that is stored of its meter, and none stands twice."""
        newest = map(self._newest.get, readings.meters, repeat(_BEFORE_ALL))
        late = any(map(le, readings.instants, newest))
        return not late and len(set(readings.identities)) == len(readings.instants)

    def _find_late(self, readings: Sequence[Reading]) -> list[int]:
        """The places of readings that may be stored already, or stand before in the same list."""
        late: list[int] = []
        seen: set[Identity] = set()
        for place, reading in enumerate(readings):
            identity = reading[:2]
            if identity in seen or self.is_late(identity) or self.unsettled.lists(identity):
                late.append(place)
            seen.add(identity)
        return late

    def is_late(self, identity: Identity) -> bool:
        """Whether a reading is not newer than everything that is written of its meter."""
        return identity[1] <= self._newest.get(identity[0], _BEFORE_ALL)


def _in_order(rows: Sequence[Row]) -> Columns:
    """Rows, at least one, as columns in order of time."""
    return transpose(sorted(rows, key=_AT))
