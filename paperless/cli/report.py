"""`paperless report`: the month of a running system as one page for a steering committee."""

import asyncio
import calendar
from datetime import date
from pathlib import Path
from typing import Annotated

import httpx
import typer

from domain import load_domain
from paperless.cli.corrections import read_corrections
from paperless.cli.options import API, DEFAULT_STATE, Api, Kafka, Lang, State, System, a_number, find_system
from paperless.cli.terminal import open_terminal
from paperless.report.levers import LeverGain, Levers, LeverStep
from paperless.report.page import Facts, page
from paperless.traffic.manifest import ManifestError
from paperless.verification import scoring_client
from paperless.verification.correction_backlog import OwnerBacklog
from paperless.verification.scoring_client import ScoringApiError, ask, client
from services.scoring.rates.restatement import PublishedMonth


def report(
    month: Annotated[str, typer.Option(help="Month of the decision, YYYY-MM.")],
    out: Annotated[Path, typer.Option(help="The file to write (HTML).")] = Path("build/report.html"),
    target: Annotated[
        float, typer.Option(help="D1 of provinces whose levers are told; 0: none.", min=0, max=1, callback=a_number)
    ] = 0.8,
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    api: Api = None,
    lang: Lang = None,
) -> None:
    """Write the monthly report: one HTML file, made to be printed, whose numbers are those of `paperless rates`.

    Headline rates beside the published ones, map, ranking with movement, why not, papers avoided, breaches, the backlog
    of corrections by owner, restatements, which levers reach the target (simulated), method and sources.

    Example: `paperless report --month 2025-10 --lang vi --out build/report.html`
    """
    last_day = _last_day(month)
    terminal = open_terminal(lang)
    system = find_system(state, kafka, api, None)
    with client(system.url(API, "--api URL")) as asked:
        facts = Facts(
            month=month,
            domain=load_domain(),
            rates=ask(asked, scoring_client.rates(authority="province", month=month)),
            why=ask(asked, scoring_client.why(authority="province", month=month)),
            ranking=ask(asked, scoring_client.index(month=month)),
            published=_published(asked, month),
            backlog=_backlog(system, last_day),
            levers=_levers(target) if target else None,
        )
    text = page(terminal.texts, facts)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{out}: cannot be written ({error.strerror}); choose another --out file") from error
    terminal.say("monthly.written", path=str(out))


def _last_day(month: str) -> date:
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise typer.BadParameter(f"--month {month!r}: write YYYY-MM, for example 2025-10") from None
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _published(asked: httpx.Client, month: str) -> PublishedMonth | None:
    """Return the month as it was frozen, None if nobody has published it."""
    try:
        return ask(asked, scoring_client.published_month(month))
    except ScoringApiError:
        return None


def _backlog(system: System, day: date) -> list[OwnerBacklog]:
    """Return what lies before the owners at the end of a day; nothing where the broker is not known."""
    return asyncio.run(read_corrections(system.broker)).backlogs(day) if system.kafka else []


def _levers(target: float) -> Levers:
    """Return which levers bring provinces to a target on a national day, as it is simulated."""
    # Only here: numpy comes with an extra.
    from paperless.whatif.answer import answer  # noqa: PLC0415
    from paperless.whatif.model import load_model  # noqa: PLC0415

    told = answer(load_model(), target=target)
    rows = {row.name: row for row in told.levers}
    reached = told.target
    way = reached.smallest if reached else None
    steps = zip(way.levers, way.steps, strict=True) if way else ()
    return Levers(
        target,
        told.rates["province"].base,
        [LeverStep(rows[name].name_vi, rows[name].name_en, d1) for name, d1 in steps],
        [
            LeverGain(row.name_vi, row.name_en, row.alone or 0.0, row.shapley or 0.0, row.evidence)
            for row in rows.values()
        ],
        reached.ceiling if reached else 0.0,
        reached.ceiling_without_procedures if reached else 0.0,
    )
