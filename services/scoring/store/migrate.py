"""Brings the store's schema up to date: at the consumer's start, or as a job of its own before it.

python -m services.scoring.store.migrate
python -m services.scoring.store.migrate --check postgresql://scoring_owner@db/paperless
python -m services.scoring.store.migrate --sql postgresql://db/paperless > schema.sql
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import sqlalchemy as sa
import typer
from alembic import command
from alembic.config import Config
from pydantic import SecretStr

from runtime.command_line import run
from runtime.errors import FatalError
from runtime.settings import read_settings
from services.scoring.settings import ScoringSettings
from services.scoring.store import schema
from services.scoring.store.engines import open_session, shown
from services.scoring.store.errors import StoreError, StoreUnavailableError
from services.scoring.store.session import Session

# Against a second migration; the number is "scoring" on a telephone's keys, any would do.
LOCKS: Final = {"postgresql": "SELECT pg_advisory_xact_lock(7267464)", "sqlite": "BEGIN IMMEDIATE"}
HEAD: Final = "head"
EXIT_USAGE: Final = 2
# EX_TEMPFAIL of sysexits.h: run it again.
EXIT_TEMPORARY: Final = 75


def upgrade(url: str, password: SecretStr | None = None) -> int:
    """Apply what is missing, all or nothing, and return the version; several processes may try at once.

    Raises:
        ValueError: the address is none.
        SchemaVersionError: the store was written by a newer program.
        StoreError: the store cannot be reached, or its user may not change tables.

    """
    session = open_session(url, password=password, application="scoring_migrate")
    try:
        with session.errors(), _driver_errors(), _engine(session, url).begin() as work:
            work.exec_driver_sql(LOCKS[work.dialect.name])
            version = schema.schema_version(session)
            schema.check_not_newer(version)
            if version < schema.newest_version():
                config = _config()
                config.attributes["connection"] = work
                command.upgrade(config, HEAD)
            return schema.schema_version(session)
    finally:
        session.close()


def _engine(session: Session, url: str) -> sa.Engine:
    """Return an engine that works on the session's own connection: one way to connect, one to fail."""
    dialect = "postgresql+psycopg" if _is_server(url) else "sqlite"
    return sa.create_engine(f"{dialect}://", creator=session.for_migration, poolclass=sa.NullPool)


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise (error.orig or error) from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config


def _is_server(url: str) -> bool:
    return url.startswith("postgres")


def main(
    url: Annotated[str | None, typer.Argument(help="The store; by default that of SCORING_STORE.")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if there is something to do.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the whole history as SQL; connect to nothing.")] = False,
) -> None:
    """Bring the store's schema up to date; safe to run again, and by several at once.

    The user needs the owner's rights. Its password may come from SCORING_STORE_PASSWORD or the file that
    SCORING_STORE_PASSWORD_FILE names.

    Example: python -m services.scoring.store.migrate postgresql://scoring_owner@127.0.0.1:5432/paperless
    """
    try:
        settings = read_settings(ScoringSettings)
        address = url or settings.store
        if sql:
            _print_sql(address)
        elif check:
            _check(address, settings.store_password)
        else:
            print(f"{shown(address)}: schema version {upgrade(address, settings.store_password)}")  # noqa: T201  a report
    except StoreUnavailableError as error:
        _refuse(str(error), EXIT_TEMPORARY)
    except (FatalError, StoreError, ValueError) as error:
        _refuse(str(error), EXIT_USAGE)


def _check(url: str, password: SecretStr | None) -> None:
    session = open_session(url, password=password, application="scoring_migrate")
    try:
        with session.read_transaction():
            version = schema.schema_version(session)
    finally:
        session.close()
    print(f"{session.name}: schema version {version} of {schema.newest_version()}")  # noqa: T201  a report
    schema.check_not_newer(version)
    if version < schema.newest_version():
        raise typer.Exit(1)


def _print_sql(url: str) -> None:
    open_session(url)  # an address that is none is an error here too
    config = _config()
    config.attributes["dialect"] = "postgresql" if _is_server(url) else "sqlite"
    command.upgrade(config, HEAD, sql=True)


def _refuse(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  the last line an operator sees
    raise typer.Exit(code)


if __name__ == "__main__":
    run(lambda: typer.run(main))
