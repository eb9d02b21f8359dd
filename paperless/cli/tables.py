"""`paperless rates` and `paperless why`: the tables of the scoring API as text, JSON or CSV."""

import json as json_module
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import RenderableType

from paperless.cli.options import API, DEFAULT_STATE, Api, Lang, State, Wide, find_system
from paperless.cli.rate_tables import rates_shown, why_shown
from paperless.cli.terminal import Terminal, open_terminal
from paperless.verification import scoring_client
from paperless.verification.scoring_client import Question, ask, client
from services.scoring.rates.rates import RatesTable
from services.scoring.rates.why import WhyTable

T = TypeVar("T", RatesTable, WhyTable)

Authority = Annotated[
    str, typer.Option(help="Who runs the procedures: province (as the published figures), ministry, all.")
]
Month = Annotated[str | None, typer.Option(help="Month of the decision, YYYY-MM.")]
Province = Annotated[str | None, typer.Option(help="Province code, for example 46.")]
Procedure = Annotated[str | None, typer.Option(help="Procedure code, for example 1.001193.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="CSV instead of a table.")]


def rates(
    state: State = DEFAULT_STATE,
    api: Api = None,
    authority: Authority = "province",
    month: Month = None,
    procedure: Procedure = None,
    json: AsJson = False,
    csv: AsCsv = False,
    lang: Lang = None,
    wide: Wide = False,
) -> None:
    """Show the league table: end-to-end rates of 34 provinces beside the published figures.

    Example: `paperless rates --csv > rates.csv`
    """
    question = scoring_client.rates(authority=authority, month=month, procedure=procedure)
    terminal = open_terminal(lang, wide=wide)

    def shown(table: RatesTable) -> list[RenderableType]:
        return rates_shown(terminal.texts, table, wide=wide)

    _show(_address(state, api), question, terminal, shown, json=json, csv=csv)


def why(
    state: State = DEFAULT_STATE,
    api: Api = None,
    province: Province = None,
    authority: Authority = "province",
    month: Month = None,
    procedure: Procedure = None,
    json: AsJson = False,
    csv: AsCsv = False,
    lang: Lang = None,
    wide: Wide = False,
) -> None:
    """Show why applications did not end end to end, and what lifting each reason would give.

    Example: `paperless why --province 79`
    """
    question = scoring_client.why(authority=authority, month=month, procedure=procedure, province=province)
    terminal = open_terminal(lang, wide=wide)

    def shown(table: WhyTable) -> list[RenderableType]:
        return why_shown(terminal.texts, table, wide=wide)

    _show(_address(state, api), question, terminal, shown, json=json, csv=csv)


def _address(state: Path, api: str | None) -> str:
    return find_system(state, None, api, None).url(API, "--api URL")


def _show(
    address: str,
    question: Question[T],
    terminal: Terminal,
    shown: Callable[[T], list[RenderableType]],
    *,
    json: bool,
    csv: bool,
) -> None:
    with client(address) as api:
        if csv:
            # Data are UTF-8 wherever they go; what a terminal cannot show is left out of text for people only.
            typer.echo(ask(api, question.as_csv()).encode(), nl=False)
            return
        table = ask(api, question)
    if json:
        typer.echo(json_module.dumps(asdict(table), ensure_ascii=False, indent=2).encode())
    else:
        terminal.show(*shown(table))
