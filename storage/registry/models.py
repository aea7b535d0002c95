"""The tables of the registry database, for SQLite and PostgreSQL alike.

A table or column name is for ever: renaming one is a decision with a changelog line.
"""

from datetime import UTC, date, datetime
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: zone-aware in Python, UTC in the database (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive datetime, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs a zone: {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (SQLAlchemy's signature)
        """Give the zone back."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Base(DeclarativeBase):
    """The base of every table, with named constraints so that migrations can drop them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it from the class)
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[float]: JSON,
        str: String,
    }


def table_of(row: type[Base]) -> Table:
    """The table behind a model, for statements over many rows."""
    return cast("Table", row.__table__)  # FromClause by its type, Table for mapped classes


_LONG = BigInteger().with_variant(Integer, "sqlite")
"""64 bits; SQLite counts up by itself only what it calls an INTEGER."""


# ---------------------------------------------------------------- what the registry room imports


class SupplierRow(Base):
    """A water supplier that streams readings."""

    __tablename__ = "supplier"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class ZoneRow(Base):
    """A zone; see water.zones.Zone."""

    __tablename__ = "zone"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("zone.id"))
    mains_km: Mapped[float | None]
    connections: Mapped[int | None]
    pressure_mpa: Mapped[float | None]


class UserRow(Base):
    """A water user; see water.users.WaterUser."""

    __tablename__ = "water_user"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    sector: Mapped[str]
    credit_code: Mapped[str] = mapped_column(default="")
    township: Mapped[str] = mapped_column(default="")
    annual_volume_m3: Mapped[float | None]
    contact: Mapped[str] = mapped_column(default="")


class MeterRow(Base):
    """A meter; see water.meters.Meter."""

    __tablename__ = "meter"
    id: Mapped[str] = mapped_column(primary_key=True)
    supplier_id: Mapped[str] = mapped_column(ForeignKey("supplier.id"), index=True)
    role: Mapped[str]
    serial: Mapped[str] = mapped_column(default="")
    user_id: Mapped[str | None] = mapped_column(ForeignKey("water_user.id"), index=True)
    zone_id: Mapped[str | None] = mapped_column(ForeignKey("zone.id"), index=True)
    modulus_m3: Mapped[float | None]
    q3_m3_h: Mapped[float | None]
    interval_s: Mapped[int] = mapped_column(default=3600)
    in_service_from: Mapped[datetime | None]
    in_service_to: Mapped[datetime | None]


class DeviceRow(Base):
    """The address of a meter in a supplier's dialect; see water.meters.Device."""

    __tablename__ = "device"
    supplier_id: Mapped[str] = mapped_column(ForeignKey("supplier.id"), primary_key=True)
    dialect: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    meter_id: Mapped[str] = mapped_column(ForeignKey("meter.id"), index=True)


class MeterChangeRow(Base):
    """A meter change; see water.meters.MeterChange."""

    __tablename__ = "meter_change"
    meter_id: Mapped[str] = mapped_column(ForeignKey("meter.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    old_final_m3: Mapped[float]
    new_initial_m3: Mapped[float]
    reason: Mapped[str] = mapped_column(default="")


class EditRow(Base):
    """An edit of a reading; see water.edits.Edit. Never deleted; its values never change."""

    __tablename__ = "edit"
    id: Mapped[int] = mapped_column(primary_key=True)
    meter_id: Mapped[str] = mapped_column(ForeignKey("meter.id"))
    at: Mapped[datetime]
    version: Mapped[int]
    kind: Mapped[str]
    register_m3: Mapped[float | None]
    flow_m3_h: Mapped[float | None]
    pressure_mpa: Mapped[float | None]
    level_m: Mapped[float | None]
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[str] = mapped_column(Text, default="")
    """Where the proof lies: a photograph, a letter, a work order."""
    author: Mapped[str]
    made_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(index=True)
    approver: Mapped[str | None]
    approved_at: Mapped[datetime | None]
    withdrawn_by: Mapped[str | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (UniqueConstraint("meter_id", "at", "version"),)


class ConflictDecisionRow(Base):
    """What a person decided about a value that was offered where another one stood."""

    __tablename__ = "conflict_decision"
    meter_id: Mapped[str] = mapped_column(ForeignKey("meter.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    quantity: Mapped[str] = mapped_column(primary_key=True)
    offered: Mapped[float] = mapped_column(primary_key=True)
    decision: Mapped[str]
    reason: Mapped[str] = mapped_column(Text)
    edit_id: Mapped[int | None] = mapped_column(ForeignKey("edit.id"))
    decided_by: Mapped[str]
    decided_at: Mapped[datetime]


class MeterEventRow(Base):
    """A meter change that a supplier sent, and what became of it (water.edits.EventState).

    Refused ones are one row a supplier and refusal, with the newest one's words; `count` says how
    many, of an applied one how often it was sent.
    """

    __tablename__ = "meter_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    supplier_id: Mapped[str] = mapped_column(ForeignKey("supplier.id"), index=True)
    state: Mapped[str]
    refusal: Mapped[str] = mapped_column(default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    meter_id: Mapped[str | None] = mapped_column(ForeignKey("meter.id"), index=True)
    at: Mapped[datetime | None]
    old_final_m3: Mapped[float | None]
    new_initial_m3: Mapped[float | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    count: Mapped[int] = mapped_column(_LONG)
    received_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decided_reason: Mapped[str | None] = mapped_column(Text)


class PlanRow(Base):
    """A version of a plan; see water.plans.Plan. `months_m3` holds twelve numbers."""

    __tablename__ = "plan"
    user_id: Mapped[str] = mapped_column(ForeignKey("water_user.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    months_m3: Mapped[list[float]]
    issued_by: Mapped[str] = mapped_column(default="")
    issued_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(default="")


class MonthlyReturnRow(Base):
    """The utility's return of a month; see water.plans.MonthlyReturn."""

    __tablename__ = "monthly_return"
    month: Mapped[date] = mapped_column(primary_key=True)
    own_m3: Mapped[float]
    purchased_m3: Mapped[float]
    billed_metered_m3: Mapped[float]
    billed_unmetered_m3: Mapped[float]
    free_metered_m3: Mapped[float]
    free_unmetered_m3: Mapped[float]
    household_m3: Mapped[float]
    mains_km: Mapped[float]
    outlet_pressure_mpa: Mapped[float]


class BillingReadRow(Base):
    """What the utility billed for a meter over local days, both included."""

    __tablename__ = "billing_read"
    meter_id: Mapped[str] = mapped_column(ForeignKey("meter.id"), primary_key=True)
    first: Mapped[date] = mapped_column(primary_key=True)
    last: Mapped[date]
    billed_m3: Mapped[float]
    note: Mapped[str] = mapped_column(default="")


class WorksRow(Base):
    """Works in a zone; see water.zones.Works."""

    __tablename__ = "works"
    id: Mapped[int] = mapped_column(primary_key=True)
    zone_id: Mapped[str] = mapped_column(ForeignKey("zone.id"), index=True)
    kind: Mapped[str]
    begins: Mapped[datetime]
    ends: Mapped[datetime]
    note: Mapped[str] = mapped_column(default="")


# ---------------------------------------------------------------- figures that runs computes


class ZoneDayRow(Base):
    """Net inflow and large users' use of a zone on a local day, m³, with shares of time."""

    __tablename__ = "zone_day"
    zone_id: Mapped[str] = mapped_column(ForeignKey("zone.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    inflow_m3: Mapped[float | None]
    large_use_m3: Mapped[float | None]
    measured_share: Mapped[float]
    estimated_share: Mapped[float]
    missing_share: Mapped[float]


class ZoneNightRow(Base):
    """The night flow of a zone, m³/h; `start` is the hour of the minimum, null if unmeasured."""

    __tablename__ = "zone_night"
    zone_id: Mapped[str] = mapped_column(ForeignKey("zone.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    start: Mapped[datetime | None]
    minimum_night_flow_m3_h: Mapped[float | None]
    night_use_m3_h: Mapped[float | None]
    net_night_flow_m3_h: Mapped[float | None]
    baseline_m3_h: Mapped[float | None]
    measured_share: Mapped[float]


class PlanStatusRow(Base):
    """Plan execution of a user in a year, as of an instant; see water.columns.PLAN_STATUS."""

    __tablename__ = "plan_status"
    user_id: Mapped[str] = mapped_column(ForeignKey("water_user.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    as_of: Mapped[datetime]
    plan_m3: Mapped[float]
    plan_to_date_m3: Mapped[float]
    used_m3: Mapped[float]
    use_rate: Mapped[float | None]
    projected_m3: Mapped[float | None]
    projected_rate: Mapped[float | None]
    level: Mapped[str]
    measured_share: Mapped[float]
    estimated_share: Mapped[float]
    missing_share: Mapped[float]


class CityRateRow(Base):
    """Loss rates of the city over a period ("2026", "2026-08", "r12:2026-08"), fractions and m³.

    `gross_rate` 综合漏损率 and `rate` 漏损率 (corrected, whole years and rolling 12 months only)
    by CJJ 92-2018; `provisional` until the calendar year is closed.
    """

    __tablename__ = "city_rate"
    period: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[datetime]
    system_input_m3: Mapped[float]
    authorised_m3: Mapped[float]
    losses_m3: Mapped[float]
    gross_rate: Mapped[float]
    rate: Mapped[float | None]
    corrections: Mapped[dict[str, Any]]
    provisional: Mapped[bool]


class ArrivalRow(Base):
    """Arrival of a meter on a local day: counts of readings, and from instant to arrival."""

    __tablename__ = "arrival"
    meter_id: Mapped[str] = mapped_column(ForeignKey("meter.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    expected: Mapped[int]
    received: Mapped[int]
    valid: Mapped[int]
    least_delay_s: Mapped[int | None] = mapped_column(_LONG)
    median_delay_s: Mapped[int | None] = mapped_column(_LONG)
    p95_delay_s: Mapped[int | None] = mapped_column(_LONG)
    most_delay_s: Mapped[int | None] = mapped_column(_LONG)


class TallyDayRow(Base):
    """What a count of ingest (water.loading.Tally) was as of a local day's last evaluation."""

    __tablename__ = "tally_day"
    supplier: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    ledger: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(_LONG)


class VerdictRow(Base):
    """A reading that the series check did not call good, as it stands now."""

    __tablename__ = "verdict"
    meter_id: Mapped[str] = mapped_column(ForeignKey("meter.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    verdict: Mapped[str]


class RunStateRow(Base):
    """Where a run stands: marks and times by name."""

    __tablename__ = "run_state"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]


class JobRow(Base):
    """What one process asks of another."""

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(default="waiting", index=True)
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[dict[str, Any] | None]


# ---------------------------------------------------------------- alerts and notices


class AlertRow(Base):
    """An alert; at most one open alert a rule, subject and period, held by the database."""

    __tablename__ = "alert"
    id: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[str]
    period: Mapped[str]
    state: Mapped[str]
    severity: Mapped[str]
    level: Mapped[str] = mapped_column(default="")
    since: Mapped[datetime | None]
    opened_at: Mapped[datetime]
    fired_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
    seen_at: Mapped[datetime]
    evidence: Mapped[dict[str, Any]]

    __table_args__ = (
        Index(
            "uq_alert_open",
            "rule",
            "subject_kind",
            "subject_id",
            "period",
            unique=True,
            sqlite_where=text("state <> 'resolved'"),
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index("ix_alert_state", "state", "opened_at"),
    )


class AlertEventRow(Base):
    """A step in the life of an alert: who moved it, when and why."""

    __tablename__ = "alert_event"
    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"), index=True)
    at: Mapped[datetime]
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(Text)


class NoticeRow(Base):
    """The outbox: a message to an audience about an alert, delivered at least once."""

    __tablename__ = "notice"
    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"), index=True)
    audience: Mapped[str]
    title: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(default="waiting", index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None]

    __table_args__ = (UniqueConstraint("alert_id", "audience", "title"),)


# ---------------------------------------------------------------- people, keys, audit


class AccountRow(Base):
    """A person's account; the password is an argon2 hash."""

    __tablename__ = "account"
    login: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    scope: Mapped[str | None]
    password_hash: Mapped[str]
    must_change: Mapped[bool] = mapped_column(default=False)
    disabled: Mapped[bool] = mapped_column(default=False)
    session_epoch: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class ApiKeyRow(Base):
    """A key for programs; only its SHA-256 is kept (the key itself is 256 random bits)."""

    __tablename__ = "api_key"
    id: Mapped[str] = mapped_column(primary_key=True)
    key_hash: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    scope: Mapped[str | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class AuditRow(Base):
    """Who changed what, when."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]


# ---------------------------------------------------------------- ingest's ledger


class LedgerPositionRow(Base):
    """Where loading of a journal goes on (water.loading.Position), and whose marker it bears."""

    __tablename__ = "ledger_position"
    journal: Mapped[str] = mapped_column(primary_key=True)
    segment: Mapped[int] = mapped_column(_LONG)
    offset: Mapped[int] = mapped_column(_LONG)
    entry: Mapped[int] = mapped_column(_LONG)
    marker: Mapped[str] = mapped_column(server_default="")


class LedgerTallyRow(Base):
    """A count that outlives restarts (water.loading.Tally)."""

    __tablename__ = "ledger_tally"
    supplier: Mapped[str] = mapped_column(primary_key=True)
    ledger: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(_LONG)


class LedgerQuarantineRow(Base):
    """A refused reading (water.loading.Refused); instants are epoch seconds."""

    __tablename__ = "ledger_quarantine"
    id: Mapped[int] = mapped_column(_LONG, primary_key=True)
    supplier: Mapped[str]
    reason: Mapped[str]
    detail: Mapped[str] = mapped_column(Text)
    dialect: Mapped[str]
    address: Mapped[str] = mapped_column(Text)
    at: Mapped[int | None] = mapped_column(_LONG)
    received_at: Mapped[int] = mapped_column(_LONG)
    segment: Mapped[int] = mapped_column(_LONG)
    offset: Mapped[int] = mapped_column(_LONG)
    part: Mapped[int] = mapped_column(_LONG)
    journal: Mapped[str] = mapped_column(server_default="ingest")

    __table_args__ = (
        Index("ix_ledger_quarantine_supplier", "supplier", "reason", "id"),
        Index("ix_ledger_quarantine_journal", "journal", "segment"),
        {"sqlite_autoincrement": True},
    )


class LedgerConflictRow(Base):
    """A value that was offered for a quantity that had another one; `at` in epoch seconds."""

    __tablename__ = "ledger_conflict"
    at: Mapped[int] = mapped_column(_LONG, primary_key=True)
    meter_id: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[str] = mapped_column(primary_key=True)
    offered: Mapped[float] = mapped_column(primary_key=True)
    kept: Mapped[float]
    received_at: Mapped[int] = mapped_column(_LONG)


class LedgerTouchedRow(Base):
    """The meter-days that a load changed, packed (storage.registry.ledger_touched)."""

    __tablename__ = "ledger_touched"
    mark: Mapped[int] = mapped_column(_LONG, primary_key=True)
    writer: Mapped[str]
    count: Mapped[int]
    days: Mapped[bytes]

    __table_args__ = ({"sqlite_autoincrement": True},)


class LedgerUnsettledRow(Base):
    """What a load is about to write and has not counted yet (storage.registry.ledger_unsettled)."""

    __tablename__ = "ledger_unsettled"
    id: Mapped[int] = mapped_column(_LONG, primary_key=True)
    parts: Mapped[bytes]
