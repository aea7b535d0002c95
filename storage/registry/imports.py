"""The write side of the registry: rows by kind and key, within one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from storage.registry.consequences import COMPARED, recompute_jobs
from storage.registry.models import (
    AuditRow,
    BillingReadRow,
    DeviceRow,
    JobRow,
    MeterChangeRow,
    MeterRow,
    MonthlyReturnRow,
    PlanRow,
    RunStateRow,
    SupplierRow,
    UserRow,
    WorksRow,
    ZoneDayRow,
    ZoneNightRow,
    ZoneRow,
    table_of,
)
from storage.registry.upserts import upsert
from water.clock import Clock
from water.jobs import RECOMPUTE
from water.meters import MeterRole

DIRECTORY_VERSION = "registry.directory_version"
"""Name of the state row that counts the changes of suppliers, meters and devices."""

_STATE, _AUDIT, _WORKS = table_of(RunStateRow), table_of(AuditRow), table_of(WorksRow)

_TABLES: dict[str, Table] = {
    "suppliers": table_of(SupplierRow),
    "zones": table_of(ZoneRow),
    "users": table_of(UserRow),
    "meters": table_of(MeterRow),
    "devices": table_of(DeviceRow),
    "meter_changes": table_of(MeterChangeRow),
    "plans": table_of(PlanRow),
    "monthly_returns": table_of(MonthlyReturnRow),
    "billing_reads": table_of(BillingReadRow),
    "works": _WORKS,
}
_WORKS_KEY = ("zone_id", "kind", "begins")
_JOB = table_of(JobRow)
_FIGURES_OF_ZONES = (table_of(ZoneDayRow), table_of(ZoneNightRow))
_BOUNDS = (MeterRole.ZONE_INLET, MeterRole.ZONE_OUTLET)
_IN_DIRECTORY = frozenset({"suppliers", "meters", "devices"})


class RegistryTransaction:
    """What may be done within `RegistryStore.transaction()` (registry.ports.RegistryTransaction).

    Kinds are the import kinds; the key of a row is the tuple of its primary key, of works
    (zone_id, kind, begins), of a plan (user_id, year, version).
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self.clock = clock

    def rows(self, kind: str) -> dict[tuple[Any, ...], dict[str, Any]]:
        """Every row of a kind by its key."""
        table = _TABLES[kind]
        columns = [c for c in table.c if not (kind == "works" and c.name == "id")]
        key = _key_of(kind)
        found = self.connection.execute(select(*columns)).mappings()
        return {tuple(row[name] for name in key): dict(row) for row in found}

    def ids(self, kind: str) -> set[str]:
        """Every id of a kind that others refer to: suppliers, zones, users, meters."""
        return set(self.connection.execute(select(_TABLES[kind].c.id)).scalars())

    def put(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, replacing those of the same key; what they make wrong is computed again."""
        if not rows:
            return
        jobs = recompute_jobs(kind, rows, self.rows(kind) if kind in COMPARED else {})
        if kind == "works":
            self._put_works(rows)
        else:
            upsert(self.connection, _TABLES[kind], rows)
        if kind in _IN_DIRECTORY:
            self._move_directory_version()
        for arguments in jobs:
            self.ask_again(arguments, "import")

    def audit(self, actor: str, entries: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Keep who did what, now: (action, subject, detail)."""
        at = self.clock.now()
        rows = [
            {"at": at, "actor": actor, "action": action, "subject": subject, "detail": dict(detail)}
            for action, subject, detail in entries
        ]
        if rows:
            self.connection.execute(insert(_AUDIT), rows)

    def _put_works(self, rows: Sequence[Mapping[str, Any]]) -> None:
        known = self.rows("works")
        changed = [row for row in rows if tuple(row[name] for name in _WORKS_KEY) in known]
        created = [row for row in rows if tuple(row[name] for name in _WORKS_KEY) not in known]
        if created:
            self.connection.execute(insert(_WORKS), [dict(row) for row in created])
        if changed:
            same = [_WORKS.c[name] == bindparam(f"key_{name}") for name in _WORKS_KEY]
            statement = update(_WORKS).where(*same)
            statement = statement.values(ends=bindparam("new_ends"), note=bindparam("new_note"))
            values = [
                {f"key_{name}": row[name] for name in _WORKS_KEY}
                | {"new_ends": row["ends"], "new_note": row["note"]}
                for row in changed
            ]
            self.connection.execute(statement, values)

    def ask_again(self, arguments: Mapping[str, Any], asked_by: str, kind: str = RECOMPUTE) -> None:
        """Ask for a computation; a zone that lost its last inlet and outlet has no figures left."""
        if "zone_ids" in arguments:
            meter = _TABLES["meters"]
            bound = select(meter.c.zone_id).where(
                meter.c.zone_id.is_not(None), meter.c.role.in_(_BOUNDS)
            )
            for table in _FIGURES_OF_ZONES:
                unbound = table.c.zone_id.in_(arguments["zone_ids"]) & table.c.zone_id.not_in(bound)
                self.connection.execute(delete(table).where(unbound))
        job = {
            "kind": kind,
            "arguments": dict(arguments),
            "state": "waiting",
            "asked_by": asked_by,
            "asked_at": self.clock.now(),
        }
        self.connection.execute(insert(_JOB).values(job))

    def _move_directory_version(self) -> None:
        query = select(_STATE.c.value).where(_STATE.c.name == DIRECTORY_VERSION)
        value = self.connection.execute(query).scalar_one_or_none()
        version = value["version"] + 1 if value else 1
        row = {"name": DIRECTORY_VERSION, "value": {"version": version}}
        upsert(self.connection, _STATE, [row])


def _key_of(kind: str) -> tuple[str, ...]:
    if kind == "works":
        return _WORKS_KEY
    return tuple(column.name for column in _TABLES[kind].primary_key.columns)
