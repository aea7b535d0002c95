"""How much analysis takes on at once, and how often."""

import sqlite3
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Settings of the analysis process.

    Attributes:
        chunk_readings: readings (estimated) that one chunk may hold in memory.
        poll_s: machine seconds between two looks for work when there is none.
        evaluate_every_s: machine seconds after which the evaluation comes, backlog or not.
        evaluate_pause_s: least machine seconds between two evaluations when there is no backlog.
        evaluate_share: the share of the time that evaluations may take at most.
        compact_every_s: machine seconds between compactions while a backlog is worked off; else
            it is done once a local day.
        keep_hot_days: closed local days that stay on the hot side.
        stalled_s: machine seconds without a step after which the loop counts as hung.
        outages: what a store raises when it is away; retried, anything else is a bug.
    """

    chunk_readings: int = 1_000_000
    poll_s: float = 1.0
    evaluate_every_s: float = 60.0
    evaluate_pause_s: float = 10.0
    evaluate_share: float = 0.2
    compact_every_s: float = 600.0
    keep_hot_days: int = 7
    stalled_s: float = 900.0
    outages: tuple[type[Exception], ...] = (OSError, sqlite3.OperationalError, OperationalError)
