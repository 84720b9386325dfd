"""Roles of nodes; on PostgreSQL, the queue that carries the runs"""

import sqlalchemy as sa
from alembic import op

from beffroi.store.types import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("node", schema=None) as batch_op:
        batch_op.add_column(sa.Column("role", sa.String(length=20), nullable=False, server_default="serve"))
        batch_op.add_column(sa.Column("draining_at", UtcDateTime(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        _install_queue()


def _install_queue() -> None:
    from beffroi.store.pgqueuer import install_statement

    op.create_index(
        "run_in_hand",
        "run",
        ["job_id"],
        postgresql_where=sa.text("state IN ('planned', 'running') AND node_id IS NOT NULL"),
    )
    op.get_bind().exec_driver_sql(install_statement())


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        from beffroi.store.pgqueuer import uninstall_statement

        op.get_bind().exec_driver_sql(uninstall_statement())
        op.drop_index("run_in_hand", "run")
    with op.batch_alter_table("node", schema=None) as batch_op:
        batch_op.drop_column("draining_at")
        batch_op.drop_column("role")
