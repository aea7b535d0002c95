"""What one process asks of another."""

from collections.abc import Mapping
from dataclasses import dataclass

REPLAY, ADOPT_REPLAY = "replay", "adopt_replay"
"""Kinds of jobs: a window of the journal is judged anew, and what that found is loaded."""

RECOMPUTE, RECOMPUTE_PAST = "recompute", "recompute_past"
"""Kinds of jobs: days are computed again because something about them changed, or because somebody
wants them by today's rules; those wait for these. Arguments: runs.jobs."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was taken from the queue."""

    id: int
    kind: str
    arguments: Mapping[str, object]
