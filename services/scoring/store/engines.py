"""From the address of a store to a session of its engine."""

from typing import Final

from pydantic import SecretStr

from services.scoring.store.session import Session
from services.scoring.store.sqlite import SqliteSession

EXPECTED: Final = "sqlite:///path/to/scoring.db or postgresql://user@host:5432/database"


def open_session(
    url: str, *, password: SecretStr | None = None, read_only: bool = False, application: str = "scoring"
) -> Session:
    """Return a session of a store; it connects at the first transaction.

    Args:
        url: `sqlite:///path`, or `postgresql://user@host:port/database?sslmode=…` with libpq's parameters.
        password: of the PostgreSQL user, if it is neither in the address nor in libpq's password file.
        read_only: refuse to write.
        application: the name that the server shows for the connection.

    Raises:
        ValueError: the address is none, or what its engine needs is not installed.

    """
    if url.startswith("sqlite:///"):
        return SqliteSession(url, read_only=read_only)
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from services.scoring.store.postgres import PostgresSession  # noqa: PLC0415  libpq costs others 10 MB
        except ModuleNotFoundError as error:
            raise ValueError(f'store {_scheme(url)}…: needs {error.name}; pip install "paperless[postgres]"') from error
        return PostgresSession(url, password=password, read_only=read_only, application=application)
    raise ValueError(f"store {_scheme(url)}…: not an address of a store; expected {EXPECTED}")


def shown(url: str) -> str:
    """Return an address as it may be printed: without password and parameters."""
    try:
        return open_session(url).name
    except ValueError:
        return f"{_scheme(url)}…"


def _scheme(url: str) -> str:
    """Return all of a wrong address that may be shown: whatever follows may hold a password."""
    scheme, parted, _ = url.partition("://")
    return f"{scheme}{parted}" if parted else ""
