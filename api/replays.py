"""Replays as people ask for them: a job of ingest, with the parts that other workers do of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from api.ports import Jobs
from water.jobs import ADOPT_REPLAY, REPLAY
from water.pages import Row

_KINDS = (REPLAY, ADOPT_REPLAY)
_SHOWN = 100
_AWAY: Row = {"state": "waiting", "outcome": None, "ended_at": None}
"""A part that can't be found: nobody can say that it was done."""


def ask_replay(
    jobs: Jobs, asked_by: str, start: datetime, end: datetime, supplier: str, *, undecodable: bool
) -> int:
    """Ask ingest to judge anew what arrived with start <= received < end; the job's id.

    Raises:
        ValueError: the window is empty.
    """
    if start >= end:
        raise ValueError("the window is empty: it ends before it begins")
    window = {"from": start.isoformat(), "to": end.isoformat()}
    narrowed = {"supplier": supplier, "undecodable": undecodable}
    return jobs.ask(
        REPLAY, window | {name: value for name, value in narrowed.items() if value}, asked_by
    )


def ask_adoption(jobs: Jobs, asked_by: str, replay_id: int) -> int:
    """Ask ingest to load what a replay has found; the job's id.

    Raises:
        KeyError: there is no such replay.
        ValueError: it is none that can be adopted: not done, failed, or an adoption itself.
    """
    job = jobs.job(replay_id)
    if job is None or job["kind"] not in _KINDS:
        raise KeyError(replay_id)
    if job["kind"] == ADOPT_REPLAY:
        raise ValueError(f"job {replay_id} is an adoption itself")
    state = _sum_up(jobs, job)["state"]
    if state != "done":
        raise ValueError(f"replay {replay_id} is {state}, not done")
    # What adoptions leave behind bears a mark that none ever had: a restored registry gives the ids
    # of jobs again which were asked for after its backup.
    arguments = {**job["arguments"], "replay": replay_id, "mark": uuid4().hex}
    return jobs.ask(ADOPT_REPLAY, arguments, asked_by)


def find_replay(jobs: Jobs, job_id: int) -> Row | None:
    """A replay or the adoption of one, summed up over all workers; None when there is none."""
    job = jobs.job(job_id)
    return None if job is None or job["kind"] not in _KINDS else _sum_up(jobs, job)


def list_replays(jobs: Jobs) -> list[Row]:
    """The newest replays and adoptions, newest first."""
    rows = [row for kind in _KINDS for row in jobs.jobs(kind, _SHOWN)]
    newest = sorted(rows, key=lambda row: -row["id"])[:_SHOWN]
    return [_sum_up(jobs, row) for row in newest]


def adopted_by(replay: Row, replays: Iterable[Row]) -> int | None:
    """The newest adoption, asked for after a replay, that loads all of its window; None: none does.

    Args:
        replay: one of `replays`.
        replays: as `list_replays` gives them.
    """
    covering = (row["id"] for row in replays if row["adopts"] and _covers(row, replay))
    return max((job for job in covering if job > replay["id"]), default=None)


def _covers(adoption: Row, replay: Row) -> bool:
    if adoption["state"] == "failed":
        return False
    begins, ends = (datetime.fromisoformat(adoption[name]) for name in ("start", "end"))
    first, last = (datetime.fromisoformat(replay[name]) for name in ("start", "end"))
    return (
        begins <= first
        and last <= ends
        and adoption["supplier"] in {"", replay["supplier"]}
        and adoption["undecodable"] <= replay["undecodable"]
    )


def _sum_up(jobs: Jobs, job: Row) -> Row:
    handed_on: Mapping[str, int] = (job["outcome"] or {}).get("handed_on") or {}
    of_others = {name: jobs.job(part) or _AWAY for name, part in handed_on.items()}
    parts = [job, *of_others.values()]
    outcomes: list[dict[str, Any]] = [part["outcome"] or {} for part in parts]
    arguments = job["arguments"]
    return {
        "id": job["id"],
        "adopts": arguments.get("replay"),
        "state": _state_of([part["state"] for part in parts]),
        "asked_by": job["asked_by"],
        "asked_at": job["asked_at"],
        "ended_at": max((p["ended_at"] for p in parts if p["ended_at"]), default=None),
        "start": arguments.get("from"),
        "end": arguments.get("to"),
        "supplier": arguments.get("supplier", ""),
        "undecodable": bool(arguments.get("undecodable")),
        "progress": sum(outcome.get("progress", 0.0) for outcome in outcomes) / len(parts),
        "kept_from": max((o["kept_from"] for o in outcomes if o.get("kept_from")), default=None),
        "messages": _sum(outcomes, "messages"),
        "readings": _sum(outcomes, "readings"),
        "from_quarantine": sum(outcome.get("from_quarantine", 0) for outcome in outcomes),
        "unmatched": sum(outcome.get("unmatched", 0) for outcome in outcomes),
        "became": _sum(outcomes, "became"),
        "moved": [row for outcome in outcomes for row in outcome.get("moved", ())],
        "gone": _sum_gone(outcomes),
        "sample": _join(outcomes),
        "errors": [outcome["error"] for outcome in outcomes if "error" in outcome],
        "parts": {name: part["state"] for name, part in of_others.items()},
    }


def _state_of(states: list[str]) -> str:
    """Of a job in parts: failed as soon as one is, done once all are."""
    for state in ("failed", "running", "waiting"):
        if state in states:
            return state
    return "done"


def _sum(outcomes: list[dict[str, Any]], name: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.get(name) or {})
    return dict(total)


def _sum_gone(outcomes: list[dict[str, Any]]) -> list[Row]:
    """Messages whose readings of then are given no more, by supplier and what they are now."""
    total: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        for row in outcome.get("gone", ()):
            total[row["supplier"], row["now"]] += row["messages"]
    return [
        {"supplier": supplier, "now": now, "messages": count}
        for (supplier, now), count in total.most_common()
    ]


def _join(outcomes: list[dict[str, Any]]) -> dict[str, list[Row]]:
    joined: dict[str, list[Row]] = {}
    for outcome in outcomes:
        for kind, rows in (outcome.get("sample") or {}).items():
            joined.setdefault(kind, []).extend(rows)
    return joined
