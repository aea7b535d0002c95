"""`python -m simulators`: stream a virtual city into any MQTT broker."""

import argparse
import json
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

from simulators.city import build_city
from simulators.errors import CityError
from simulators.files import write_registry
from simulators.publish import BrokerAddress
from simulators.run import stream
from simulators.truth import write_truth
from water.clock import ScaledClock, SystemClock


def main(arguments: list[str] | None = None) -> int:
    """Write the registry's CSVs and truth.json into a folder, then stream."""
    options = _parser().parse_args(arguments)
    host, _, port = options.broker.rpartition(":")
    try:
        city = build_city(options.seed, until=options.until, days=options.days, users=options.users)
    except CityError as error:
        sys.stderr.write(f"simulators: {error}\n")
        return 2
    write_registry(city, options.folder / "registry")
    write_truth(city, options.folder / "truth.json")
    if options.files_only:
        return 0
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    counts = stream(
        city,
        BrokerAddress(
            host,
            int(port),
            _credentials(options.passwords),
            options.ca_file,
            json.loads(options.keys.read_text("utf-8")) if options.keys else {},
        ),
        clock=ScaledClock(options.anchor or SystemClock().now(), city.until, options.speed),
        state_path=options.folder / "stream.json",
        stop=stop,
        progress=_print_progress,
        finish_at=None if options.live else city.until,
    )
    sys.stderr.write(
        f"\n{counts.readings} readings in {counts.messages} messages, {counts.resent} sent again\n"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators", description=main.__doc__)
    parser.add_argument("--seed", type=int, required=True, help="the same seed, the same city")
    parser.add_argument("--broker", required=True, metavar="HOST:PORT")
    parser.add_argument("--ca-file", type=Path, help="speak TLS and trust these certificates")
    parser.add_argument("--passwords", type=Path, help="JSON: supplier's id → its password")
    parser.add_argument("--keys", type=Path, help="JSON: supplier's id → its signing key")
    parser.add_argument("--files-only", action="store_true", help="write the files and stop")
    parser.add_argument("--folder", type=Path, required=True, help="for files and the state")
    parser.add_argument(
        "--until",
        type=datetime.fromisoformat,
        default=datetime.fromisoformat("2026-09-15T00:00:00+08:00"),
        help="end of the history, a local midnight with its zone",
    )
    parser.add_argument(
        "--anchor",
        type=datetime.fromisoformat,
        help="when the clock shows the end of the history, with its zone; default now",
    )
    parser.add_argument("--days", type=int, default=365, help="days of history")
    parser.add_argument("--users", type=int, default=240, help="large users")
    parser.add_argument("--live", action="store_true", help="go on after the history")
    parser.add_argument("--speed", type=float, default=1.0, help="of the clock after the history")
    return parser


def _credentials(path: Path | None) -> dict[str, tuple[str, str]]:
    """Supplier → (user name, password); the user name is the supplier's id."""
    passwords = json.loads(path.read_text("utf-8")) if path else {}
    return {supplier: (supplier, password) for supplier, password in passwords.items()}


def _print_progress(done: int, total: int) -> None:
    share = done / total if total else 1
    sys.stderr.write(f"\r{done:>10,} of {total:,} readings receipted ({share:.0%})")


if __name__ == "__main__":
    sys.exit(main())
