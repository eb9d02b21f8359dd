"""Statements of the store, shared by both engines, and the check of its schema's version.

Statements are written with `?`; a session renders them for its driver. They avoid what one engine alone understands:
`ON CONFLICT … DO UPDATE … WHERE` instead of max() or greatest(). Where the engines differ, `Session` has an operation.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from services.scoring.rollup.cells import HASH_SPAN, CellKey, Measures
from services.scoring.rollup.outcome import ApplicationOutcome
from services.scoring.store.errors import SchemaVersionError
from services.scoring.store.session import Row, Session, Upsert, adding, replacing

OUTCOME_ROWS: Final = replacing(
    "outcome",
    ("application_id",),
    (
        "partition", "revision", "submission", "conflict", "month", "province", "procedure", "channel", "pattern_id",
        "submitted_at", "due_at", "decided_at", "presumed", "assisted", "on_time", "minutes", "content_hash",
        "commune", "rules_version",
    ),
)  # fmt: skip
CELL_SUMS: Final = adding(
    "cell",
    ("month", "province", "procedure", "channel", "pattern_id"),
    ("n", "presumed", "assisted", "on_time", "minutes"),
)
OFFSET_ENDS: Final = Upsert(
    "consumer_offset",
    ("topic", "partition"),
    ("next_offset",),
    "next_offset = excluded.next_offset WHERE excluded.next_offset > consumer_offset.next_offset",
)
FINGERPRINT_ROWS: Final = replacing("fingerprint", ("partition",), ("applications", "hash_sum"))
COUNTER_SUMS: Final = adding("counter", ("partition", "name"), ("value",))

FLAG_CONFLICT: Final = "UPDATE outcome SET conflict = 1 WHERE application_id = ?"
# All measures, so that a cell that is wrong is not swept away with the empty ones. No other writer can be in between:
# this transaction has changed the row.
DROP_EMPTY_CELL: Final = (
    "DELETE FROM cell WHERE month = ? AND province = ? AND procedure = ? AND channel = ? AND pattern_id = ?"
    " AND n = 0 AND presumed = 0 AND assisted = 0 AND on_time = 0 AND minutes = 0"
)
PUT_PATTERN: Final = "INSERT INTO pattern (text) VALUES (?) ON CONFLICT (text) DO NOTHING"
PATTERN_IDS: Final = "SELECT text, id FROM pattern WHERE text"
PATTERNS: Final = "SELECT id, text FROM pattern"
OFFSETS: Final = "SELECT partition, next_offset FROM consumer_offset WHERE topic = ? AND next_offset > 0"
PARTITIONS: Final = "SELECT partition FROM consumer_offset WHERE topic = ?"
FINGERPRINTS: Final = "SELECT partition, applications, hash_sum FROM fingerprint"
COUNTERS: Final = "SELECT name, CAST(sum(value) AS BIGINT) FROM counter GROUP BY name"
# With the number of the pattern: its text is long, and the same in many cells.
CELLS: Final = (
    "SELECT month, province, procedure, channel, pattern_id, n, presumed, assisted, on_time, minutes FROM cell"
)
PUBLISH_CELLS: Final = (
    "INSERT INTO published_cell"
    " (month, province, procedure, channel, pattern_id, n, presumed, assisted, on_time, minutes)"
    " SELECT month, province, procedure, channel, pattern_id, n, presumed, assisted, on_time, minutes"
    " FROM cell WHERE month = ?"
)
PUBLISH_MONTH: Final = "INSERT INTO publication (month, published_at) VALUES (?, ?)"
PUBLISH_OFFSETS: Final = (
    "INSERT INTO publication_offset (month, partition, next_offset)"
    " SELECT CAST(? AS TEXT), partition, next_offset FROM consumer_offset WHERE topic = ? AND next_offset > 0"
)
PUBLISHED_AT: Final = "SELECT published_at FROM publication WHERE month = ?"
PUBLISHED_OFFSETS: Final = "SELECT partition, next_offset FROM publication_offset WHERE month = ?"
PUBLICATIONS: Final = "SELECT month, published_at FROM publication ORDER BY month"
ALL_PUBLISHED_OFFSETS: Final = "SELECT month, partition, next_offset FROM publication_offset"
PUBLISHED_SUMS: Final = "SELECT month, CAST(sum(n) AS BIGINT) FROM published_cell GROUP BY month"
PUBLISHED_CELLS: Final = (
    "SELECT month, province, procedure, channel, pattern_id, n, presumed, assisted, on_time, minutes"
    " FROM published_cell WHERE month = ?"
)
# The pattern comes last: as its number for the writer, who knows the texts, and as text for readers.
_OUTCOME: Final = (
    "SELECT conflict, application_id, revision, submission, content_hash, month, province, procedure, channel,"
    " presumed, assisted, on_time, minutes, submitted_at, due_at, decided_at, commune, rules_version,"
)
OUTCOMES: Final = f"{_OUTCOME} pattern_id FROM outcome WHERE application_id"
OUTCOME: Final = (
    f"{_OUTCOME} text FROM outcome JOIN pattern ON pattern.id = outcome.pattern_id WHERE application_id = ?"
)
CONTENT_HASHES: Final = "SELECT application_id, content_hash FROM outcome WHERE partition = ? ORDER BY application_id"
OUTCOME_COUNTS: Final = "SELECT partition, count(*) FROM outcome GROUP BY partition"
META: Final = "SELECT value FROM meta WHERE key = ?"
PUT_META_ONCE: Final = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
NEWEST_MONTH: Final = "SELECT max(month) FROM cell"
RAISE_CLOSED_BEFORE: Final = (
    "INSERT INTO meta (key, value) VALUES ('closed_before', ?)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE excluded.value > meta.value"
)
END_OF_SLICE: Final = (
    "SELECT max(application_id) FROM"
    " (SELECT application_id FROM outcome WHERE application_id > ? ORDER BY application_id LIMIT ?) slice"
)
DELETE_CLOSED: Final = "DELETE FROM outcome WHERE application_id > ? AND application_id <= ? AND month < ?"

# SQL has no unsigned 64-bit integers: the same bits, read as signed.
_HALF_SPAN: Final = HASH_SPAN // 2

MIGRATE: Final = "python -m services.scoring.store.migrate"


def signed(value: int) -> int:
    """Return an unsigned 64-bit integer as a signed one."""
    return value - HASH_SPAN if value >= _HALF_SPAN else value


def unsigned(value: int) -> int:
    """Return the unsigned 64-bit integer that `signed` took."""
    return value + HASH_SPAN if value < 0 else value


class StoredOutcome(NamedTuple):
    """An application's current outcome; `conflict`: two different submissions were seen under its id."""

    outcome: ApplicationOutcome
    conflict: bool


def outcome_of_row(row: Row, pattern: str) -> StoredOutcome:
    """Return the outcome of a row of `OUTCOMES` or `OUTCOME`; `pattern` is the text of its pattern."""
    conflict, name, revision, submission, content_hash, month, province, procedure, channel = row[:9]
    cell = CellKey(month, province, procedure, channel, pattern)
    measures = Measures(1, *row[9:13])
    outcome = ApplicationOutcome(name, revision, submission, unsigned(content_hash), cell, measures, *row[13:18])
    return StoredOutcome(outcome, bool(conflict))


@cache
def newest_version() -> int:
    """Return the number of the newest migration that this program knows."""
    scripts = files("services.scoring.store.migrations.versions").iterdir()
    return max(int(script.name[:4]) for script in scripts if script.name[:4].isdigit())


def schema_version(session: Session) -> int:
    """Return the number of the last migration applied, 0 for an empty database; call it inside a transaction.

    Raises:
        SchemaVersionError: the tables are those of a program that numbered its migrations in another way.

    """
    tables = session.tables()
    if "alembic_version" in tables:
        rows = list(session.rows("SELECT version_num FROM alembic_version"))
        return int(rows[0][0]) if rows else 0
    if "meta" in tables:
        raise SchemaVersionError(
            f"store {session.name}: written by a program from before the migrations of today; there is no way from"
            " there: start an empty store, it fills up again from the log"
        )
    return 0


def check_not_newer(found: int) -> None:
    """Refuse a schema newer than this program.

    Raises:
        SchemaVersionError: it is.

    """
    if found > newest_version():
        raise SchemaVersionError(
            f"the store has schema version {found}, this program knows {newest_version()}; upgrade the program"
        )


def check_current(found: int) -> None:
    """Refuse every schema but the one that this program was written for.

    Raises:
        SchemaVersionError: it is newer or older.

    """
    check_not_newer(found)
    if found < newest_version():
        raise SchemaVersionError(
            f"the store has schema version {found}, this program needs {newest_version()}; run `{MIGRATE}`, or start"
            " the scoring consumer with SCORING_MIGRATE=true"
        )


def closed_before(session: Session) -> str:
    """Return the first month that is open, YYYY-MM, empty while no month is closed; call it inside a transaction."""
    return closed_before_of(session.rows(META, ("closed_before",)))


def closed_before_of(rows: Iterable[Row]) -> str:
    """Return the same from the rows of that query."""
    return next((str(month) for (month,) in rows), "")
