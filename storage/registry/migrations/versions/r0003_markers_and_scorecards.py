"""The marker of a journal beside its position; what scorecards of suppliers are computed from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_DELAYS = ("least_delay_s", "median_delay_s", "p95_delay_s", "most_delay_s")


def upgrade() -> None:
    """Markers are unknown until each journal is opened, delays until days are computed again."""
    op.add_column(
        "ledger_position", sa.Column("marker", sa.String(), server_default="", nullable=False)
    )
    for name in _DELAYS:
        op.add_column("arrival", sa.Column(name, _LONG, nullable=True))
    op.create_table(
        "tally_day",
        sa.Column("supplier", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("ledger", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("count", _LONG, nullable=False),
        sa.PrimaryKeyConstraint(
            "supplier", "day", "ledger", "account", "reason", name=op.f("pk_tally_day")
        ),
    )


def downgrade() -> None:
    """Drop them; a journal's marker is in its segments, the rest is lost."""
    op.drop_table("tally_day")
    for name in _DELAYS:
        op.drop_column("arrival", name)
    op.drop_column("ledger_position", "marker")
