"""Child processes that start in order, are watched, and stop in reverse."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import structlog

from jieshui.errors import JieshuiError

log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1


class Supervisor:
    """Runs `jieshui serve …` processes; their output goes to one log file each."""

    def __init__(self, config: Path, log_folder: Path | None = None) -> None:
        self._config = config
        self._log_folder = log_folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start `jieshui serve NAME`."""
        with contextlib.ExitStack() as stack:
            out = None
            if self._log_folder:
                self._log_folder.mkdir(parents=True, exist_ok=True)
                out = stack.enter_context((self._log_folder / f"{name}.log").open("ab"))
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", "jieshui", "serve", name, "--config", str(self._config),
                 "--with-parent", str(os.getpid())],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                # Ctrl-C reaches only us, so that the order of stopping is ours.
                start_new_session=True,
            )  # fmt: skip

    def check(self) -> None:
        """Raise when a child has ended by itself.

        Raises:
            JieshuiError: naming the process, its exit code and its log.
        """
        for name, child in self._children.items():
            if (code := child.poll()) is not None:
                where = (
                    f"; its log is {self._log_folder / f'{name}.log'}" if self._log_folder else ""
                )
                raise JieshuiError(f"{name} ended by itself with code {code}{where}")

    def stop(self, patience_s: float = 30) -> None:
        """Stop every child, the last started first."""
        for name, child in reversed(self._children.items()):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(patience_s)
                except subprocess.TimeoutExpired:
                    log.warning("process_did_not_stop", process=name, waited_s=patience_s)
                    child.kill()
                    child.wait()
        self._children.clear()


def end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when our parent dies, so that no process outlives its start."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        # It may have died before we asked.
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
