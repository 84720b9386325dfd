"""Accounts, sign-ins, tokens, the audit; what went wrong is found without reading the whole ledger"""

import sqlalchemy as sa
from alembic import op

from beffroi.store.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WENT_WRONG = sa.text("state IN ('failed', 'missed', 'skipped', 'cancelled')")

_SET_ASIDE = sa.text("state IN ('paused', 'broken')")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _make_claims_cheap()
    op.create_index("job_set_aside", "job", ["state"], sqlite_where=_SET_ASIDE, postgresql_where=_SET_ASIDE)
    op.create_index(
        "run_went_wrong",
        "run",
        ["job_id", "scheduled_for"],
        sqlite_where=_WENT_WRONG,
        postgresql_where=_WENT_WRONG,
    )
    op.create_index("run_wrong_newest", "run", ["id"], sqlite_where=_WENT_WRONG, postgresql_where=_WENT_WRONG)
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("issuer", sa.String(length=500), nullable=True),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("account_name", "account", ["name"], unique=True)
    op.create_index("account_subject", "account", ["issuer", "subject"], unique=True)
    op.create_table(
        "sign_in",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("device_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), sa.ForeignKey("account.id"), nullable=False),
        sa.Column("means", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key_hash"),
    )
    op.create_index("sign_in_account", "sign_in", ["account_id"])
    op.create_index("sign_in_device", "sign_in", ["device_hash"])
    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("account_id", sa.Integer(), sa.ForeignKey("account.id"), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("areas", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_from", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("api_token_key", "api_token", ["key_hash"], unique=True)
    op.create_index("api_token_account", "api_token", ["account_id"])
    op.create_table(
        "invitation",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), sa.ForeignKey("account.id"), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash"),
    )
    op.create_index("invitation_account", "invitation", ["account_id"])
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=210), nullable=False),
        sa.Column("means", sa.String(length=20), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )


def _make_claims_cheap() -> None:
    """A run is claimed by an update of its row: with room on its page, and no index that names the node, none
    of the indexes has to be written for it."""
    op.drop_index("run_in_hand", "run")
    op.create_index(
        "run_in_hand", "run", ["job_id"], postgresql_where=sa.text("state IN ('planned', 'running')")
    )
    op.execute("ALTER TABLE run SET (fillfactor = 50)")


def downgrade() -> None:
    for table in ("audit_entry", "invitation", "api_token", "sign_in", "account"):
        op.drop_table(table)
    op.drop_index("run_wrong_newest", "run")
    op.drop_index("run_went_wrong", "run")
    op.drop_index("job_set_aside", "job")
