"""`paperless corrections`: what the owners of databases were asked to put right, and what still lies before them."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final

import typer
from rich.console import RenderableType

from contracts.topics import CORRECTIONS_REQUESTED
from domain import Database, load_domain
from paperless.cli.options import DEFAULT_STATE, Json, Kafka, Lang, State, Wide, find_system
from paperless.cli.output import clear_json, write_json
from paperless.cli.terminal import Column, open_terminal, table
from paperless.language import Texts
from paperless.language.texts import NONE
from paperless.verification.correction_backlog import CorrectionLog, OwnerBacklog, total
from paperless.verification.log_reader import LogReader
from paperless.verification.verify import VerifyError
from runtime.settings import KafkaAccess

COUNTS: Final = ("requested", "missing", "mismatch", "citizens", "worked_off", "backlog")
COUNTS_ALWAYS: Final = ("requested", "worked_off", "backlog")
NAME_WIDTH: Final = 36


def corrections(
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    day: Annotated[
        datetime | None,
        typer.Option(
            "--day", formats=["%Y-%m-%d"], help="At the end of which day; by default that of the last request."
        ),
    ] = None,
    json: Json = None,
    lang: Lang = None,
    wide: Wide = False,
) -> None:
    """Show what the owners of databases were asked to correct, and the backlog of each, counted over the log.

    Example: `paperless corrections --day 2025-10-31 --json build/corrections.json`
    """
    clear_json(json)
    terminal = open_terminal(lang, wide=wide)
    log = asyncio.run(read_corrections(find_system(state, kafka, None, None).broker))
    at = day.date() if day else log.last_day()
    if at is None:
        terminal.say("corrections.none")
        rows = []
    else:
        rows = log.backlogs(at)
        terminal.show(backlog_table(terminal.texts, rows, at, wide=wide))
    write_json(json, backlog_json(rows, at))


async def read_corrections(access: KafkaAccess) -> CorrectionLog:
    """Return what the log says of corrections."""
    topic = CORRECTIONS_REQUESTED.name
    async with LogReader(access) as reader:
        partitions = await reader.partitions(topic)
        if not partitions:
            raise VerifyError(f"the log has no topic {topic}; `paperless topics` creates it")
        log = CorrectionLog(partitions)
        for number in range(partitions):
            async for records in reader.logged(topic, number):
                log.add(records)
    return log


def backlog_table(texts: Texts, rows: Sequence[OwnerBacklog], day: date, *, wide: bool = False) -> RenderableType:
    """Return the owners by their backlog, and the sum."""
    columns = [
        Column(texts("corrections.database"), number=False, width=NAME_WIDTH),
        Column(texts("corrections.owner"), number=False, wide=True),
        *(Column(texts(f"corrections.{name}"), wide=name not in COUNTS_ALWAYS) for name in COUNTS),
        Column(texts("corrections.oldest"), number=False),
    ]
    lines = [_line(texts, row, load_domain().databases.get(row.database)) for row in [*rows, total(rows)]]
    return table(texts("corrections.title", day=day), columns, lines, wide=wide)


def _line(texts: Texts, row: OwnerBacklog, database: Database | None) -> list[str]:
    name = texts.name(database) if database else texts("corrections.all")
    counts = [texts.number(getattr(row, count)) for count in COUNTS]
    oldest = row.oldest.date().isoformat() if row.oldest else NONE
    return [name, database.owner if database else "", *counts, oldest]


def backlog_json(rows: Sequence[OwnerBacklog], day: date | None) -> dict[str, Any]:
    """Return the backlog for JSON; times are event times."""
    return {
        "day": day.isoformat() if day else None,
        "owners": [_row_json(row) | {"owner": _owner(row.database)} for row in rows],
        "total": _row_json(total(rows)),
    }


def _row_json(row: OwnerBacklog) -> dict[str, Any]:
    return row._asdict() | {"oldest": row.oldest.isoformat() if row.oldest else None}


def _owner(database: str) -> str | None:
    known = load_domain().databases.get(database)
    return known.owner if known else None
