"""What one process asks of another."""

from collections.abc import Mapping
from dataclasses import dataclass

REPLAY, ADOPT_REPLAY = "replay", "adopt_replay"
"""Kinds of jobs: a window of the journal is judged anew, and what that found is loaded."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was taken from the queue."""

    id: int
    kind: str
    arguments: Mapping[str, object]
