"""`paperless rates` and `paperless why`: the tables of the scoring API as text, JSON or CSV."""

import json as json_module
from typing import Annotated, Any

import typer

from paperless.cli.options import API, DEFAULT_STATE, Api, State, fetch, find_system
from paperless.cli.output import make_console, rates_text, why_text

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
) -> None:
    """Show the league table: end-to-end rates of 34 provinces beside the published figures.

    Example: `paperless rates --csv > rates.csv`
    """
    found = _ask(state, api, "/rates", csv=csv, authority=authority, month=month, procedure=procedure)
    _show(found, rates_text, json=json, csv=csv)


def why(
    state: State = DEFAULT_STATE,
    api: Api = None,
    province: Province = None,
    authority: Authority = "province",
    month: Month = None,
    procedure: Procedure = None,
    json: AsJson = False,
    csv: AsCsv = False,
) -> None:
    """Show why applications did not end end to end, and what lifting each reason would give.

    Example: `paperless why --province 79`
    """
    found = _ask(state, api, "/why", csv=csv, authority=authority, month=month, procedure=procedure, province=province)
    _show(found, why_text, json=json, csv=csv)


def _ask(state: Any, api: str | None, path: str, *, csv: bool, **query: str | None) -> Any:
    system = find_system(state, None, api, None)
    return fetch(system.url(API, "--api URL") + path, format="csv" if csv else "json", **query)


def _show(found: Any, as_text: Any, *, json: bool, csv: bool) -> None:
    if csv:
        typer.echo(found, nl=False)
    elif json:
        typer.echo(json_module.dumps(found, ensure_ascii=False, indent=2))
    else:
        make_console().print(*as_text(found), sep="\n")
