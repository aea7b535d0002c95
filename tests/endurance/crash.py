"""Kills ingest, broker and store at random moments under load, and counts what that costs: nothing.

    python tests/endurance/crash.py [--rounds 1000] [--seed N] [--store embedded|influxdb]

Three suppliers publish until they have the receipt that a message is loaded; a fourth trusts the
broker's acknowledgement. In every round some processes are killed (SIGKILL) while all of them
publish, at moments drawn by the seed, also while they start again; the store may be held up
besides (by another process's write lock; InfluxDB by SIGSTOP), so that the journal runs ahead of
it. Everything starts again and goes on by itself. At the end of each round, and of all, what is
stored is held against what was published: readings by identity and value, and both sums of each
supplier. Exit 1 when one is lost or double.
"""

import argparse
import json
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import zip_longest
from os import kill
from pathlib import Path
from typing import NamedTuple

from installation import INGEST, Installation, patiently
from journal_view import read_entries
from stored import FailedError, load_registers
from suppliers import Book, Identity, TrustingSupplier

from ingest.identity import receipt_id
from ingest.journal import Entry
from jieshui.broker import HOST
from simulators.deliveries import Delivery
from simulators.publish import BrokerAddress, Courier
from water.accounting import sum_messages, sum_readings
from water.loading import Position, Tally

LOAD_S = 1.0
"""Seconds over which the messages of a round go out."""
ROUND_S = 900
"""The readings of a round lie in a span of their own, so that they are found again by time."""
PATIENCE_S = 120
METERS = 50
TRUSTING = "trusting"
BOOKS = {"single": (1, False), "batches": (20, False), "dirty": (3, True), TRUSTING: (1, False)}
"""Supplier → readings in a message at most, and whether some of its messages can't be stored."""
HELD = "store held up"


class Kill(NamedTuple):
    """`part` is killed `at` seconds after the round began, and started `down` seconds later."""

    at: float
    part: str
    down: float


@dataclass
class Figures:
    """What all rounds came to so far."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    at_kill: Counter[str] = field(default_factory=Counter)
    published: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    register_sums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    journalled: Counter[str] = field(default_factory=Counter)


def plan_kills(parts: Sequence[str], dice: random.Random) -> list[Kill]:
    """One to three kills; some hit a process that is only starting again."""
    kills: list[Kill] = []
    for _ in range(dice.choice([1, 1, 2, 2, 3])):
        part = dice.choice([INGEST, *parts])
        at, down = dice.uniform(0, 1.2 * LOAD_S), dice.uniform(0, 0.3)
        kills.append(Kill(at, part, down))
        if dice.random() < 0.25:
            kills.append(Kill(at + down + dice.uniform(0, 0.6), part, dice.uniform(0, 0.3)))
    return sorted(kills)


def judge(published: Mapping[Identity, float], stored: Mapping[Identity, float]) -> list[str]:
    """What is wrong with what is stored; empty: nothing."""
    lost = published.keys() - stored.keys()
    foreign = stored.keys() - published.keys()
    other = [key for key in published.keys() & stored.keys() if published[key] != stored[key]]
    found = {"lost": lost, "never published": foreign, "of another value": other}
    return [f"{len(keys)} {what}: {sorted(keys)[:3]}" for what, keys in found.items() if keys]


class Round:
    """One round; `run` is load, kills, recovery and check.

    Args:
        place: the running installation.
        couriers: supplier → its way to the broker.
        trusting: the supplier without receipts.
        books: supplier → what it publishes.
        figures: brought up to date.
        position: where the journal stood when the round began.
    """

    def __init__(
        self,
        place: Installation,
        couriers: Mapping[str, Courier],
        trusting: TrustingSupplier,
        books: Mapping[str, Book],
        figures: Figures,
        position: Position,
    ) -> None:
        self.position = position
        self._place = place
        self._couriers = couriers
        self._trusting = trusting
        self._books = books
        self._figures = figures
        self._never = threading.Event()

    def run(self, base: int, messages: int, dice: random.Random) -> None:
        """Publish, kill, wait until all is settled, check.

        Raises:
            FailedError: with what is wrong.
        """
        written = [list(book.write(base, messages, dice)) for book in self._books.values()]
        last = written[0].pop()
        publisher = threading.Thread(target=self._publish, args=(written,))
        began = time.monotonic()
        publisher.start()
        actions = self._plan(dice)
        for at, act in actions:
            time.sleep(max(0.0, began + at - time.monotonic()))
            act()
        publisher.join()
        for part in self._place.parts.values():
            if not part.runs:
                part.start()
        self._settle(last)
        self._check(base)
        self._figures.rounds += 1

    def _publish(self, written: Sequence[Sequence[Delivery]]) -> None:
        """Every supplier in turn, spread over the time of the load."""
        turns = list(zip_longest(*written))
        began = time.monotonic()
        for number, turn in enumerate(turns):
            for delivery in filter(None, turn):
                self._send(delivery)
            time.sleep(max(0.0, began + number / len(turns) * LOAD_S - time.monotonic()))

    def _send(self, delivery: Delivery) -> None:
        if delivery.supplier_id == TRUSTING:
            self._trusting.send(delivery)
        else:
            self._couriers[delivery.supplier_id].send(delivery, 0, self._never)

    # -- kills

    def _plan(self, dice: random.Random) -> list[tuple[float, Callable[[], None]]]:
        kills = plan_kills(list(self._place.parts), dice)
        actions: list[tuple[float, Callable[[], None]]] = []
        for one in kills:
            actions.append((one.at, lambda part=one.part: self._kill(part)))
            actions.append((one.at + one.down, lambda part=one.part: self._start(part)))
        if dice.random() < 0.3:
            begin = dice.uniform(0, LOAD_S / 2)
            actions.append((begin, self._hold_store(dice.uniform(0.1, 0.6))))
        return sorted(actions, key=lambda action: action[0])

    def _kill(self, name: str) -> None:
        part = self._place.parts[name]
        if not part.runs:
            return
        if self._place.ingest.ended:
            raise FailedError("ingest has ended by itself")
        part.kill()
        self._figures.kills[name] += 1
        if name == INGEST:
            self._look_at_what_it_left()

    def _start(self, name: str) -> None:
        part = self._place.parts[name]
        if not part.runs:
            part.start()

    def _hold_store(self, seconds: float) -> Callable[[], None]:
        hold = hold_influxd if self._place.influxd else hold_sqlite

        def begin() -> None:
            self._figures.kills[HELD] += 1
            threading.Thread(target=hold, args=(self._place, seconds), daemon=True).start()

        return begin

    def _look_at_what_it_left(self) -> None:
        """What a kill found half done."""
        waiting = {key for courier in self._couriers.values() for key in courier.list_unreceipted()}
        entries, _ = read_entries(self._place.journal, self.position)
        journalled = {receipt_id(entry.payload, entry.flags) for entry in entries}
        loaded = self._place.stores.readings.position("ingest").entry
        unloaded = sum(entry.entry > loaded for entry in entries)
        left = {
            "not journalled": len(waiting - journalled),
            "journalled, not loaded": unloaded,
            "without receipt": len(waiting),
        }
        self._figures.at_kill.update(left)
        self._figures.at_kill.update(f"kills with some {what}" for what, n in left.items() if n)

    # -- recovery

    def _settle(self, last: Delivery) -> None:
        """Wait until every receipt is there; `last` then passes behind all that the broker has."""
        self._wait(lambda: not self._trusting.unacknowledged, "the broker takes every message")
        self._send(last)
        self._wait(self._all_receipted, "every message is loaded and receipted")

    def _all_receipted(self) -> bool:
        for courier in self._couriers.values():
            courier.resend_overdue()
        return not any(courier.unreceipted for courier in self._couriers.values())

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if self._place.ingest.ended:
                raise FailedError("ingest has ended by itself")
            if time.monotonic() > deadline:
                raise FailedError(f"not within {PATIENCE_S} s: {what}")
            time.sleep(0.02)

    # -- check

    def _check(self, base: int) -> None:
        entries, tallies = self._stand_still()
        stored = self._load_stored(base)
        problems: list[str] = []
        for name, book in self._books.items():
            kept = stored[name]
            # What the broker lost of this one is its loss; what we journalled is ours.
            due = _journalled(entries, book) if name == TRUSTING else book.published
            problems += [f"{name}: {problem}" for problem in judge(due, kept)]
            self._figures.published[name] += len(book.published)
            self._figures.stored[name] += len(kept)
            self._figures.register_sums[name] += sum(kept.values())
        problems += self._check_sums(tallies)
        if problems:
            raise FailedError("; ".join(problems))

    def _stand_still(self) -> tuple[list[Entry], dict[Tally, int]]:
        """The round's entries of the journal and the store's counts, once they are of one moment.

        A message that was sent twice may arrive after the receipt that its sender waited for.
        """
        entries: list[Entry] = []
        tallies: dict[Tally, int] = {}
        readings = self._place.stores.readings

        def fit() -> bool:
            loaded = patiently(readings.position)("ingest")
            newer, self.position = read_entries(self._place.journal, self.position, loaded)
            entries.extend(newer)
            self._figures.journalled.update(entry.supplier for entry in newer)
            tallies.clear()  # a count of 0 is not told
            tallies.update(patiently(readings.tallies)())
            return all(
                (one.received, one.waiting) == (self._figures.journalled[name], 0)
                for name, one in sum_messages(tallies).items()
            )

        self._wait(fit, "the store counts as received what the journal holds, and none waits")
        return entries, tallies

    def _load_stored(self, base: int) -> dict[str, dict[Identity, float]]:
        """What the store has of this round, a supplier."""
        load = patiently(load_registers)
        readings, end = self._place.stores.readings, base + ROUND_S
        return {name: load(readings, book.meters, base, end) for name, book in self._books.items()}

    def _check_sums(self, tallies: Mapping[Tally, int]) -> list[str]:
        messages, readings = sum_messages(tallies), sum_readings(tallies)
        problems: list[str] = []
        for name in self._books:
            of_messages, of_readings = messages[name], readings[name]
            told = {
                "messages don't add up": of_messages.balanced,
                "readings don't add up": of_readings.balanced,
                "stored is not counted once each": of_readings.stored == self._figures.stored[name],
                "conflicts": of_readings.conflict == 0,
            }
            problems += [
                f"{name}: {problem} ({of_messages}, {of_readings})"
                for problem, right in told.items()
                if not right
            ]
        return problems


def _journalled(entries: Sequence[Entry], book: Book) -> dict[Identity, float]:
    """The readings of a round that stand in the journal, of a supplier of single readings."""
    own = (_read(entry.payload) for entry in entries if entry.supplier == book.supplier)
    return {key: value for key, value in own if book.published.get(key) == value}


def _read(payload: bytes) -> tuple[Identity, float]:
    row = json.loads(payload)
    return (row["meter"], row["at"]), row["register_m3"]


def hold_sqlite(place: Installation, seconds: float) -> None:
    """Keep every other process from writing the readings, as a compaction would."""
    path = place.folder / "var/readings/readings.sqlite"
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(seconds)
    connection.execute("ROLLBACK")
    connection.close()


def hold_influxd(place: Installation, seconds: float) -> None:
    """Let InfluxDB hang."""
    assert place.influxd
    pid = place.influxd.pid
    if pid is None:
        return
    try:
        kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        kill(pid, signal.SIGCONT)
    except ProcessLookupError:  # killed meanwhile
        return


def check_whole(place: Installation, books: Mapping[str, Book], figures: Figures, base: int) -> int:
    """Hold the whole store against the sum of the rounds; the number of readings in it.

    Raises:
        FailedError: later rounds have changed what earlier ones had stored.
    """
    counts: Counter[str] = Counter()
    sums: dict[str, float] = defaultdict(float)
    end = base + figures.rounds * ROUND_S
    for first in range(base, end, 100 * ROUND_S):
        last = min(first + 100 * ROUND_S, end)
        for name, book in books.items():
            stored = load_registers(place.stores.readings, book.meters, first, last)
            counts[name] += len(stored)
            sums[name] += sum(stored.values())
    if counts != figures.stored or sums != figures.register_sums:
        raise FailedError(
            f"the whole store holds {dict(counts)} readings of registers {dict(sums)}, the rounds "
            f"had {dict(figures.stored)} of {dict(figures.register_sums)}"
        )
    return counts.total()


def run(arguments: argparse.Namespace, folder: Path) -> Figures:
    """Every round.

    Raises:
        FailedError: with what is wrong in which round.
    """
    meters = {name: [f"{name}-{n}" for n in range(METERS)] for name in BOOKS}
    figures = Figures()
    sections = "[journal]\nsegment_mb = 1\n"
    with ExitStack() as stack:
        influxdb = arguments.store == "influxdb"
        place = stack.enter_context(
            Installation(folder, meters, influxdb=influxdb, sections=sections)
        )
        address = BrokerAddress(HOST, place.broker.port)
        couriers = {
            name: stack.enter_context(Courier(name, address, resend_after_s=1))
            for name in BOOKS
            if name != TRUSTING
        }
        trusting = stack.enter_context(TrustingSupplier(TRUSTING, HOST, place.broker.port))
        books = {
            name: Book(name, meters[name], most=most, dirty=dirty)
            for name, (most, dirty) in BOOKS.items()
        }
        begin = int(time.time()) // ROUND_S * ROUND_S - (arguments.rounds + 1) * ROUND_S
        position = Position()
        for number in range(arguments.rounds):
            dice = random.Random(f"{arguments.seed}-{number}")
            one = Round(place, couriers, trusting, books, figures, position)
            try:
                one.run(begin + number * ROUND_S, arguments.messages, dice)
            except FailedError as error:
                raise FailedError(f"round {number}: {error}") from None
            position = one.position
            if (number + 1) % 25 == 0:
                print(f"{number + 1} rounds, {figures.kills.total()} kills", flush=True)
        check_whole(place, books, figures, begin)
    return figures


def show(figures: Figures, arguments: argparse.Namespace, minutes: float, lost: str) -> None:
    print(f"seed {arguments.seed}, store {arguments.store}, {figures.rounds} rounds")
    kills = dict(figures.kills)
    held = kills.pop(HELD, 0)
    print(f"kills: {', '.join(f'{n} {part}' for part, n in kills.items())}; {HELD}: {held}")
    print("found by the kills of ingest (messages of suppliers with receipts):")
    for what in ("not journalled", "journalled, not loaded", "without receipt"):
        times = figures.at_kill[f"kills with some {what}"]
        print(f"  {what}: {figures.at_kill[what]} (at {times} kills)")
    safe = {name: n for name, n in figures.stored.items() if name != TRUSTING}
    print(f"readings of suppliers with receipts: {sum(safe.values())} stored")
    print(lost)
    published, stored = figures.published[TRUSTING], figures.stored[TRUSTING]
    print(
        f"supplier that trusts the broker: {published} published, {stored} stored, "
        f"{published - stored} lost ({(published - stored) / max(1, published):.2%})"
    )
    print(f"{minutes:.1f} minutes")


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)))
    parser.add_argument("--store", choices=["embedded", "influxdb"], default="embedded")
    parser.add_argument("--messages", type=int, default=400, help="of each supplier, a round")
    parser.add_argument("--folder", type=Path, help="kept, for a look after a failure")
    arguments = parser.parse_args(given)
    print(f"seed {arguments.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jieshui-crash-") as name:
        # User postgres must be able to pass.
        Path(name).chmod(0o755)
        try:
            figures = run(arguments, arguments.folder or Path(name))
        except FailedError as error:
            print(f"FAILED after {(time.monotonic() - began) / 60:.1f} minutes: {error}")
            return 1
    show(figures, arguments, (time.monotonic() - began) / 60, "lost 0, double 0")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # servers end with us
    sys.exit(main())
