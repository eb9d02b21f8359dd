"""Deletes the outcomes of old months from the store; run it while the consumers work.

    python -m services.scoring.store.retention --keep-months 3
    python -m services.scoring.store.retention --before 2025-10 postgresql://scoring_writer@db/paperless

Kept are the cells (they hold no application and are the published history), fingerprints and counters. What happens to
an outcome that arrives for a closed month is told in `services.scoring.rollup.closed_months`.
"""

import re
import sys
from collections.abc import Callable
from typing import Annotated, Final

import typer
from pydantic import SecretStr

from runtime.command_line import run
from runtime.errors import FatalError
from runtime.settings import read_settings
from services.scoring.settings import ScoringSettings
from services.scoring.store import schema
from services.scoring.store.engines import open_session
from services.scoring.store.errors import StoreError, StoreUnavailableError
from services.scoring.store.session import Session
from services.scoring.store.store import TOPIC

# A transaction of some 50 ms: no writer waits longer, and what is deleted stays deleted if the rest fails.
SLICE: Final = 5_000
EXIT_USAGE: Final = 2
# EX_TEMPFAIL of sysexits.h: run it again.
EXIT_TEMPORARY: Final = 75
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


class RetentionError(ValueError):
    """These months cannot be closed; the message says why."""


def close_months(
    session: Session,
    *,
    before: str | None = None,
    keep_months: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[str, int]:
    """Close the months before `before`, or all but the newest `keep_months`; give exactly one.

    Returns:
        The first open month, and how many outcomes were deleted. A month that is closed stays closed, and what an
        interrupted run has left is deleted by the next.

    Raises:
        RetentionError: no outcome is stored, or the newest month would be closed.
        StoreError: the store cannot be written; run it again.

    """
    with session.read_transaction():
        schema.check_current(schema.schema_version(session))
        ((newest,),) = session.rows(schema.NEWEST_MONTH)
    if newest is None:
        raise RetentionError(f"store {session.name}: no month was ever counted, there is nothing to close")
    wanted = before or months_before(newest, (keep_months or 1) - 1)
    if wanted > newest:
        raise RetentionError(f"--before {wanted}: the newest month, {newest}, must stay open")
    closed_before = _close(session, wanted)
    progress(f"months before {closed_before} are closed")
    return closed_before, _delete(session, closed_before, progress)


def months_before(month: str, count: int) -> str:
    """Return the month `count` months before one; both are YYYY-MM."""
    year, number = divmod(int(month[:4]) * 12 + int(month[5:]) - 1 - count, 12)
    return f"{year:04}-{number + 1:02}"


def _close(session: Session, before: str) -> str:
    with session.write_transaction():
        # Every batch that began before has ended now, and every one that begins later sees the month closed: none can
        # miss an application that is deleted meanwhile and count it as a new one.
        session.lock(TOPIC, [at for (at,) in session.rows(schema.PARTITIONS, (TOPIC,))])
        session.run(schema.RAISE_CLOSED_BEFORE, (before,))
        return schema.closed_before(session)


def _delete(session: Session, closed_before: str, progress: Callable[[str], None]) -> int:
    deleted, start = 0, ""
    while True:
        with session.write_transaction():
            ((end,),) = session.rows(schema.END_OF_SLICE, (start, SLICE))
            if end is None:
                return deleted
            deleted += session.changed(schema.DELETE_CLOSED, (start, end, closed_before))
        start = end
        progress(f"{deleted} outcomes deleted")


def main(
    url: Annotated[str | None, typer.Argument(help="The store; by default that of SCORING_STORE.")] = None,
    before: Annotated[str | None, typer.Option(help="First month that stays, YYYY-MM.", metavar="MONTH")] = None,
    keep_months: Annotated[
        int | None, typer.Option(min=1, help="Newest months that stay; more than an application may take.")
    ] = None,
) -> None:
    """Delete the outcomes of old months; cells, and with them the published history, stay.

    The user needs the writer's rights. Its password may come from SCORING_STORE_PASSWORD or the file that
    SCORING_STORE_PASSWORD_FILE names.

    Example: python -m services.scoring.store.retention --keep-months 3
    """
    if (before is None) == (keep_months is None):
        _refuse("give one of --before YYYY-MM and --keep-months N")
    if before is not None and not _MONTH.fullmatch(before):
        _refuse(f"--before {before}: expected a month, for example 2025-10")
    try:
        settings = read_settings(ScoringSettings)
        _run(url or settings.store, settings.store_password, before, keep_months)
    except StoreUnavailableError as error:
        _refuse(str(error), EXIT_TEMPORARY)
    except (FatalError, StoreError, ValueError) as error:
        _refuse(str(error))


def _run(url: str, password: SecretStr | None, before: str | None, keep_months: int | None) -> None:
    session = open_session(url, password=password, application="scoring_retention")
    try:
        first_open, deleted = close_months(session, before=before, keep_months=keep_months)
    finally:
        session.close()
    print(f"{session.name}: months before {first_open} are closed, {deleted} outcomes deleted")  # noqa: T201  a report


def _refuse(message: str, code: int = EXIT_USAGE) -> None:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  the last line an operator sees
    raise typer.Exit(code)


if __name__ == "__main__":
    run(lambda: typer.run(main))
