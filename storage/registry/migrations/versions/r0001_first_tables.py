"""The first tables: what is registered, what is computed of it, alerts, people."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None


def _instant() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _real() -> TypeEngine[float]:
    return sa.Double()


def upgrade() -> None:
    """Create every table; those that others refer to come first."""
    op.create_table(
        "account",
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=True),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", _instant(), nullable=False),
        sa.PrimaryKeyConstraint("login", name=op.f("pk_account")),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("since", _instant(), nullable=True),
        sa.Column("opened_at", _instant(), nullable=False),
        sa.Column("fired_at", _instant(), nullable=True),
        sa.Column("acknowledged_at", _instant(), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("resolved_at", _instant(), nullable=True),
        sa.Column("seen_at", _instant(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index("ix_alert_state", "alert", ["state", "opened_at"])
    op.create_index(
        "uq_alert_open",
        "alert",
        ["rule", "subject_kind", "subject_id", "period"],
        unique=True,
        sqlite_where=sa.text("state <> 'resolved'"),
        postgresql_where=sa.text("state <> 'resolved'"),
    )

    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=True),
        sa.Column("created_at", _instant(), nullable=False),
        sa.Column("revoked_at", _instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_key_key_hash")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_at"), "audit", ["at"])

    op.create_table(
        "city_rate",
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("as_of", _instant(), nullable=False),
        sa.Column("system_input_m3", _real(), nullable=False),
        sa.Column("authorised_m3", _real(), nullable=False),
        sa.Column("losses_m3", _real(), nullable=False),
        sa.Column("gross_rate", _real(), nullable=False),
        sa.Column("rate", _real(), nullable=True),
        sa.Column("corrections", sa.JSON(), nullable=False),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("period", name=op.f("pk_city_rate")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", _instant(), nullable=False),
        sa.Column("ended_at", _instant(), nullable=True),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(op.f("ix_job_state"), "job", ["state"])

    op.create_table(
        "monthly_return",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("own_m3", _real(), nullable=False),
        sa.Column("purchased_m3", _real(), nullable=False),
        sa.Column("billed_metered_m3", _real(), nullable=False),
        sa.Column("billed_unmetered_m3", _real(), nullable=False),
        sa.Column("free_metered_m3", _real(), nullable=False),
        sa.Column("free_unmetered_m3", _real(), nullable=False),
        sa.Column("household_m3", _real(), nullable=False),
        sa.Column("mains_km", _real(), nullable=False),
        sa.Column("outlet_pressure_mpa", _real(), nullable=False),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_monthly_return")),
    )
    op.create_table(
        "run_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_run_state")),
    )
    op.create_table(
        "supplier",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_supplier")),
    )
    op.create_table(
        "water_user",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sector", sa.String(), nullable=False),
        sa.Column("credit_code", sa.String(), nullable=False),
        sa.Column("township", sa.String(), nullable=False),
        sa.Column("annual_volume_m3", _real(), nullable=True),
        sa.Column("contact", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_water_user")),
    )
    op.create_table(
        "zone",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent_id", sa.String(), nullable=True),
        sa.Column("mains_km", _real(), nullable=True),
        sa.Column("connections", sa.Integer(), nullable=True),
        sa.Column("pressure_mpa", _real(), nullable=True),
        sa.ForeignKeyConstraint(["parent_id"], ["zone.id"], name=op.f("fk_zone_parent_id_zone")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zone")),
    )
    op.create_table(
        "alert_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("from_state", sa.String(), nullable=True),
        sa.Column("to_state", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alert.id"], name=op.f("fk_alert_event_alert_id_alert")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_event")),
    )
    op.create_index(op.f("ix_alert_event_alert_id"), "alert_event", ["alert_id"])

    op.create_table(
        "meter",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("supplier_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("serial", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("zone_id", sa.String(), nullable=True),
        sa.Column("modulus_m3", _real(), nullable=True),
        sa.Column("q3_m3_h", _real(), nullable=True),
        sa.Column("interval_s", sa.Integer(), nullable=False),
        sa.Column("in_service_from", _instant(), nullable=True),
        sa.Column("in_service_to", _instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["supplier.id"], name=op.f("fk_meter_supplier_id_supplier")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["water_user.id"], name=op.f("fk_meter_user_id_water_user")
        ),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_meter_zone_id_zone")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter")),
    )
    op.create_index(op.f("ix_meter_supplier_id"), "meter", ["supplier_id"])
    op.create_index(op.f("ix_meter_user_id"), "meter", ["user_id"])
    op.create_index(op.f("ix_meter_zone_id"), "meter", ["zone_id"])

    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("audience", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", _instant(), nullable=False),
        sa.Column("next_attempt_at", _instant(), nullable=False),
        sa.Column("sent_at", _instant(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_notice_alert_id_alert")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("alert_id", "audience", "title", name=op.f("uq_notice_alert_id")),
    )
    op.create_index(op.f("ix_notice_alert_id"), "notice", ["alert_id"])
    op.create_index(op.f("ix_notice_state"), "notice", ["state"])

    op.create_table(
        "plan",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("months_m3", sa.JSON(), nullable=False),
        sa.Column("issued_by", sa.String(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["water_user.id"], name=op.f("fk_plan_user_id_water_user")
        ),
        sa.PrimaryKeyConstraint("user_id", "year", "version", name=op.f("pk_plan")),
    )
    op.create_table(
        "plan_status",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("as_of", _instant(), nullable=False),
        sa.Column("plan_m3", _real(), nullable=False),
        sa.Column("plan_to_date_m3", _real(), nullable=False),
        sa.Column("used_m3", _real(), nullable=False),
        sa.Column("use_rate", _real(), nullable=True),
        sa.Column("projected_m3", _real(), nullable=True),
        sa.Column("projected_rate", _real(), nullable=True),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("measured_share", _real(), nullable=False),
        sa.Column("estimated_share", _real(), nullable=False),
        sa.Column("missing_share", _real(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["water_user.id"], name=op.f("fk_plan_status_user_id_water_user")
        ),
        sa.PrimaryKeyConstraint("user_id", "year", name=op.f("pk_plan_status")),
    )
    op.create_table(
        "works",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("zone_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("begins", _instant(), nullable=False),
        sa.Column("ends", _instant(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_works_zone_id_zone")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_works")),
    )
    op.create_index(op.f("ix_works_zone_id"), "works", ["zone_id"])

    op.create_table(
        "zone_day",
        sa.Column("zone_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("inflow_m3", _real(), nullable=True),
        sa.Column("large_use_m3", _real(), nullable=True),
        sa.Column("measured_share", _real(), nullable=False),
        sa.Column("estimated_share", _real(), nullable=False),
        sa.Column("missing_share", _real(), nullable=False),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_zone_day_zone_id_zone")),
        sa.PrimaryKeyConstraint("zone_id", "day", name=op.f("pk_zone_day")),
    )
    op.create_table(
        "zone_night",
        sa.Column("zone_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("start", _instant(), nullable=True),
        sa.Column("minimum_night_flow_m3_h", _real(), nullable=True),
        sa.Column("night_use_m3_h", _real(), nullable=True),
        sa.Column("net_night_flow_m3_h", _real(), nullable=True),
        sa.Column("baseline_m3_h", _real(), nullable=True),
        sa.Column("measured_share", _real(), nullable=False),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_zone_night_zone_id_zone")),
        sa.PrimaryKeyConstraint("zone_id", "day", name=op.f("pk_zone_night")),
    )
    op.create_table(
        "arrival",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("valid", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name=op.f("fk_arrival_meter_id_meter")),
        sa.PrimaryKeyConstraint("meter_id", "day", name=op.f("pk_arrival")),
    )
    op.create_table(
        "device",
        sa.Column("supplier_id", sa.String(), nullable=False),
        sa.Column("dialect", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name=op.f("fk_device_meter_id_meter")),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["supplier.id"], name=op.f("fk_device_supplier_id_supplier")
        ),
        sa.PrimaryKeyConstraint("supplier_id", "dialect", "address", name=op.f("pk_device")),
    )
    op.create_index(op.f("ix_device_meter_id"), "device", ["meter_id"])

    op.create_table(
        "meter_change",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("old_final_m3", _real(), nullable=False),
        sa.Column("new_initial_m3", _real(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_meter_change_meter_id_meter")
        ),
        sa.PrimaryKeyConstraint("meter_id", "at", name=op.f("pk_meter_change")),
    )
    op.create_table(
        "verdict",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name=op.f("fk_verdict_meter_id_meter")),
        sa.PrimaryKeyConstraint("meter_id", "at", name=op.f("pk_verdict")),
    )


def downgrade() -> None:
    """Drop every table, with its indexes."""
    for table in (
        "verdict",
        "meter_change",
        "device",
        "arrival",
        "zone_night",
        "zone_day",
        "works",
        "plan_status",
        "plan",
        "notice",
        "meter",
        "alert_event",
        "zone",
        "water_user",
        "supplier",
        "run_state",
        "monthly_return",
        "job",
        "city_rate",
        "audit",
        "api_key",
        "alert",
        "account",
    ):
        op.drop_table(table)
