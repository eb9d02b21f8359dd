"""Where an application was filed, and by which version of the rules it was decided.

Only adds, with defaults: consumers of the version before go on writing until each of them is replaced.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; empty and 0 where an outcome was stored before."""
    op.add_column("outcome", sa.Column("commune", sa.Text(), nullable=False, server_default=""))
    op.add_column("outcome", sa.Column("rules_version", sa.Integer(), nullable=False, server_default="0"))
