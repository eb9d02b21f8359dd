"""Published months: their cells as they were at a cut-off, and the offsets up to which they were counted.

Only adds tables: consumers of the version before go on writing until each of them is replaced.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# Bytes, not words: as the tables that they are copied from.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger()


def upgrade() -> None:
    """Create the tables; a row of them is written once and never changed."""
    op.create_table("publication", _key("month", TEXT), _column("published_at", TEXT))
    op.create_table(
        "publication_offset",
        _key("month", TEXT),
        _key("partition", sa.Integer()),
        _column("next_offset", NUMBER),
    )
    op.create_table(
        "published_cell",
        *(_key(name, TEXT) for name in ("month", "province", "procedure", "channel")),
        _key("pattern_id", NUMBER),
        *(_column(name, NUMBER) for name in ("n", "presumed", "assisted", "on_time", "minutes")),
        sqlite_with_rowid=False,
    )


def _key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _column(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)
