"""CPU time a message, kind by kind: right ones of every dialect, and hostile ones.

    python bench/kinds.py [--messages N] [--rounds 3] [--seed N] [--only PART]

The right ones are those of docs/connecting.md, the hostile ones those of tests/endurance/storm.py:
each kind alone, and the storm as it comes. One thread, no server, microseconds of CPU (user and
system) a message, the lowest of the rounds. "journal" is reading it; "judged" its decoder, checks
and counts, of which "decoded" is the decoder's part; "kept" the record of what is not decoded and
the embedded store's part without readings, counts and quarantine, whose quota is used up unless the
name says otherwise; "receipts" what is told of a load.
"""

# ruff: noqa: E402 - the script's own folder must first stop hiding the package of the same name

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])
sys.path.append(str(Path(__file__).parents[1] / "tests/endurance"))

import argparse
import random
import tempfile
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec
import structlog
from examples import PAYLOADS, RESTS, agree  # pyright: ignore[reportMissingImports] - of the tests
from rich.console import Console
from rich.table import Table
from storm import Storm  # pyright: ignore[reportMissingImports] - of the tests

from bench.influx import CITY
from bench.parts import Spent, timing
from ingest.batch import Batch, Rules
from ingest.broker.receipts import describe_loaded
from ingest.checks import make_directory
from ingest.journal import RETAINED, Entry, JournalReader, Message, open_journal
from ingest.journal.undecoded import UndecodedLog
from ingest.quota import Quota
from ingest.settings import Limits
from ingest.topics import attribute
from jieshui.processes import spare_the_collector
from storage.readings import open_readings
from water.clock import SystemClock
from water.loading import Position
from water.meters import KnownMeter
from water.policy import Policy

SUPPLIER, OTHER = "north", "good"
NOW = 1_789_434_000
"""Arrival: an hour after what the payloads of the page tell."""
OWN = [f"own-{n}" for n in range(50)]
OTHERS = [f"good-{n}" for n in range(50)]
LIMITS = Limits()
PARTS = ("journal", "judged", "kept", "receipts")
"""What a message costs altogether."""


class Kind(NamedTuple):
    """Messages that are right or wrong in one way, and the rows that their supplier holds."""

    messages: Sequence[Message]
    held: int = LIMITS.quarantine_quota


def make_rules() -> Rules:
    """Rules by which every right message of the page is a reading of a known meter."""
    agreements = agree(SUPPLIER)
    devices = {
        (supplier, "jieshui", meter): KnownMeter(meter, supplier, None, None, None, None)
        for supplier, meters in ((SUPPLIER, [*OWN, "M-2"]), (OTHER, OTHERS))
        for meter in meters
    }
    for dialect, payloads in PAYLOADS.items():
        decode = agreements.decoders[SUPPLIER, dialect]
        for reading in chain.from_iterable(decode(RESTS[dialect], p, NOW) for p in payloads):
            key = SUPPLIER, dialect, reading.address
            devices[key] = KnownMeter(reading.address, SUPPLIER, None, None, None, None)
    directory = make_directory(1, frozenset({SUPPLIER, OTHER}), devices)
    return Rules((), Policy(oldest_days=365), directory, agreements)


def list_kinds(count: int, seed: str) -> dict[str, Kind]:
    """What is measured, by name."""
    return {**_list_right(count), **_list_refused(count), **_list_storm(count, seed)}


def _list_right(count: int) -> dict[str, Kind]:
    """The first payload of each dialect, over and over."""
    return {
        dialect: Kind([_message(f"{dialect}/{RESTS[dialect]}", payloads[0])] * count)
        for dialect, payloads in PAYLOADS.items()
    }


def _list_refused(count: int) -> dict[str, Kind]:
    """What is refused or set aside before anything of it is stored."""
    reading = f'{{"at":{NOW - 60},"register_m3":1.5}}'.encode()
    future = f'{{"at":{NOW + 86_400},"register_m3":1.5}}'.encode()
    own, status = "jieshui/own-1/reading", "jieshui/own-1/status"
    unknown = [_message(f"jieshui/x{n}/reading", reading) for n in range(count)]
    nobody = f"water/v1/nobody/{own}"
    return {
        "unknown meters, kept": Kind(unknown, 0),
        "unknown meters, beyond the quota": Kind(unknown),
        "future, kept": Kind([_message(own, future)] * count, 0),
        "future, beyond the quota": Kind([_message(own, future)] * count),
        "no supplier's": Kind([_at(nobody, reading)] * count),
        "unknown topic": Kind([_at("elsewhere/1", reading)] * count),
        "unknown dialect": Kind([_message("nosuch/1", reading)] * count),
        "no JSON": Kind([_message(own, b"\x8a\xff\x00 no json")] * count),
        "JSON of another shape": Kind([_message(own, b'{"readings":{"a":1}}')] * count),
        "NaN": Kind([_message(own, b'{"at":1789430400,"register_m3":NaN}')] * count),
        "status": Kind([_message(status, b'{"battery":3}')] * count),
        "retained": Kind([_message(own, reading, RETAINED)] * count),
    }


def _list_storm(count: int, seed: str) -> dict[str, Kind]:
    """The storm, and each kind of it as often as it comes in five times as many."""
    storm = Storm(SUPPLIER, OWN, OTHERS, NOW, random.Random(seed))
    whole, by_kind = list[Message](), defaultdict[str, list[Message]](list)
    for hostile in storm.make(count * 5):
        flags = RETAINED if hostile.retain else 0
        message = _at(hostile.topic.decode(), hostile.payload[: LIMITS.payload_bytes], flags)
        whole.append(message)
        by_kind[hostile.kind].append(message)
    kinds = {name: Kind(messages[:count]) for name, messages in sorted(by_kind.items())}
    return {f"storm: {name}": kind for name, kind in kinds.items()} | {
        "the storm": Kind(whole[:count])
    }


def _message(rest: str, payload: bytes, flags: int = 0) -> Message:
    return _at(f"water/v1/{SUPPLIER}/{rest}", payload, flags)


def _at(topic: str, payload: bytes, flags: int = 0) -> Message:
    owner = attribute(topic, (), frozenset({SUPPLIER, OTHER}))
    return Message(owner, topic, payload, NOW * 1000, flags)


def measure(folder: Path, kind: Kind, rules: Rules) -> Spent:
    """One round of one kind: CPU seconds a part."""
    spent: Spent = defaultdict(float)
    waiting = read_back(spent, folder / "journal", kind.messages)
    with timing(spent, "decoded"):
        for entry in waiting:
            rules.read(entry)
    batches = list[Batch]()
    while waiting:
        batches.append(batch := Batch(rules, limit=LIMITS.batch_readings))
        with timing(spent, "judged"):
            batch.take(waiting)
    keep(spent, folder, batches, kind.held)
    with timing(spent, "receipts"):
        for batch in batches:
            msgspec.json.encode(describe_loaded(batch, None))
    return spent


def read_back(spent: Spent, folder: Path, messages: Sequence[Message]) -> deque[Entry]:
    """What a journal gives back of messages."""
    journal, waiting, position = open_journal(folder, 64 << 20), deque[Entry](), Position()
    for first in range(0, len(messages), 1_000):
        journal.append(messages[first : first + 1_000])
    reader = JournalReader(folder, journal.marker, journal.committed)
    while position.entry < len(messages):
        with timing(spent, "journal"):
            entries, position = reader.read(position)
        waiting.extend(entries)
    journal.close()
    return waiting


def keep(spent: Spent, folder: Path, batches: Iterable[Batch], held: int) -> None:
    """What a loader keeps of batches besides their readings."""
    store = open_readings(folder / "store", CITY, SystemClock())
    log, quota = UndecodedLog(folder / "journal"), Quota(LIMITS, {SUPPLIER: held})
    for batch in batches:
        with timing(spent, "kept"), store.load() as load:
            log.note(batch.entries, batch.undecoded)
            kept, quota = quota.admit(batch.list_refused({}))
            if kept:
                load.add_refused(kept)
            load.add_tallies(batch.settle(None))
            load.set_position("ingest", batch.position)
    store.close()


def tabulate(lowest: Mapping[str, Spent], kinds: Mapping[str, Kind]) -> Table:
    """Microseconds a message."""
    table = Table(title="CPU µs a message")
    for heading in ("", *PARTS, "decoded", "altogether"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, spent in lowest.items():
        each = {part: seconds * 1e6 / len(kinds[name].messages) for part, seconds in spent.items()}
        whole = sum(each[part] for part in PARTS)
        figures = (*(each[part] for part in PARTS), each["decoded"], whole)
        table.add_row(name, *(f"{figure:.1f}" for figure in figures))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=10_000, help="of each kind, at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", default="", help="part of the names of the kinds to measure")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    spare_the_collector(threading.Event())
    rules, kinds = make_rules(), list_kinds(arguments.messages, arguments.seed)
    lowest: dict[str, Spent] = {}
    for name in (name for name in kinds if arguments.only in name):
        rounds: list[Spent] = []
        for _ in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as folder:
                rounds.append(measure(Path(folder), kinds[name], rules))
        lowest[name] = {part: min(spent[part] for spent in rounds) for part in rounds[0]}
    Console().print(tabulate(lowest, kinds))


if __name__ == "__main__":
    main()
