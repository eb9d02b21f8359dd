"""`paperless rates` and `paperless why`: the tables of the scoring API as text, JSON or CSV."""

import json as json_module
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.console import RenderableType
from rich.table import Table

from paperless.cli.options import API, DEFAULT_STATE, Api, State, find_system
from paperless.cli.output import make_console
from paperless.verification import scoring_client
from paperless.verification.scoring_client import Question, ask, client
from services.scoring.rates.definitions import MeasureName, Published
from services.scoring.rates.rates import Rate, RateRow, RatesTable
from services.scoring.rates.why import WhyTable

SHARES: Final[tuple[MeasureName, ...]] = ("d1", "d2", "paperless", "online", "on_time")
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
) -> None:
    """Show the league table: end-to-end rates of 34 provinces beside the published figures.

    Example: `paperless rates --csv > rates.csv`
    """
    question = scoring_client.rates(authority=authority, month=month, procedure=procedure)
    _show(_address(state, api), question, rates_text, json=json, csv=csv)


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
    question = scoring_client.why(authority=authority, month=month, procedure=procedure, province=province)
    _show(_address(state, api), question, why_text, json=json, csv=csv)


def _address(state: Path, api: str | None) -> str:
    return find_system(state, None, api, None).url(API, "--api URL")


def _show(
    address: str, question: Question[T], as_text: Callable[[T], list[RenderableType]], *, json: bool, csv: bool
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
        make_console().print(*as_text(table), sep="\n")


def league_table(rates: RatesTable, limit: int | None = None) -> Table:
    """Return the provinces by D1; `limit` keeps the first ones and the last three."""
    rows = [row for row in rates.rows if row.applications]
    table = Table(
        title=f"End to end (D1), {rates.authority}-run procedures: {percent(rates.total.rates['d1'])} "
        f"of {rates.total.applications:,}",
        title_justify="left",
    )
    for name in ("#", "province"):
        table.add_column(name)
    for name in ("applications", "D1", "D2", "paperless", "online", "on time"):
        table.add_column(name, justify="right")
    shown = rows if limit is None or len(rows) <= limit else [*rows[: limit - 3], *rows[-3:]]
    for row in shown:
        table.add_row(str(row.rank), row.name_vi, f"{row.applications:,}", *_shares(row))
    return table


def _shares(row: RateRow) -> list[str]:
    return [percent(row.rates[name]) for name in SHARES]


def authority_table(rates: RatesTable) -> Table:
    """Return the rates by who runs the procedures, each beside its published figure."""
    table = Table(title="Simulated beside published", title_justify="left")
    table.add_column("procedures run by")
    for name in ("applications", "D1", "published D1", "D2", "paperless", "online", "on time"):
        table.add_column(name, justify="right")
    for row in rates.by_authority:
        d1, *others = _shares(row)
        table.add_row(row.name_en, f"{row.applications:,}", d1, _figure(row.published.get("d1")), *others)
    country = rates.country_d1
    if country and country.value is not None and country.published:
        mix = f"Country at the published mix ({country.province_share:.1%} / {country.ministry_share:.1%})"
        table.add_row(mix, "", f"{100 * country.value:.2f} %", _figure(country.published), *[""] * 4)
    return table


def rates_text(rates: RatesTable) -> list[RenderableType]:
    """Return the rates as text: league table, both authorities, definitions."""
    definitions = [
        f"{name}: {each.name_vi} ({each.name_en}) = {each.numerator} / {each.denominator}"
        for name, each in rates.definitions.items()
    ]
    return [league_table(rates), authority_table(rates), *definitions]


def why_text(why: WhyTable, limit: int = 15) -> list[RenderableType]:
    """Return why applications did not end end to end, and what lifting each reason would give."""
    where = why.province or "the country"
    head = (
        f"{why.not_end_to_end:,} of {why.applications:,} applications ({why.authority}-run) in {where} "
        f"did not end end to end; D1 is {percent(why.d1)}"
    )
    reasons = Table("reason", title="Reasons; an application can have several", title_justify="left")
    for name in ("applications", "alone", "D1 if lifted"):
        reasons.add_column(name, justify="right")
    for row in why.reasons[:limit]:
        lifted = percent(row.d1_if_lifted) + (" at most" if row.upper_bound else "")
        reasons.add_row(f"{row.name_vi} ({row.reason})", f"{row.applications:,}", f"{row.alone:,}", lifted)
    pairs = Table("both lifted", title="What two together would lift", title_justify="left")
    pairs.add_column("D1 if lifted", justify="right")
    for pair in why.pairs[:5]:
        pairs.add_row(" + ".join(pair.reasons), percent(pair.d1_if_lifted))
    databases = Table("database", title="Databases: what their misses cost", title_justify="left")
    for name in ("found", "missing", "mismatch", "unreachable", "blocking", "alone"):
        databases.add_column(name, justify="right")
    for base in why.databases[:limit]:
        counts = (base.found, base.missing, base.mismatch, base.unreachable, base.blocking, base.alone)
        databases.add_row(base.name_vi, *[f"{number:,}" for number in counts])
    return [head, reasons, pairs, databases]


def percent(rate: Rate) -> str:
    """Return a rate as text, a dash where nothing was counted."""
    return f"{100 * rate.numerator / rate.denominator:.2f} %" if rate.denominator else "–"


def _figure(published: Published | None) -> str:
    """Return a published figure as text with its evidence mark, a dash where there is none."""
    return f"{100 * published.value:.2f} % [{published.evidence}]" if published else "–"
