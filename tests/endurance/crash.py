"""Kills ingest, API, broker and store at random moments under load; nothing may be lost or double.

    python tests/endurance/crash.py [--rounds 1000] [--seed N] [--store embedded|influxdb]

Three suppliers publish until they have the receipt that a message is loaded; a fourth pushes over
HTTP until it is told that a batch is journalled; a fifth trusts the broker's acknowledgement. In
every round some processes are killed (SIGKILL) while all of them publish, at moments drawn by the
seed, also while they start again; the store may be held up besides (by another process's write
lock; InfluxDB by SIGSTOP), so that the journal runs ahead of it. Everything starts again and goes
on by itself. At the end of each round, and of all, what is stored is held against what was
published: readings by identity and value, and both sums of each supplier. Exit 1 when one is lost
or double.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from checking import ROUND_S, Checker, Figures
from installation import FailedError, Installation
from rounds import HELD, Round, Suppliers
from suppliers import PUSHING, TRUSTING, Book, PushingSupplier, TrustingSupplier

from jieshui.broker import HOST
from simulators.publish import BrokerAddress, Courier

METERS = 50
FEW = 30
"""Messages of a supplier beyond which it waits apart: so many wait while the store is held up."""
RECEIPTED = {"single": (1, False), "batches": (20, False), "dirty": (3, True)}
KINDS = {**RECEIPTED, PUSHING: (20, False), TRUSTING: (1, False)}
"""Supplier → readings in a message at most, and whether some of its messages can't be stored."""


def open_suppliers(place: Installation, stack: ExitStack) -> Suppliers:
    """Everybody who publishes."""
    port = place.broker.port
    address = BrokerAddress(HOST, port)
    _, key = place.stores.accounts.create_key("crash test", "supplier", PUSHING, "tests")
    pushing = PushingSupplier(f"http://{HOST}:{place.api_port}/api/v1/readings", key)
    return Suppliers(
        {name: Book(name, place.meters[name], *kind) for name, kind in KINDS.items()},
        {name: stack.enter_context(Courier(name, address, resend_after_s=1)) for name in RECEIPTED},
        stack.enter_context(pushing),
        stack.enter_context(TrustingSupplier(TRUSTING, HOST, port)),
    )


def run(arguments: argparse.Namespace, folder: Path) -> Figures:
    """Every round.

    Raises:
        FailedError: with what is wrong in which round.
    """
    meters = {name: [f"{name}-{n}" for n in range(METERS)] for name in KINDS}
    begin = int(time.time()) // ROUND_S * ROUND_S - (arguments.rounds + 1) * ROUND_S
    with ExitStack() as stack:
        influxdb = arguments.store == "influxdb"
        place = stack.enter_context(
            Installation(
                folder,
                meters,
                influxdb=influxdb,
                api=True,
                sections=f"overflow_messages = {FEW}\n[journal]\nsegment_mb = 1\n",
            )
        )
        suppliers = open_suppliers(place, stack)
        checker = Checker(place, suppliers.books, begin)
        for number in range(arguments.rounds):
            try:
                dice = random.Random(f"{arguments.seed}-{number}")
                Round(place, suppliers, checker).run(arguments.messages, dice)
            except FailedError as error:
                raise FailedError(f"round {number}: {error}") from None
            if (number + 1) % 25 == 0:
                kills = checker.figures.kills
                print(f"{number + 1} rounds, {kills.total() - kills[HELD]} kills", flush=True)
        checker.check_whole()
        return checker.figures


def show(figures: Figures) -> None:
    kills = dict(figures.kills)
    held = kills.pop(HELD, 0)
    by_part = ", ".join(f"{n} {part}" for part, n in sorted(kills.items()))
    print(f"{figures.rounds} rounds, {sum(kills.values())} kills: {by_part}; {HELD} {held} times")
    print("found by the kills of ingest (messages of suppliers with receipts):")
    for what in (
        "not journalled", "journalled, not loaded", "journalled apart, not loaded",
        "without receipt",
    ):  # fmt: skip
        times = figures.at_kill[f"kills with some {what}"]
        print(f"  {what}: {figures.at_kill[what]} (at {times} kills)")
    print(f"messages that went through the overflow: {figures.apart}")
    safe = sum(n for name, n in figures.stored.items() if name != TRUSTING)
    print(f"readings of suppliers who wait for our word: {safe} published and stored")
    print("lost 0, double 0")
    published, stored = figures.published[TRUSTING], figures.stored[TRUSTING]
    print(
        f"supplier that trusts the broker: {published} published, {stored} stored, "
        f"{published - stored} lost by the broker ({(published - stored) / published:.2%})"
    )


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)))
    parser.add_argument("--store", choices=["embedded", "influxdb"], default="embedded")
    parser.add_argument("--messages", type=int, default=400, help="of each supplier, a round")
    parser.add_argument("--folder", type=Path, help="kept, for a look after a failure")
    arguments = parser.parse_args(given)
    print(f"seed {arguments.seed}, store {arguments.store}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jieshui-crash-") as name:
        Path(name).chmod(0o755)  # user postgres must be able to pass
        try:
            figures = run(arguments, arguments.folder or Path(name))
        except FailedError as error:
            print(f"FAILED after {(time.monotonic() - began) / 60:.1f} minutes: {error}")
            return 1
    show(figures)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # servers end with us
    sys.exit(main())
