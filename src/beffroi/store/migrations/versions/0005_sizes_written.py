"""What size a workload was given last, and is about to be given, apart from the one it has by itself"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = ("size", "meant")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("workload_object", sa.Column(name, sa.Integer(), nullable=True))
    op.execute("UPDATE workload_object SET size = 0 WHERE applied = 'down'")


def downgrade() -> None:
    with op.batch_alter_table("workload_object") as table:
        for name in COLUMNS:
            table.drop_column(name)
