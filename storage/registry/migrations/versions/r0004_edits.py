"""Edits of readings, conflicts decided, meter changes that suppliers send, billing reads."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0004"
down_revision = "0003"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def _real() -> TypeEngine[float]:
    return sa.Double()


def upgrade() -> None:
    """Nothing was edited before."""
    op.create_table(
        "edit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("register_m3", _real(), nullable=True),
        sa.Column("flow_m3_h", _real(), nullable=True),
        sa.Column("pressure_mpa", _real(), nullable=True),
        sa.Column("level_m", _real(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("made_at", _INSTANT, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("approver", sa.String(), nullable=True),
        sa.Column("approved_at", _INSTANT, nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.Column("withdrawn_at", _INSTANT, nullable=True),
        sa.Column("withdrawn_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name=op.f("fk_edit_meter_id_meter")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edit")),
        sa.UniqueConstraint("meter_id", "at", "version", name=op.f("uq_edit_meter_id")),
    )
    op.create_index(op.f("ix_edit_state"), "edit", ["state"])
    op.create_table(
        "conflict_decision",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("quantity", sa.String(), nullable=False),
        sa.Column("offered", _real(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("edit_id", sa.Integer(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_conflict_decision_meter_id_meter")
        ),
        sa.ForeignKeyConstraint(
            ["edit_id"], ["edit.id"], name=op.f("fk_conflict_decision_edit_id_edit")
        ),
        sa.PrimaryKeyConstraint(
            "meter_id", "at", "quantity", "offered", name=op.f("pk_conflict_decision")
        ),
    )
    op.create_table(
        "meter_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("supplier_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("refusal", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("meter_id", sa.String(), nullable=True),
        sa.Column("at", _INSTANT, nullable=True),
        sa.Column("old_final_m3", _real(), nullable=True),
        sa.Column("new_initial_m3", _real(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", _LONG, nullable=False),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", _INSTANT, nullable=True),
        sa.Column("decided_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_meter_event_meter_id_meter")
        ),
        sa.ForeignKeyConstraint(
            ["supplier_id"], ["supplier.id"], name=op.f("fk_meter_event_supplier_id_supplier")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter_event")),
    )
    op.create_table(
        "billing_read",
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("billed_m3", _real(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["meter_id"], ["meter.id"], name=op.f("fk_billing_read_meter_id_meter")
        ),
        sa.PrimaryKeyConstraint("meter_id", "first", name=op.f("pk_billing_read")),
    )
    op.create_index(op.f("ix_meter_event_supplier_id"), "meter_event", ["supplier_id"])
    op.create_index(op.f("ix_meter_event_meter_id"), "meter_event", ["meter_id"])


def downgrade() -> None:
    """What people decided is lost; readings are as meters sent them."""
    op.drop_table("billing_read")
    op.drop_table("meter_event")
    op.drop_table("conflict_decision")
    op.drop_table("edit")
