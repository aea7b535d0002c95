"""One supplier's login sends a million hostile messages; the others notice nothing.

    python tests/endurance/hostile.py [--messages 1000000] [--seed N]

Through a real Mosquitto with the rights that `jieshui broker init` gives. A good supplier sends 50
readings a second before, during and after the storm; how long each takes until it is in the store
and until its receipt is there is measured. At the end every hostile message must be accounted for,
the quarantine within its quota, ingest's memory flat, and the store free of what the storm named.
Exit 1 when one of this doesn't hold.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles

from installation import FORKS, GuardedBroker, Installation, make_broker
from measures import Memory, read_cpu_seconds
from raw_mqtt import Publisher
from stored import load_registers
from storm import LAST_WILLS, Hostile, Storm
from witness import Witness

from ingest.topics import NOBODY
from water.accounting import MessageSum, sum_messages, sum_readings
from water.loading import Tally

METERS = 50
HOSTILE, GOOD = "hostile", "good"
QUOTA = 2_000
SAMPLE = 1_000
"""One in so many is kept beyond the quota (ingest.settings.Limits)."""
PART = 250
"""Messages made at a time."""
PACE = 10_000
"""Messages a second of the paced storm, which leaves this machine time for itself."""
BREAK_EVERY = 80
"""Parts after which a connection writes where it may not, and breaks with a will."""
PACED, FULL = "in the paced storm", "in the storm at full speed"
SLOWEST_S = {PACED: 5.0, FULL: 60.0}
"""No good reading may take longer: paced, for a storm is no reason to wait; at full speed, where
generator, broker and ingest fight for the machine, because all goes on."""
USUAL_S = 1.0
"""95 of 100 good readings may take no longer even at full speed: the storm waits apart. (A machine
that is busy, or a storm of a second, tells nothing of it: `--usual`.)"""
OVERFLOW = "ingest-overflow"
PATIENCE_S = 600


@dataclass
class Sent:
    """What the storm has published."""

    kinds: Counter[str] = field(default_factory=Counter)
    breaks: int = 0
    seconds: float = 0.0

    @property
    def allowed(self) -> int:
        """Messages that must arrive: those, and the will of each connection that broke."""
        return self.kinds.total() + self.breaks


def send_storm(
    port: int, password: str, meters: Mapping[str, Sequence[str]], count: int, pace: int | None,
    seed: str, out: Connection,
) -> None:  # fmt: skip
    """Body of the hostile process, `pace` None = full speed; sends a `Sent` at the end."""
    dice = random.Random(seed)
    storm = Storm(HOSTILE, meters[HOSTILE], meters[GOOD], int(time.time()), dice)
    sent = Sent()
    began = time.monotonic()
    with Publisher(port, HOSTILE, password) as publisher:
        for part in range(-(-count // PART)):
            for message in storm.make(min(PART, count - part * PART)):
                publisher.publish(message.topic, message.payload, retain=message.retain)
                sent.kinds[message.kind] += 1
            if pace:
                publisher.flush()
                time.sleep(max(0.0, began + part * PART / pace - time.monotonic()))
            if part % BREAK_EVERY == 0:
                _break(port, password, storm.break_rights(), dice)
                sent.breaks += 1
        publisher.flush(0)
    sent.seconds = time.monotonic() - began
    out.send(sent)


def _break(port: int, password: str, message: Hostile, dice: random.Random) -> None:
    """Write where it may not, and break the connection so that its will is published."""
    topic = f"water/v1/{HOSTILE}/jieshui/m/status".encode()
    with (
        suppress(ConnectionError),
        Publisher(port, HOSTILE, password, (topic, dice.choice(LAST_WILLS))) as publisher,
    ):
        publisher.publish(message.topic, message.payload)
        publisher.flush(0)


def list_files(place: Installation) -> set[str]:
    """Every file of the stores; the journal grows with whatever comes."""
    var = place.folder / "var"
    names = {str(path.relative_to(var)) for path in var.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith("journal")}


def account(place: Installation, hostile: int, witness: Witness) -> list[str]:
    """What is wrong with sums, quarantine and store once everything is loaded."""
    readings = place.stores.readings
    tallies = readings.tallies()
    messages, sums = sum_messages(tallies), sum_readings(tallies)
    held = readings.quarantine_depth().get(HOSTILE, 0)
    refused = sums[HOSTILE].quarantined
    most = 2 * (QUOTA + 1) + refused // SAMPLE  # (the journal and its overflow count by themselves)
    stored = load_registers(readings, witness.meters, witness.base, witness.end)
    received = sum(messages[name].received for name in {HOSTILE, NOBODY} & messages.keys())
    strangers = set(readings.newest()["meter_id"]) - {*place.meters[HOSTILE], *place.meters[GOOD]}
    right = {
        "every hostile message is received once": received == hostile,
        "every good message is received once": messages[GOOD].received == witness.sent,
        "every good reading is stored as it was sent": stored == witness.published,
        "no other supplier is counted": messages.keys() <= {HOSTILE, GOOD, NOBODY},
        "messages add up": all(one.balanced and not one.waiting for one in messages.values()),
        "readings add up": all(one.balanced for one in sums.values()),
        f"the quarantine holds at most {most} rows, not {held}": held <= most,
        f"no meter is made up: {list(strangers)[:3]}": not strangers,
    }
    for name in {HOSTILE, NOBODY} & messages.keys():
        show_accounts(name, tallies, messages[name])
        apart = tallies.get(Tally(name, "messages", "received", OVERFLOW), 0)
        print(f"  {apart} of these messages waited apart")
    print(f"  messages of the good supplier that did: {tallies.get(GOODS_APART, 0)}")
    print(f"  rows in quarantine: {held}")
    return [what for what, holds in right.items() if not holds]


GOODS_APART = Tally(GOOD, "messages", "received", OVERFLOW)


def show_accounts(name: str, tallies: Mapping[Tally, int], messages: MessageSum) -> None:
    print(
        f"messages under the name {name}: {messages.received} received = {messages.decoded} "
        f"decoded + {messages.undecodable} undecodable + {messages.set_aside} set aside + "
        f"{messages.waiting} waiting"
    )
    for ledger in ("messages", "readings"):
        counted = {
            f"{tally.account} {tally.reason}".strip(): count
            for tally, count in tallies.items()
            if tally.supplier == name and tally.ledger == ledger and tally.account != "received"
        }
        ordered = sorted(counted.items(), key=lambda item: -item[1])
        if ordered:
            print(f"  {ledger}: {', '.join(f'{count} {what}' for what, count in ordered)}")


def show_delays(what: str, delays: Sequence[float]) -> None:
    cuts = quantiles(delays, n=100)
    print(
        f"  {what}: P50 {cuts[49] * 1000:.0f} ms, P95 {cuts[94] * 1000:.0f} ms, "
        f"most {max(delays) * 1000:.0f} ms ({len(delays)})"
    )


def run(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Quiet, storm, accounts; what is wrong."""
    broker = make_broker(folder / "broker", [HOSTILE, GOOD])
    assert isinstance(broker, GuardedBroker)
    meters = {name: [f"{name}-{n}" for n in range(METERS)] for name in (HOSTILE, GOOD)}
    with ExitStack() as stack:
        sections = f"quarantine_quota = {QUOTA}\n[journal]\nsegment_mb = 64\n"
        place = stack.enter_context(Installation(folder, meters, broker=broker, sections=sections))
        memory = stack.enter_context(Memory(place.ingest.pid))
        witness = stack.enter_context(
            Witness(place.stores.readings, GOOD, meters[GOOD], broker.port, broker.passwords[GOOD])
        )
        witness.measure("without the storm", arguments.quiet)
        files = list_files(place)
        used = read_cpu_seconds(place.ingest.pid)
        with memory.span("in the storms"):
            sent = [
                _run_storm(broker, meters, witness, count, pace, f"{arguments.seed} {pace}")
                for count, pace in ((arguments.messages // 5, PACE), (arguments.messages, None))
            ]
        witness.measure("after it", arguments.quiet)
        witness.stop()
        ended = time.monotonic()
        hostile = sum(one.allowed for one in sent)
        _wait(lambda: _all_loaded(place, hostile + witness.sent))
        used = (read_cpu_seconds(place.ingest.pid) - used) / hostile
        print(f"ingest took {used * 1e6:.0f} µs of CPU time a hostile message")
        print(f"everything loaded {time.monotonic() - ended:.1f} s after the last message")
        problems = account(place, hostile, witness)
        if place.ingest.ended:
            problems.append("ingest has ended by itself")
        if more := list_files(place) - files:
            problems.append(f"files are there that were not before: {sorted(more)[:3]}")
        print("a good reading, from sending")
        for name, delays in witness.delays().items():
            show_delays(name, delays)
            phase = name.split(",")[0]
            if max(delays) > SLOWEST_S.get(phase, SLOWEST_S[FULL]):
                problems.append(f"{name}: a good reading took {max(delays):.1f} s")
            if phase == FULL and (usual := quantiles(delays, n=100)[94]) > arguments.usual:
                problems.append(f"{name}: 95 of 100 good readings took up to {usual:.1f} s")
        problems += memory.judge()
    return problems


def _run_storm(
    broker: GuardedBroker,
    meters: Mapping[str, Sequence[str]],
    witness: Witness,
    count: int,
    pace: int | None,
    seed: str,
) -> Sent:
    """One storm, in a process of its own, measured by the witness."""
    ours, theirs = FORKS.Pipe(duplex=False)
    password = broker.passwords[HOSTILE]
    storm = FORKS.Process(
        target=send_storm, args=(broker.port, password, meters, count, pace, seed, theirs),
        daemon=True,
    )  # fmt: skip
    with witness.phase(PACED if pace else FULL), ours:
        storm.start()
        theirs.close()
        sent: Sent = ours.recv()
    storm.join()
    print(
        f"{sent.kinds.total()} hostile messages in {sent.seconds:.0f} s "
        f"({sent.kinds.total() / sent.seconds:.0f} a second), and {sent.breaks} connections "
        f"that wrote to topics of others and broke with a will\n"
        f"  {', '.join(f'{n} {kind}' for kind, n in sent.kinds.most_common())}",
        flush=True,
    )
    return sent


def _all_loaded(place: Installation, published: int) -> bool:
    messages = sum_messages(place.stores.readings.tallies())
    received = sum(one.received for one in messages.values())
    waiting = sum(one.waiting for one in messages.values())
    return place.ingest.ended or (received >= published and not waiting)


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)))
    parser.add_argument("--quiet", type=float, default=20, help="seconds measured without storm")
    parser.add_argument("--usual", type=float, default=USUAL_S, help="P95 at full speed, seconds")
    parser.add_argument("--folder", type=Path, help="kept, for a look after a failure")
    arguments = parser.parse_args(given)
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="jieshui-hostile-") as name:
        problems = run(arguments, arguments.folder or Path(name))
    for problem in problems:
        print(f"FAILED: {problem}")
    if not problems:
        print("no crash, no stall, every good reading stored, every message accounted for")
    return 1 if problems else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # servers end with us
    sys.exit(main())
