"""The job "rerun_quarantine": refused readings judged again by today's directory and decoders."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

from ingest.accounting import tally_outcome
from ingest.batch import Rules
from ingest.checks import check
from ingest.errors import IngestError
from ingest.journal import JournalReader
from ingest.ports import ReadingsSink
from ingest.replays.difference import attribute_today
from ingest.replays.held import held_in, match_parts
from water.loading import Outcome, Refused, Tally
from water.readings import Reading
from water.refusals import Refusal

RERUN_QUARANTINE = "rerun_quarantine"
"""The kind of the job; arguments supplier, reason and ids narrow it, none = everything held."""

_PAGE = 1_000

Row = Mapping[str, Any]
"""A quarantine row: id and the fields of water.loading.Refused."""


@dataclass(slots=True)
class Rerun:
    """What a re-run came to.

    `passed` rows were stored (or were there already), `refused` ones stay in quarantine, and so
    do `unmatched` ones, whose reading the message gives no more (`ingest.replays.held`); `gone`
    ones stand in a part of the journal that is no longer kept. `elsewhere` are the journals of
    other workers that hold further rows: only those workers can read them.
    """

    passed: int = 0
    refused: int = 0
    unmatched: int = 0
    gone: int = 0
    elsewhere: set[str] = field(default_factory=set[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])

    def describe(self) -> dict[str, object]:
        """The outcome of the job, as people and programs read it."""
        counts = {
            "passed": self.passed, "refused": self.refused,
            "unmatched": self.unmatched, "gone": self.gone,
        }  # fmt: skip
        return {**counts, **self.outcomes}


def rerun_quarantine(
    arguments: Mapping[str, Any],
    journal: str,
    reader: JournalReader,
    sink: ReadingsSink,
    rules: Rules,
) -> Rerun:
    """Judge refused readings again; what passes is stored and leaves quarantine, page by page.

    Only the rows of this journal, which `reader` reads, are judged.

    Raises:
        IngestError: the arguments say something that can't be.
    """
    rerun = Rerun()
    for rows in _pages(arguments, sink):
        own = [row for row in rows if row["journal"] == journal]
        rerun.elsewhere |= {row["journal"] for row in rows} - {journal}
        _rerun_page(own, reader, sink, rules, rerun)
    return rerun


def _pages(arguments: Mapping[str, Any], sink: ReadingsSink) -> Iterator[Sequence[Row]]:
    supplier, reason = arguments.get("supplier") or "", arguments.get("reason") or ""
    if not isinstance(supplier, str) or not isinstance(reason, str):
        raise IngestError("rerun_quarantine: supplier and reason are texts")
    ids: Any = arguments.get("ids")
    if ids is not None:
        if not isinstance(ids, list) or not all(type(row) is int for row in cast("list[Any]", ids)):
            raise IngestError("rerun_quarantine: ids is a list of whole numbers")
        rows = sink.load_refused(cast("list[int]", ids))
        terms = (("supplier", supplier), ("reason", reason))
        yield [row for row in rows if all(row[name] == value for name, value in terms if value)]
        return
    cursor: str | None = None
    while True:
        page = sink.page_refused(supplier=supplier, reason=reason, cursor=cursor, limit=_PAGE)
        yield page.rows
        cursor = page.next
        if cursor is None:
            return


def _rerun_page(
    rows: Sequence[Row], reader: JournalReader, sink: ReadingsSink, rules: Rules, rerun: Rerun
) -> None:
    passing = dict(_judge_again(rows, reader, rules, rerun))
    if not passing:
        return
    by_id = {row["id"]: row for row in rows}
    with sink.load() as load:
        released = [by_id[row] for row in load.release_refused(list(passing))]
        outcomes = load.add_readings([passing[row["id"]] for row in released]) if released else None
        refusals = load.refusals() if outcomes else dict[int, str]()
        again = [_refuse_again(released[index], said) for index, said in refusals.items()]
        if again:
            load.add_refused(again)
        tallies: Counter[Tally] = Counter()
        for place, row in enumerate(released):
            outcome = Outcome.STORED if outcomes is None else Outcome(outcomes[place])
            tallies[tally_outcome(row["supplier"], outcome)] += 1
        load.add_tallies(tallies)
    rerun.passed += len(released) - len(again)
    rerun.refused += len(again)
    for tally, count in tallies.items():
        if tally.account != "quarantined":
            rerun.outcomes[tally.account] += count


def _refuse_again(row: Row, said: str) -> Refused:
    """The row that goes back to quarantine, because the store's server refuses the reading."""
    kept = Refused(*(row[name] for name in Refused._fields))
    return kept._replace(reason=Refusal.STORE_REFUSED.value, detail=said)


def _judge_again(
    rows: Sequence[Row], reader: JournalReader, rules: Rules, rerun: Rerun
) -> Iterator[tuple[int, Reading]]:
    """The rows that pass now, with their readings; rows of one message are read once."""
    for (segment, offset), group in groupby(rows, key=itemgetter("segment", "offset")):
        held = [held_in(row) for row in group]
        entry = reader.read_entry(segment, offset)
        if entry is None:
            rerun.gone += len(held)
            continue
        # (One that was nobody's has rows since a replay, once its topic had a supplier.)
        entry = attribute_today(entry, rules)
        contents = rules.read(entry)
        parts = match_parts(held, contents.readings)
        rerun.unmatched += len(held) - len(parts)
        for row, part in parts.items():
            judged = check(
                contents.readings[part],
                entry.supplier,
                contents.dialect,
                entry.received_ms // 1000,
                rules.directory,
                rules.policy,
            )
            if isinstance(judged, Reading):
                yield row, judged
            else:
                rerun.refused += 1
