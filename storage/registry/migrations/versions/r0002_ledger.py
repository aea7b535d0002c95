"""Ingest's ledger, for a readings store that keeps readings only."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0002"
down_revision = "0001"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _real() -> TypeEngine[float]:
    return sa.Double()


def upgrade() -> None:
    """Create the ledger's tables."""
    op.create_table(
        "ledger_position",
        sa.Column("journal", sa.String(), nullable=False),
        sa.Column("segment", _LONG, nullable=False),
        sa.Column("offset", _LONG, nullable=False),
        sa.Column("entry", _LONG, nullable=False),
        sa.PrimaryKeyConstraint("journal", name=op.f("pk_ledger_position")),
    )
    op.create_table(
        "ledger_tally",
        sa.Column("supplier", sa.String(), nullable=False),
        sa.Column("ledger", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("count", _LONG, nullable=False),
        sa.PrimaryKeyConstraint(
            "supplier", "ledger", "account", "reason", name=op.f("pk_ledger_tally")
        ),
    )
    op.create_table(
        "ledger_quarantine",
        sa.Column("id", _LONG, nullable=False),
        sa.Column("supplier", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("dialect", sa.String(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("at", _LONG, nullable=True),
        sa.Column("received_at", _LONG, nullable=False),
        sa.Column("segment", _LONG, nullable=False),
        sa.Column("offset", _LONG, nullable=False),
        sa.Column("part", _LONG, nullable=False),
        sa.Column("journal", sa.String(), server_default="ingest", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_quarantine")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_ledger_quarantine_supplier", "ledger_quarantine", ["supplier", "reason", "id"]
    )
    op.create_index("ix_ledger_quarantine_journal", "ledger_quarantine", ["journal", "segment"])
    op.create_table(
        "ledger_conflict",
        sa.Column("at", _LONG, nullable=False),
        sa.Column("meter_id", sa.String(), nullable=False),
        sa.Column("quantity", sa.String(), nullable=False),
        sa.Column("offered", _real(), nullable=False),
        sa.Column("kept", _real(), nullable=False),
        sa.Column("received_at", _LONG, nullable=False),
        sa.PrimaryKeyConstraint(
            "at", "meter_id", "quantity", "offered", name=op.f("pk_ledger_conflict")
        ),
    )
    op.create_table(
        "ledger_touched",
        sa.Column("mark", _LONG, nullable=False),
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("days", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name=op.f("pk_ledger_touched")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "ledger_unsettled",
        sa.Column("id", _LONG, nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_unsettled")),
    )


def downgrade() -> None:
    """Drop them; the counts are lost, the readings are not theirs."""
    for table in ("unsettled", "touched", "conflict", "quarantine", "tally", "position"):
        op.drop_table(f"ledger_{table}")
