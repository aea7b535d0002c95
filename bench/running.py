"""What several benchmarks need of the programs that they run."""

import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection
from os import sysconf
from pathlib import Path

HOST = "127.0.0.1"
_TICKS = sysconf("SC_CLK_TCK")


def need(program: str | None, name: str) -> str:
    """The program; ends the benchmark where it isn't there."""
    if program is None:
        sys.exit(f"this benchmark needs {name} (make servers)")
    return program


def wait_for(holds: Callable[[], bool], pause: float = 0.005, seconds: float = 300) -> None:
    """Wait until something holds; ends the benchmark where it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            sys.exit("benchmark: nothing moves any more")
        time.sleep(pause)


def cpu_seconds(pid: int | None) -> float:
    """CPU time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mib(pid: int) -> float:
    """The most memory that a process has had so far; 0 once it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return next(found, 0.0)


def count(port: int, ledger: str, account: str) -> float:
    """How many messages or readings ingest counts on an account, by the metrics of its process.

    A plain connection each time: a client with more to it would take part of a core.
    """
    connection = HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except OSError:
        return 0
    finally:
        connection.close()
    head, word = f"jieshui_ingest_{ledger}_total{{", f'account="{account}"'
    rows = [line for line in text.splitlines() if line.startswith(head) and word in line]
    return sum(float(line.split()[-1]) for line in rows)


def count_connections(log: Path, client_id: str) -> int:
    """How often a broker has accepted a client so far, by its log."""
    return log.read_text(errors="replace").count(f" as {client_id} (")


def write_registry(folder: Path, meters: int) -> Path:
    """Tables for `jieshui import`: one supplier, "north", with its meters."""
    folder.mkdir()
    (folder / "suppliers.csv").write_text("id,name\nnorth,North\n")
    rows = "".join(f"m{n},north,plant_outlet\n" for n in range(meters))
    (folder / "meters.csv").write_text(f"id,supplier_id,role\n{rows}")
    return folder
