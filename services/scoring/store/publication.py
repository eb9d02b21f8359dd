"""Publishes a month: freezes its cells as they are, with the offsets of the log up to which they were counted.

    python -m services.scoring.store.publication --month 2025-10
    python -m services.scoring.store.publication --month 2025-10 postgresql://scoring_writer@db/paperless

A published month never changes; what arrives later changes the live cells only, and the difference is a restatement
(`services.scoring.rates.restatement`). It may be run while the consumers work.
"""

import re
import sys
from datetime import UTC, datetime
from typing import Annotated, Final, NamedTuple

import typer

from runtime.command_line import run
from runtime.errors import FatalError
from runtime.settings import read_settings
from services.scoring.settings import ScoringSettings
from services.scoring.store import schema
from services.scoring.store.engines import open_session
from services.scoring.store.errors import StoreError, StoreUnavailableError
from services.scoring.store.session import Session
from services.scoring.store.store import TOPIC

EXIT_USAGE: Final = 2
# EX_TEMPFAIL of sysexits.h: run it again.
EXIT_TEMPORARY: Final = 75
_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


class PublicationError(ValueError):
    """This month cannot be published; the message says why."""


class Publication(NamedTuple):
    """A published month: when (UTC, ISO), and by partition the next offset that it does not count any more."""

    month: str
    published_at: str
    offsets: dict[int, int]


def publish(session: Session, month: str, now: datetime) -> Publication:
    """Freeze a month and return what was written: what a recount up to those offsets comes to.

    Args:
        session: of a writer.
        month: YYYY-MM.
        now: wall time, for people only.

    Raises:
        PublicationError: it is no month, nothing was counted in it, or it is published already.
        StoreError: the store cannot be written; run it again.

    """
    if not _MONTH.fullmatch(month):
        raise PublicationError(f"{month!r}: expected a month, for example 2025-10")
    with session.read_transaction():
        schema.check_current(schema.schema_version(session))
    published_at = now.astimezone(UTC).isoformat(timespec="seconds")
    with session.write_transaction():
        # Every batch that began before has ended now, and none begins: cells and offsets are of one moment.
        session.lock(TOPIC, [at for (at,) in session.rows(schema.PARTITIONS, (TOPIC,))])
        before = [str(at) for (at,) in session.rows(schema.PUBLISHED_AT, (month,))]
        if before:
            raise PublicationError(f"{month} is published since {before[0]}; what came later is its restatement")
        if not session.changed(schema.PUBLISH_CELLS, (month,)):
            raise PublicationError(f"{month}: no outcome was counted in this month")
        session.run(schema.PUBLISH_MONTH, (month, published_at))
        session.run(schema.PUBLISH_OFFSETS, (month, TOPIC))
        offsets: dict[int, int] = dict(session.rows(schema.PUBLISHED_OFFSETS, (month,)))
    return Publication(month, published_at, offsets)


def main(
    month: Annotated[str, typer.Option(help="The month to freeze, YYYY-MM.", metavar="MONTH")],
    url: Annotated[str | None, typer.Argument(help="The store; by default that of SCORING_STORE.")] = None,
) -> None:
    """Publish a month: its rates stay as they are now, and what arrives later is listed beside them.

    The user needs the writer's rights. Its password may come from SCORING_STORE_PASSWORD or the file that
    SCORING_STORE_PASSWORD_FILE names.

    Example: python -m services.scoring.store.publication --month 2025-10
    """
    try:
        settings = read_settings(ScoringSettings)
        session = open_session(url or settings.store, password=settings.store_password, application="scoring_publish")
        try:
            published = publish(session, month, datetime.now(UTC))
        finally:
            session.close()
    except StoreUnavailableError as error:
        _refuse(str(error), EXIT_TEMPORARY)
    except (FatalError, StoreError, ValueError) as error:
        _refuse(str(error))
    offsets = ", ".join(f"{at}:{end}" for at, end in sorted(published.offsets.items()))
    print(f"{session.name}: {month} is published up to offsets {offsets}")  # noqa: T201  a report


def _refuse(message: str, code: int = EXIT_USAGE) -> None:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201  the last line an operator sees
    raise typer.Exit(code)


if __name__ == "__main__":
    run(lambda: typer.run(main))
