"""Schema and statements of the store, and the few places where SQLite and PostgreSQL differ.

Statements are written with `?`; a dialect renders them for its driver. They avoid what one engine alone understands:
`ON CONFLICT … DO UPDATE … WHERE` instead of max() or greatest(), `IN` lists of a fixed length instead of arrays.
"""

import sqlite3
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from services.scoring.store_errors import SchemaVersionError, StoreDamagedError, StoreUnavailableError

# The ids of one look-up; a fixed number keeps the statement's text, and with it the prepared statement, the same.
LOOKUP_IDS: Final = 500
BUSY_TIMEOUT_S: Final = 5.0

STANDINGS: Final = Template(
    "SELECT application_id, revision, submission, content_hash, month, province, procedure, channel, pattern_id,"
    " presumed, assisted, on_time, minutes, conflict FROM outcome WHERE application_id IN ($ids)"
).substitute(ids=", ".join("?" * LOOKUP_IDS))
PUT_OUTCOME: Final = (
    "INSERT INTO outcome VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (application_id) DO UPDATE SET partition = excluded.partition, revision = excluded.revision,"
    " submission = excluded.submission, conflict = excluded.conflict, month = excluded.month,"
    " province = excluded.province, procedure = excluded.procedure, channel = excluded.channel,"
    " pattern_id = excluded.pattern_id, submitted_at = excluded.submitted_at, due_at = excluded.due_at,"
    " decided_at = excluded.decided_at, presumed = excluded.presumed, assisted = excluded.assisted,"
    " on_time = excluded.on_time, minutes = excluded.minutes, content_hash = excluded.content_hash"
)
FLAG_CONFLICT: Final = "UPDATE outcome SET conflict = 1 WHERE application_id = ?"
ADD_TO_CELL: Final = (
    "INSERT INTO cell VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (month, province, procedure, channel, pattern_id) DO UPDATE SET n = cell.n + excluded.n,"
    " presumed = cell.presumed + excluded.presumed, assisted = cell.assisted + excluded.assisted,"
    " on_time = cell.on_time + excluded.on_time, minutes = cell.minutes + excluded.minutes"
)
# All measures, so that a cell that is wrong is not swept away with the empty ones.
DROP_EMPTY_CELL: Final = (
    "DELETE FROM cell WHERE month = ? AND province = ? AND procedure = ? AND channel = ? AND pattern_id = ?"
    " AND n = 0 AND presumed = 0 AND assisted = 0 AND on_time = 0 AND minutes = 0"
)
ADVANCE: Final = (
    "INSERT INTO consumer_offset VALUES (?, ?, ?) ON CONFLICT (topic, partition)"
    " DO UPDATE SET next_offset = excluded.next_offset WHERE excluded.next_offset > consumer_offset.next_offset"
)
PUT_FINGERPRINT: Final = (
    "INSERT INTO fingerprint VALUES (?, ?, ?)"
    " ON CONFLICT (partition) DO UPDATE SET applications = excluded.applications, hash_sum = excluded.hash_sum"
)
ADD_TO_COUNTER: Final = (
    "INSERT INTO counter VALUES (?, ?, ?)"
    " ON CONFLICT (partition, name) DO UPDATE SET value = counter.value + excluded.value"
)
PUT_PATTERN: Final = "INSERT INTO pattern (text) VALUES (?) ON CONFLICT (text) DO NOTHING"
PATTERN_ID: Final = "SELECT id FROM pattern WHERE text = ?"
PATTERNS: Final = "SELECT id, text FROM pattern"
OFFSETS: Final = "SELECT partition, next_offset FROM consumer_offset WHERE topic = ?"
FINGERPRINTS: Final = "SELECT partition, applications, hash_sum FROM fingerprint"
COUNTERS: Final = "SELECT name, sum(value) FROM counter GROUP BY name"
CELLS: Final = (
    "SELECT month, province, procedure, channel, text, n, presumed, assisted, on_time, minutes"
    " FROM cell JOIN pattern ON pattern.id = cell.pattern_id"
)
OUTCOME: Final = (
    "SELECT application_id, revision, submission, conflict, province, procedure, channel, text,"
    " submitted_at, due_at, decided_at, presumed, assisted, on_time, minutes"
    " FROM outcome JOIN pattern ON pattern.id = outcome.pattern_id WHERE application_id = ?"
)
CONTENT_HASHES: Final = "SELECT application_id, content_hash FROM outcome WHERE partition = ? ORDER BY application_id"
OUTCOME_COUNTS: Final = "SELECT partition, count(*) FROM outcome GROUP BY partition"
META: Final = "SELECT value FROM meta WHERE key = ?"
PUT_META: Final = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"

_SQLITE_WORDS: Final[Mapping[str, str]] = {"identity": "INTEGER PRIMARY KEY", "clustered": "WITHOUT ROWID"}
_SCHEME: Final = "sqlite:///"


def store_path(url: str) -> Path:
    """Return the file of a store's address, `sqlite:///scoring.db` or `sqlite:////var/lib/scoring.db`.

    Raises:
        ValueError: another kind of address.

    """
    path = url.removeprefix(_SCHEME)
    if path == url or not path:
        raise ValueError(f"store {url!r}: not an address of a store; expected sqlite:///path/to/scoring.db")
    return Path(path)


def connect(url: str, *, read_only: bool) -> sqlite3.Connection:
    """Open a store in autocommit mode: transactions are begun and ended by name.

    Raises:
        StoreUnavailableError: there is no such file (read-only), its folder is missing, or it is locked.
        StoreDamagedError: the file is no database.

    """
    path = store_path(url)
    mode = "ro" if read_only else "rwc"
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_S,
            check_same_thread=False,
            cached_statements=64,
        )
        try:
            _configure(connection, read_only=read_only)
        except sqlite3.Error:
            connection.close()
            raise
    except sqlite3.OperationalError as error:
        remedy = "has the scoring consumer been started?" if read_only else "check the folder and its permissions"
        raise StoreUnavailableError(f"store {path}: {error}; {remedy}") from error
    except sqlite3.DatabaseError as error:
        raise StoreDamagedError(f"store {path}: {error}; restore it, or start an empty one") from error
    return connection


def _configure(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = 1")
        return
    connection.execute("PRAGMA journal_mode = WAL")
    # May lose the last transactions on power loss: safe, because the consumer seeks to the offsets of this very store.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -65536")


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the number of the last migration applied, 0 for an empty database."""
    try:
        row = connection.execute(META, ("schema_version",)).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return 0
        raise
    return int(row[0]) if row else 0


def newest_version() -> int:
    """Return the number of the newest migration this program knows."""
    return max(_migrations())


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date; two processes may try at once.

    Raises:
        SchemaVersionError: the store was written by a newer program.

    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        current = schema_version(connection)
        check_version(current, at_most=newest_version())
        for number, script in sorted(_migrations().items()):
            if number > current:
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(PUT_META, ("schema_version", str(number)))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def check_version(found: int, *, at_most: int) -> None:
    """Refuse a schema newer than this program.

    Raises:
        SchemaVersionError: it is.

    """
    if found > at_most:
        raise SchemaVersionError(
            f"the store has schema version {found}, this program knows {at_most}; upgrade the program"
        )


def _statements(script: str) -> list[str]:
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    return "\n".join(lines).split(";")


def _migrations() -> dict[int, str]:
    scripts = [entry for entry in files("services.scoring.migrations").iterdir() if entry.name.endswith(".sql")]
    return {int(script.name[:4]): Template(script.read_text("utf-8")).substitute(_SQLITE_WORDS) for script in scripts}
