"""Targets of the workload schedules, what was done to them, and what people say by hand"""

import sqlalchemy as sa
from alembic import op

from beffroi.store.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TARGET = "workload_target.id"


def upgrade() -> None:
    op.create_table(
        "workload_target",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("job_id", sa.Integer(), sa.ForeignKey("job.id"), nullable=True),
        sa.Column("wanted", sa.String(length=20), nullable=True),
        sa.Column("observed", sa.String(length=20), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("done", sa.Text(), nullable=True),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="workload_target_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("workload_target_job", "workload_target", ["job_id"])
    op.create_table(
        "workload_object",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.Integer(), sa.ForeignKey(TARGET), nullable=False),
        sa.Column("place", sa.String(length=700), nullable=False),
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("original", sa.Integer(), nullable=True),
        sa.Column("applied", sa.String(length=20), nullable=True),
        sa.Column("written_at", UtcDateTime(), nullable=True),
        sa.Column("rival", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("place", name="workload_object_place"),
        sqlite_autoincrement=True,
    )
    op.create_index("workload_object_target", "workload_object", ["target_id"])
    op.create_table(
        "workload_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("target_id", sa.Integer(), sa.ForeignKey(TARGET), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("observed", sa.String(length=20), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("workload_change_target", "workload_change", ["target_id", "at"])
    _extend_schedules()
    op.create_table(
        "workload_override",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("schedule_id", sa.Integer(), sa.ForeignKey("workload_schedule.id"), nullable=False),
        sa.Column("wanted", sa.String(length=20), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.Column("author", sa.String(length=210), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("workload_override_schedule", "workload_override", ["schedule_id"])


def _extend_schedules() -> None:
    # SQLite makes the table anew for this; ids of schedules that are gone are not given again.
    with op.batch_alter_table("workload_schedule", table_kwargs={"sqlite_autoincrement": True}) as table:
        table.add_column(sa.Column("reason", sa.Text(), nullable=True))
        table.add_column(sa.Column("replicas", sa.Integer(), nullable=True))
        table.add_column(
            sa.Column(
                "target_id",
                sa.Integer(),
                sa.ForeignKey(TARGET, name="workload_schedule_target_id_fkey"),
                nullable=True,
            )
        )
        table.add_column(
            sa.Column("origin", sa.String(length=20), nullable=False, server_default="api"),
        )
        table.create_index("workload_schedule_target", ["target_id"])


def downgrade() -> None:
    op.drop_table("workload_override")
    with op.batch_alter_table("workload_schedule") as table:
        table.drop_index("workload_schedule_target")
        for column in ("origin", "target_id", "replicas", "reason"):
            table.drop_column(column)
    for name in ("workload_change", "workload_object", "workload_target"):
        op.drop_table(name)
