"""One round of the crash test: load, kills, recovery."""

import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

from checking import OF_INGEST, OVERFLOW, Checker
from installation import API, BROKER, INFLUXD, INGEST, FailedError, Installation
from journal_view import read_entries
from suppliers import PUSHING, TRUSTING, Book, PushingSupplier, TrustingSupplier

from ingest.identity import receipt_id
from simulators.deliveries import Delivery
from simulators.publish import Courier

LOAD_S = 1.0
"""Seconds over which the messages of a round go out."""
PUSHES = 20
"""Batches that are pushed in a round."""
PATIENCE_S = 120
HELD = "store held up"
JOURNALLED = "journalled, not loaded"
OFTEN = {INGEST: 4, BROKER: 2, INFLUXD: 2, API: 1}
"""How often each is killed; the API takes seconds to start."""


class Kill(NamedTuple):
    """`part` is killed `at` seconds after the round began, and started `down` seconds later."""

    at: float
    part: str
    down: float


def plan_kills(parts: Sequence[str], dice: random.Random) -> list[Kill]:
    """One to three kills; some hit a process that is only starting again."""
    kills: list[Kill] = []
    for _ in range(dice.choice([1, 1, 2, 2, 3])):
        (part,) = dice.choices(parts, [OFTEN[part] for part in parts])
        at, down = dice.uniform(0, 1.2 * LOAD_S), dice.uniform(0, 0.3)
        kills.append(Kill(at, part, down))
        if dice.random() < 0.25:
            kills.append(Kill(at + down + dice.uniform(0, 0.6), part, dice.uniform(0, 0.3)))
    return sorted(kills)


@dataclass(frozen=True)
class Suppliers:
    """Those who publish, and what: `books` and `couriers` are by supplier."""

    books: Mapping[str, Book]
    couriers: Mapping[str, Courier]
    pushing: PushingSupplier
    trusting: TrustingSupplier


class Round:
    """One round.

    Args:
        place: the running installation.
        suppliers: who publishes.
        checker: told of what happens, and asked at the end.
    """

    def __init__(self, place: Installation, suppliers: Suppliers, checker: Checker) -> None:
        self._place = place
        self._suppliers = suppliers
        self._checker = checker
        self._never = threading.Event()

    def run(self, messages: int, dice: random.Random) -> None:
        """Publish, kill, wait until all is settled, check.

        Raises:
            FailedError: with what is wrong.
        """
        written = {
            name: list(
                book.write(self._checker.next_base(), PUSHES if name == PUSHING else messages, dice)
            )
            for name, book in self._suppliers.books.items()
        }
        pushed = [delivery.payload for delivery in written.pop(PUSHING)]
        last = next(iter(written.values())).pop()
        threads = [
            threading.Thread(target=self._publish, args=(list(written.values()),)),
            threading.Thread(target=self._suppliers.pushing.push, args=(pushed, LOAD_S / PUSHES)),
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for at, act in self._plan(dice):
            time.sleep(max(0.0, began + at - time.monotonic()))
            act()
        for part in self._place.parts.values():
            if not part.runs:
                part.start()
        self._settle(threads, last, set(pushed))
        self._checker.check()

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
            self._suppliers.trusting.send(delivery)
        else:
            self._suppliers.couriers[delivery.supplier_id].send(delivery, 0, self._never)

    # -- kills

    def _plan(self, dice: random.Random) -> list[tuple[float, Callable[[], None]]]:
        actions: list[tuple[float, Callable[[], None]]] = []
        for one in plan_kills(list(self._place.parts), dice):
            actions.append((one.at, lambda part=one.part: self._kill(part)))
            actions.append((one.at + one.down, lambda part=one.part: self._start(part)))
        if dice.random() < 0.3:
            begin, seconds = dice.uniform(0, LOAD_S / 2), dice.uniform(0.1, 0.6)
            actions.append((begin, self._hold_store(seconds)))
            if dice.random() < 0.5:  # while what is held up waits, some of it apart
                at = begin + 0.9 * seconds
                actions.append((at, lambda: self._kill(INGEST)))
                actions.append((at + dice.uniform(0, 0.3), lambda: self._start(INGEST)))
        return sorted(actions, key=lambda action: action[0])

    def _kill(self, name: str) -> None:
        part = self._place.parts[name]
        if not part.runs:
            return
        self._place.require_alive()
        part.kill()
        self._checker.figures.kills[name] += 1
        if name == INGEST:
            self._look_at_what_it_left()

    def _start(self, name: str) -> None:
        part = self._place.parts[name]
        if not part.runs:
            part.start()

    def _hold_store(self, seconds: float) -> Callable[[], None]:
        hold = hold_influxd if self._place.influxd else hold_sqlite

        def begin() -> None:
            self._checker.figures.kills[HELD] += 1
            threading.Thread(target=hold, args=(self._place, seconds), daemon=True).start()

        return begin

    def _look_at_what_it_left(self) -> None:
        """What a kill of ingest found half done."""
        couriers = self._suppliers.couriers.values()
        waiting = {key for courier in couriers for key in courier.list_unreceipted()}
        left: Counter[str] = Counter()
        journalled: set[str] = set()
        for journal, folder in OF_INGEST.items():
            entries, _ = read_entries(
                self._place.folder / "var" / folder, self._checker.positions[journal]
            )
            journalled.update(receipt_id(entry.payload, entry.flags) for entry in entries)
            loaded = self._place.stores.readings.position(journal).entry
            what = "journalled apart, not loaded" if journal == OVERFLOW else JOURNALLED
            left[what] = sum(entry.entry > loaded for entry in entries)
        left["not journalled"] = len(waiting - journalled)
        left["without receipt"] = len(waiting)
        at_kill = self._checker.figures.at_kill
        at_kill.update(left)
        at_kill.update(f"kills with some {what}" for what, n in left.items() if n)

    # -- recovery

    def _settle(
        self, threads: Sequence[threading.Thread], last: Delivery, pushed: set[bytes]
    ) -> None:
        """Wait until every receipt is there; `last` then passes behind all that the broker has."""
        self._wait(
            lambda: not any(thread.is_alive() for thread in threads), "every batch is acknowledged"
        )
        trusting = self._suppliers.trusting
        self._wait(lambda: not trusting.unacknowledged, "the broker takes every message")
        self._send(last)
        self._wait(self._all_receipted, "every message is loaded and receipted")
        self._wait(
            lambda: self._checker.stands_still(pushed),
            "what was said to be journalled is loaded, the store counts as received what the "
            "journals hold, and none waits",
        )

    def _all_receipted(self) -> bool:
        couriers = self._suppliers.couriers.values()
        for courier in couriers:
            courier.resend_overdue()
        return not any(courier.unreceipted for courier in couriers)

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            self._place.require_alive()
            if time.monotonic() > deadline:
                raise FailedError(f"not within {PATIENCE_S} s: {what}")
            time.sleep(0.02)


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
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:  # killed meanwhile
        return
