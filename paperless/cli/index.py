"""`paperless index` and `paperless publish`: the index of Decision 766, and months frozen with their restatements."""

import json as json_module
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from paperless.cli.options import API, DEFAULT_STATE, Api, State, find_system
from paperless.cli.output import make_console
from paperless.local.state import StateDirectory
from paperless.verification import scoring_client
from paperless.verification.scoring_client import ask, client
from runtime.errors import FatalError
from runtime.settings import read_settings
from services.scoring.rates.index766 import IndexTable
from services.scoring.rates.restatement import PublishedMonth
from services.scoring.settings import ScoringSettings
from services.scoring.store.engines import open_session
from services.scoring.store.errors import StoreError
from services.scoring.store.publication import Publication, PublicationError
from services.scoring.store.publication import publish as freeze

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Store = Annotated[
    str | None,
    typer.Option(help="The store to publish in, sqlite:///PATH or postgresql://…; by default the local system's."),
]


def index(
    month: Annotated[str | None, typer.Option(help="Month of the decision, YYYY-MM; by default the newest.")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="As it was published, with what arrived later; needs --month.")
    ] = False,
    state: State = DEFAULT_STATE,
    api: Api = None,
    json: AsJson = False,
) -> None:
    """Show the index of Decision 766 as far as it is modelled: points, rank and movement of 34 provinces.

    Example: `paperless index --month 2025-10`

    Example: `paperless index --month 2025-10 --published --json`
    """
    if published and month is None:
        raise typer.BadParameter("--published needs --month YYYY-MM")
    with client(find_system(state, None, api, None).url(API, "--api URL")) as asked:
        if published:
            of_month = ask(asked, scoring_client.published_month(month or ""))
            _shown(asdict(of_month), json=json, table=lambda console: show_published(console, of_month))
        else:
            table = ask(asked, scoring_client.index(month=month))
            _shown(asdict(table), json=json, table=lambda console: console.print(index_shown(table)))


def publish(
    month: Annotated[str, typer.Option(help="The month to freeze, YYYY-MM.")],
    store: Store = None,
    state: State = DEFAULT_STATE,
    json: AsJson = False,
) -> None:
    """Publish a month: its figures stay as they are now, with the offsets of the log that they count.

    What arrives later changes the live figures only and is listed as a restatement. In containers, run the module
    services.scoring.store.publication beside the consumer. A password comes from SCORING_STORE_PASSWORD or its file.

    Example: `paperless publish --month 2025-10`, then `paperless index --month 2025-10 --published`
    """
    try:
        result = _published(store or StateDirectory(state).store_url, month)
    except (StoreError, FatalError) as error:
        raise PublicationError(str(error)) from error
    _shown(
        result._asdict(),
        json=json,
        table=lambda console: console.print(f"{month} is published up to offsets {_offsets(result.offsets)}"),
    )


def _published(address: str, month: str) -> Publication:
    session = open_session(
        address, password=read_settings(ScoringSettings).store_password, application="paperless_publish"
    )
    try:
        return freeze(session, month, datetime.now(UTC))
    finally:
        session.close()


def _shown(values: dict[str, Any], *, json: bool, table: Callable[[Console], None]) -> None:
    if json:
        typer.echo(json_module.dumps(values, ensure_ascii=False, indent=2).encode())
    else:
        table(make_console())


def _offsets(offsets: dict[int, int]) -> str:
    return ", ".join(f"{partition}:{end}" for partition, end in sorted(offsets.items()))


def index_shown(index_table: IndexTable) -> Table:
    """Return the provinces as a table, each with its rank, movement, score, and the points of every component."""
    codes = [part.code for part in index_table.rows[0].parts]
    title = f"Index of Decision 766, {index_table.month}: {index_table.modelled_points} of 100 points are modelled"
    against = f"movement against {index_table.previous_month}" if index_table.previous_month else "no month before"
    table = Table(title=title, title_justify="left", caption=against, caption_justify="left")
    for name in ("#", "±"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("province", no_wrap=True)
    for name in ("score", *codes):
        table.add_column(name, justify="right", no_wrap=True)
    for row in index_table.rows:
        points = ["–" if part.score is None else f"{part.score:.1f}" for part in row.parts]
        table.add_row(
            "–" if row.rank is None else str(row.rank),
            "" if row.movement is None else f"{row.movement:+d}",
            row.name_vi,
            f"{row.score:.2f}",
            *points,
        )
    return table


def show_published(console: Console, month: PublishedMonth) -> None:
    """Print a month as it was published, and beside it what arrived later."""
    summary = month.publication
    console.print(
        f"{summary.month}: {summary.applications:,} applications, published {summary.published_at},"
        f" up to offsets {_offsets(summary.offsets)}"
    )
    console.print(index_shown(month.index))
    if not month.restatements:
        console.print("restatements: none")
        return
    table = Table(title="Restatements: what arrived after publication", title_justify="left")
    table.add_column("province", no_wrap=True)
    for name in ("published", "restated", "end to end", "restated", "D1 points"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in month.restatements:
        table.add_row(
            row.name_vi,
            f"{row.published.applications:,}",
            f"{row.restated.applications:,}",
            f"{row.published.end_to_end:,}",
            f"{row.restated.end_to_end:,}",
            "–" if row.d1_points is None else f"{row.d1_points:+.2f}",
        )
    console.print(table)
