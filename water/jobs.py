"""What one process asks of another."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was taken from the queue."""

    id: int
    kind: str
    arguments: Mapping[str, object]
