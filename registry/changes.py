"""What an import changes: rows compared with what the registry holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from registry.checks import key_of
from registry.kinds import Kind
from registry.ports import Key
from registry.tables import Row

_MONTHS = tuple(f"m{i:02}" for i in range(1, 13))


@dataclass(frozen=True, slots=True)
class Change:
    """A row to write; `fields` of a row that stood already, as (old, new)."""

    key: Key
    row: dict[str, Any]
    created: bool
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def keep_absent(kind: Kind, rows: Iterable[Row], standing: Mapping[Key, Mapping[str, Any]]) -> None:
    """Give rows that stood already the standing values of the columns that the file leaves out.

    A plan keeps its issuer, day and reason only while its months stay: a new version has its own.
    """
    if kind.name == "plans":
        standing = {
            key: plan | dict(zip(_MONTHS, plan["months_m3"], strict=True))
            for key, plan in _in_force(standing).items()
        }
    for row in rows:
        if row.broken or not row.absent:
            continue
        old = standing.get(key_of(kind, row.values))
        if old is None or (kind.name == "plans" and any(old[m] != row.values[m] for m in _MONTHS)):
            continue
        row.values.update({name: old[name] for name in row.absent})


def compare(
    kind: Kind, rows: Iterable[Mapping[str, Any]], standing: Mapping[Key, Mapping[str, Any]]
) -> list[Change]:
    """The rows that are new or differ from those that stand, in the order of writing."""
    if kind.name == "plans":
        return _compare_plans(rows, standing)
    if kind.name == "zones":
        rows = _parents_first(list(rows))
    changes = [_compare_row(key_of(kind, row), row, standing) for row in rows]
    return [change for change in changes if change is not None]


def _compare_row(
    key: Key, row: Mapping[str, Any], standing: Mapping[Key, Mapping[str, Any]]
) -> Change | None:
    old = standing.get(key)
    if old is None:
        return Change(key, dict(row), created=True)
    fields = {name: (old[name], row[name]) for name in row if old[name] != row[name]}
    return Change(key, dict(row), created=False, fields=fields) if fields else None


def _compare_plans(
    rows: Iterable[Mapping[str, Any]], standing: Mapping[Key, Mapping[str, Any]]
) -> list[Change]:
    """A plan that differs from the one in force becomes the next version of its user and year."""
    in_force = _in_force(standing)
    changes: list[Change] = []
    for row in rows:
        plan = {name: value for name, value in row.items() if name not in _MONTHS}
        plan["months_m3"] = [row[name] for name in _MONTHS]
        key = (row["user_id"], row["year"])
        old = in_force.get(key)
        version = old["version"] + 1 if old else 1
        change = _compare_row(key, plan, {key: old} if old else {})
        if change is not None:
            change.row["version"] = version
            changes.append(change)
    return changes


def _in_force(plans: Mapping[Key, Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    """The highest version of each (user_id, year)."""
    return {key[:2]: dict(plans[key]) for key in sorted(plans)}


def _parents_first(zones: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Zones in an order in which each stands after its parent (they hold no circle)."""
    by_id = {zone["id"]: zone for zone in zones}
    before = {name: {zone["parent_id"]} & by_id.keys() for name, zone in by_id.items()}
    return [by_id[name] for name in TopologicalSorter(before).static_order()]
