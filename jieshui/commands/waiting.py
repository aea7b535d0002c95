"""Waiting for ingest to do a replay: it is said for whom, and who gives up loses nothing."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import Progress

from ingest.places import DOORS
from jieshui.errors import JieshuiError

_POLL_S = 0.5
_SILENT_S = 3.0
"""Seconds before it is said that nobody has taken the job."""


def await_replay(find: Callable[[], dict[str, Any]], longest_s: float | None) -> dict[str, Any]:
    """A replay once it has ended, by what `find` says of it; None = however long that takes.

    Raises:
        JieshuiError: it has not ended after `longest_s`, or Ctrl-C was pressed; the job stays.
    """
    began, told = time.monotonic(), False
    try:
        with Progress(transient=True, console=Console(stderr=True, soft_wrap=True)) as bar:
            found = find()
            task = bar.add_task(f"Replay {found['id']}", total=1.0)
            while found["state"] not in {"done", "failed"}:
                waited_s = time.monotonic() - began
                if waited_s >= _SILENT_S and not told and (missed := list_missed(found)):
                    bar.console.print(f"Job {found['id']} waits for {missed}.", highlight=False)
                    told = True
                if longest_s is not None and waited_s >= longest_s:
                    raise JieshuiError(f"gave up after {longest_s:g} s: {_state(found)}")
                bar.update(task, completed=found["progress"])
                time.sleep(_POLL_S)
                found = find()
            return found
    except KeyboardInterrupt:
        raise JieshuiError(f"no longer waiting: {_state(find())}") from None


def list_missed(found: dict[str, Any]) -> str:
    """The processes that have yet to take a replay or a part of it; "" when all are at it."""
    if not found["parts"]:
        return "jieshui serve ingest" if found["state"] == "waiting" else ""
    waiting = (name for name, state in found["parts"].items() if state == "waiting")
    return ", ".join(f"{_process(name)} with journal {name}" for name in waiting)


def _process(journal: str) -> str:
    door = DOORS.fullmatch(journal.removeprefix("ingest"))
    return "jieshui serve api" if door else "jieshui serve ingest"


def _state(found: dict[str, Any]) -> str:
    """Where a job stands that goes on without us, and how to look at it again."""
    missed = list_missed(found)
    state = f"{found['state']} for {missed}" if missed else f"at {found['progress']:.0%}"
    number = found["id"]
    return f"job {number} stays asked for, {state}; `jieshui replay --show {number}` looks at it"
