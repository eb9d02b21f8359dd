"""The first tables: outcomes, cells by pattern, fingerprints, counters and offsets."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Bytes, not words: cheaper to compare, and in the same order as in our code.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger()


def upgrade() -> None:
    """Create the tables; times are epoch seconds, 64-bit hashes are read as signed."""
    op.create_table("meta", _key("key", TEXT), _column("value", TEXT))
    op.create_table(
        "pattern",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=True),
            primary_key=True,
        ),
        sa.Column("text", TEXT, nullable=False, unique=True),
    )
    _create_outcome()
    _create_cell()
    op.create_table(
        "consumer_offset", _key("topic", TEXT), _key("partition", sa.Integer()), _column("next_offset", NUMBER)
    )
    # hash_sum is modulo 2**64.
    op.create_table(
        "fingerprint", _key("partition", sa.Integer()), _column("applications", NUMBER), _column("hash_sum", NUMBER)
    )
    op.create_table("counter", _key("partition", sa.Integer()), _key("name", TEXT), _column("value", NUMBER))


def _create_outcome() -> None:
    """One row per application with its current outcome."""
    op.create_table(
        "outcome",
        _key("application_id", TEXT),
        *(_column(name, sa.Integer()) for name in ("partition", "revision")),
        _column("submission", TEXT),
        _column("conflict", sa.Integer()),
        *(_column(name, TEXT) for name in ("month", "province", "procedure", "channel")),
        *(_column(name, NUMBER) for name in ("pattern_id", "submitted_at", "due_at", "decided_at")),
        *(_column(name, sa.Integer()) for name in ("presumed", "assisted", "on_time")),
        *(_column(name, NUMBER) for name in ("minutes", "content_hash")),
        sqlite_with_rowid=False,
    )


def _create_cell() -> None:
    op.create_table(
        "cell",
        *(_key(name, TEXT) for name in ("month", "province", "procedure", "channel")),
        _key("pattern_id", NUMBER),
        *(_column(name, NUMBER) for name in ("n", "presumed", "assisted", "on_time", "minutes")),
        sqlite_with_rowid=False,
        # Every batch changes cells; with room on the page their index stays as it is.
        postgresql_with={"fillfactor": 50},
    )


def _key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _column(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)
