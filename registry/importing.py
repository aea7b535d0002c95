"""Imports: every row checked, everything wrong said at once, nothing half imported."""

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import structlog

from registry.changes import Change, compare, keep_absent
from registry.checks import (
    check_keys,
    check_moves,
    check_nesting,
    check_owners,
    check_periods,
    check_references,
    check_row,
)
from registry.files import read_sheets
from registry.kinds import KINDS
from registry.ports import Key, RegistryRows, RegistryTransaction
from registry.report import Counts, ImportReport, Problem
from registry.tables import Row, read_table

log = structlog.get_logger()

Progress = Callable[[int, int], None]
"""Called with the steps done and the steps there are: each row is checked, then written."""


Standing = dict[str, dict[Key, dict[str, Any]]]
"""What the registry holds before the import: rows by kind and key."""


def import_path(
    path: Path,
    store: RegistryRows,
    *,
    actor: str,
    today: date,
    kind: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a CSV file, a workbook with a sheet a kind, or a folder of CSV files.

    Either every row is written, in one transaction, or none: then the report holds every error.
    Rows are created or replaced by their key, never deleted; a column that a file leaves out leaves
    what stands. A plan that differs from the one in force becomes its next version. What changed
    is audited under `actor`.

    Args:
        path: what to read.
        store: the registry.
        actor: who imports, for the audit log.
        today: the city's calendar day; what was billed ends before it.
        kind: the kind of a CSV file whose name and header don't tell.
        progress: told how far it is.

    Raises:
        RegistryError: when there is nothing to read at `path`, or `kind` is no kind.
    """
    tell = progress or _tell_nobody
    rows, problems = _read(path, kind, tell)
    with store.transaction() as registry:
        standing = {name: registry.rows(name) for name in rows}
        for name, some in rows.items():
            keep_absent(KINDS[name], some, standing[name])
        problems += _check_rows(rows, standing, registry, today)
        problems.sort(key=lambda problem: (problem.warning, problem.place, problem.row or 0))
        if any(not problem.warning for problem in problems):
            log.info("import refused", source=path.name, actor=actor, problems=len(problems))
            return ImportReport(path.name, problems=tuple(problems))
        counts = _write(rows, standing, registry, tell, actor=actor, path=path)
    log.info("imported", source=path.name, actor=actor, kinds=list(counts))
    return ImportReport(path.name, counts, tuple(problems))


def _tell_nobody(done: int, total: int) -> None:
    del done, total


def _read(
    path: Path, named: str | None, tell: Progress
) -> tuple[dict[str, list[Row]], list[Problem]]:
    sheets, problems = read_sheets(path)
    if not sheets and not problems:
        problems.append(Problem(path.name, None, "", "", "there is no row in it"))
    steps = 2 * sum(len(sheet.rows) for sheet in sheets)
    before = 0
    rows: dict[str, list[Row]] = {}
    for sheet in sheets:
        table = read_table(sheet, named, lambda done, before=before: tell(before + done, steps))
        before += len(sheet.rows)
        if isinstance(table, Problem):
            problems.append(table)
            continue
        rows.setdefault(table.kind.name, []).extend(table.rows)
        problems += table.problems
    return {name: rows[name] for name in KINDS if name in rows}, problems


def _check_rows(
    rows: dict[str, list[Row]], standing: Standing, registry: RegistryTransaction, today: date
) -> list[Problem]:
    known: dict[str, set[str]] = {}

    def ids_of(kind: str) -> set[str]:
        if kind not in known:
            here = {row.values["id"] for row in rows.get(kind, []) if "id" in row.values}
            known[kind] = here | registry.ids(kind)
        return known[kind]

    problems: list[Problem] = []
    for name, some in rows.items():
        for row in some:
            problems += check_row(KINDS[name], row)
        problems += check_keys(KINDS[name], some)
        problems += check_references(KINDS[name], some, ids_of)
    if "devices" in rows:
        suppliers = {key[0]: meter["supplier_id"] for key, meter in registry.rows("meters").items()}
        suppliers |= {
            row.values.get("id"): row.values.get("supplier_id") for row in rows.get("meters", [])
        }
        problems += check_owners(rows["devices"], suppliers)
        problems += check_moves(rows["devices"], standing["devices"])
    if "zones" in rows:
        parents = {key[0]: zone["parent_id"] for key, zone in standing["zones"].items()}
        parents |= {row.values.get("id"): row.values.get("parent_id") for row in rows["zones"]}
        problems += check_nesting(rows["zones"], parents)
    problems += check_periods(rows.get("billing_reads", []), today)
    return problems


def _write(
    rows: dict[str, list[Row]],
    standing: Standing,
    registry: RegistryTransaction,
    tell: Progress,
    *,
    actor: str,
    path: Path,
) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    steps, written = 2 * sum(len(some) for some in rows.values()), 0
    for name, some in rows.items():
        changes = compare(KINDS[name], [row.values for row in some], standing[name])
        registry.put(name, [change.row for change in changes])
        registry.audit(actor, [_entry(name, change, path.name) for change in changes])
        created = sum(change.created for change in changes)
        counts[name] = Counts(created, len(changes) - created, len(some) - len(changes))
        written += len(some)
        tell(steps // 2 + written, steps)
    summary = {
        "sha256": _digest(path),
        "counts": {name: [c.created, c.changed, c.unchanged] for name, c in counts.items()},
    }
    registry.audit(actor, [("import", path.name, summary)])
    return counts


def _entry(kind: str, change: Change, source: str) -> tuple[str, str, dict[str, Any]]:
    action = f"{kind}.{'created' if change.created else 'changed'}"
    subject = " ".join(str(_as_plain(part)) for part in change.key)
    fields = {name: [_as_plain(v) for v in pair] for name, pair in change.fields.items()}
    return action, subject, {"source": source} | ({"fields": fields} if fields else {})


def _as_plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _digest(path: Path) -> str:
    """SHA-256 of the file, or of a folder's CSV files one after the other."""
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
