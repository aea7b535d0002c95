"""What an import makes wrong that was computed before: the jobs that compute it again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

Rows = Mapping[tuple[Any, ...], Mapping[str, Any]]

COMPARED = frozenset({"meters", "zones"})
"""Kinds of which the jobs depend on the rows that stood before."""

_OF_VOLUMES = (
    "role", "modulus_m3", "q3_m3_h", "interval_s", "in_service_from", "in_service_to",
)  # fmt: skip
"""What the verdicts, volumes and arrivals of a meter are computed from."""
_OF_ZONES = ("zone_id", "role", "in_service_from", "in_service_to")


def recompute_jobs(
    kind: str, rows: Sequence[Mapping[str, Any]], standing: Rows
) -> list[dict[str, Any]]:
    """The arguments of the jobs that an import of these rows calls for.

    A meter that is created has no readings yet: what it sends touches its days and its zone.

    Args:
        kind: the import kind.
        rows: rows that are created or changed.
        standing: the rows of that kind before, by key; needed of COMPARED only.
    """
    if kind == "meter_changes":
        return _of_changes(rows)
    changed = [(standing[row["id"],], row) for row in rows if (row.get("id"),) in standing]
    if kind == "meters":
        return _of_meters(changed)
    if kind == "zones":
        moved = [pair for pair in changed if _differ(*pair, ("parent_id",))]
        return _of_zones({row["parent_id"] for pair in moved for row in pair})
    return []


def edit_job(meter_id: str, at: datetime) -> dict[str, Any]:
    """The arguments of the job that an edit calls for: two days of UTC hold its local day."""
    around = timedelta(days=2)
    first, last = ((at + way).date().isoformat() for way in (-around, around))
    return {"meter_ids": [meter_id], "first": first, "last": last}


def _of_changes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """From the local day before each meter's first change; two days of UTC hold that everywhere."""
    earliest: dict[str, datetime] = {}
    for row in rows:
        meter_id = row["meter_id"]
        earliest[meter_id] = min(row["at"], earliest.get(meter_id, row["at"]))
    meters: dict[str, set[str]] = {}
    for meter_id, at in earliest.items():
        first = (at - timedelta(days=2)).date().isoformat()
        meters.setdefault(first, set()).add(meter_id)
    return [{"meter_ids": sorted(ids), "first": first} for first, ids in sorted(meters.items())]


def _of_meters(
    changed: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    meters = sorted(new["id"] for old, new in changed if _differ(old, new, _OF_VOLUMES))
    jobs: list[dict[str, Any]] = [{"meter_ids": meters}] if meters else []
    moved = [pair for pair in changed if _differ(*pair, _OF_ZONES)]
    return jobs + _of_zones({row["zone_id"] for pair in moved for row in pair})


def _of_zones(zone_ids: set[str | None]) -> list[dict[str, Any]]:
    named = sorted(zone_id for zone_id in zone_ids if zone_id)
    return [{"zone_ids": named}] if named else []


def _differ(old: Mapping[str, Any], new: Mapping[str, Any], names: Sequence[str]) -> bool:
    return any(old[name] != new[name] for name in names)
