"""Child processes that start in order, are watched, and stop in reverse."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from jieshui.errors import JieshuiError

log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1
_SETTLED_S = 20.0
"""A process that lived so long had a start that works: when it ends, it is started again."""
_LONGEST_PAUSE_S = 30.0


@dataclass
class Child:
    """One process and how often it ended by itself since it last settled."""

    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    failures: int = 0
    again_at: float | None = None


class Supervisor:
    """Runs `jieshui serve …` processes; their output goes to one log file each."""

    def __init__(self, config: Path, log_folder: Path | None = None) -> None:
        self._config = config
        self._log_folder = log_folder
        self._children: dict[str, Child] = {}

    def start(self, name: str) -> None:
        """Start `jieshui serve NAME`."""
        self._children[name] = Child(self._open(name))

    def check(self) -> None:
        """Raise when a child has ended by itself.

        Raises:
            JieshuiError: naming the process, its exit code and its log.
        """
        for name, child in self._children.items():
            self._refuse_end(name, child)

    def revive(self) -> None:
        """Start again what ended by itself, after a pause that doubles up to half a minute.

        Raises:
            JieshuiError: a process never got through its start.
        """
        now = time.monotonic()
        for name, child in self._children.items():
            if child.process.poll() is None:
                continue
            if child.again_at is None:
                settled = now - child.started >= _SETTLED_S
                if not settled and not child.failures:
                    self._refuse_end(name, child)
                child.failures = 1 if settled else child.failures + 1
                pause = min(2.0**child.failures, _LONGEST_PAUSE_S)
                child.again_at = now + pause
                log.error("process_ended", process=name, code=child.process.poll(), again_s=pause)
            elif now >= child.again_at:
                child.process, child.started, child.again_at = self._open(name), now, None

    def stop(self, patience_s: float = 30) -> None:
        """Stop every child, the last started first."""
        for name, child in reversed(self._children.items()):
            process = child.process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(patience_s)
                except subprocess.TimeoutExpired:
                    log.warning("process_did_not_stop", process=name, waited_s=patience_s)
                    process.kill()
                    process.wait()
        self._children.clear()

    def _open(self, name: str) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            out = None
            if self._log_folder:
                self._log_folder.mkdir(parents=True, exist_ok=True)
                out = stack.enter_context((self._log_folder / f"{name}.log").open("ab"))
            return subprocess.Popen(
                [sys.executable, "-m", "jieshui", "serve", name, "--config", str(self._config),
                 "--with-parent", str(os.getpid())],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                # Ctrl-C reaches only us, so that the order of stopping is ours.
                start_new_session=True,
            )  # fmt: skip

    def _refuse_end(self, name: str, child: Child) -> None:
        code = child.process.poll()
        if code is None:
            return
        where = f"; its log is {self._log_folder / f'{name}.log'}" if self._log_folder else ""
        raise JieshuiError(f"{name} ended by itself with code {code}{where}")


def end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when our parent dies, so that no process outlives its start."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # It may have died before we asked.
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
