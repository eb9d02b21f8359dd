"""`paperless submit`: file one application at the portal and follow it to its outcome."""

import json as json_module
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from domain import Domain, load_domain
from paperless.cli.options import DAY_S, DEFAULT_STATE, PORTAL, State, a_number, part_address
from paperless.cli.output import make_console
from paperless.local.system import attach
from paperless.traffic.personas import PersonaError, known_personas, persona
from paperless.traffic.portal_client import PortalClient, PortalError
from services.portal.models import Asking, DecidedView, Question, StatusPage

File = Annotated[
    str | None, typer.Argument(help="JSON of an application, or of a CloudEvent with one; `-` is standard input.")
]
PersonaName = Annotated[str | None, typer.Option("--persona", help="File for one of the invented people instead.")]
Key = Annotated[
    str | None, typer.Option("--idempotency-key", help="Names the request: the same one again is the same application.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the last status as JSON, and nothing else.")]
Portal = Annotated[
    str | None,
    typer.Option(
        "--portal", help="URL of a portal not started here.", envvar="PAPERLESS_PORTAL", rich_help_panel="System"
    ),
]
Within = Annotated[float, typer.Option(help="Seconds to wait for the outcome.", min=1, max=DAY_S, callback=a_number)]


def submit(
    file: File = None,
    persona_name: PersonaName = None,
    key: Key = None,
    json: AsJson = False,
    within: Within = 60,
    state: State = DEFAULT_STATE,
    portal: Portal = None,
) -> None:
    """File one application at the portal and follow it, step by step, to its outcome.

    Exits 0 when the application is decided, whatever the outcome;
    2 when it is not taken, is set aside, or is not decided in time.

    Example: `paperless submit --persona birth`

    Example: `paperless submit application.json --idempotency-key 8e03978e-40d5-43dd-bc93-6894a57f9324 --json`
    """
    if (file is None) == (persona_name is None):
        raise PersonaError(f"name either a FILE or --persona NAME; {known_personas()}")
    # Standard output is the JSON's alone.
    console = Console(highlight=False, stderr=True, quiet=True) if json else make_console()
    if persona_name is not None:
        someone = persona(persona_name)
        console.print(f"{someone.who}: {someone.story}", markup=False, soft_wrap=True)
    body = _body(file) if file is not None else orjson.dumps(persona(persona_name or "").application)
    url = part_address(portal, f"--portal {portal!r}: write a URL") if portal else attach(state).state.endpoints[PORTAL]
    page = _followed(url, body, key, within, console)
    if json:
        typer.echo(json_module.dumps(page.model_dump(), ensure_ascii=False, indent=2).encode())
    if page.refused is not None:
        raise PortalError(
            f"refused: {page.refused.reason}: {page.refused.detail}; set aside at {page.refused.position}, mend it with"
            " `paperless dlq`"
        )


def _body(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: cannot be read ({error.strerror})") from error


def _followed(url: str, body: bytes, key: str | None, within_s: float, console: Console) -> StatusPage:
    with PortalClient(url) as portal:
        filed = portal.file(body, key=key, event=_is_event(body))
        again = "; it was filed before, and nothing was written now" if filed.repeated else ""
        say = _Steps(console, load_domain())
        say.line("filed", f"{filed.application_id}{again}")
        last: StatusPage | None = None
        for step in portal.follow(filed, within_s):
            last = step.page or last
            say.trouble(step.trouble) if step.page is None else say.page(step.page)
        console.print(f"look again: {url}{filed.links.status}", markup=False, soft_wrap=True)
    if last is None:
        raise PortalError(f"the portal at {url} says nothing of {filed.application_id}")
    return last


def _is_event(body: bytes) -> bool:
    """Whether a text is a CloudEvent; what is no JSON the portal refuses."""
    try:
        fields: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(fields, dict) and "specversion" in fields


class _Steps:
    """Prints what is new in a status, each fact once."""

    def __init__(self, console: Console, domain: Domain) -> None:
        self._console, self._domain = console, domain
        self._said: set[str] = set()

    def line(self, head: str, text: str) -> None:
        line = f"{head:<9} {text}"
        if line not in self._said:
            self._said.add(line)
            self._console.print(line, markup=False, soft_wrap=True)

    def trouble(self, why: str) -> None:
        self.line("waiting", why)

    def page(self, page: StatusPage) -> None:
        if page.received is not None:
            place = f"{page.received.topic}, partition {page.received.partition}, offset {page.received.offset}"
            self.line("received", f"at {_clock(page.received.at)} ({place})")
        if page.asking is not None:
            self._asking(page.asking)
        for letter in page.set_aside:
            self.line("set aside", f"{letter.position}: {letter.reason}: {letter.detail}")
        if page.refused is not None:
            self.line("refused", f"at {_clock(page.refused.at)}: {page.refused.reason}: {page.refused.detail}")
        if page.decided is not None:
            self._decided(page.decided)

    def _asking(self, asking: Asking) -> None:
        databases = dict.fromkeys(name for each in asking.questions for name in each.databases)
        names = ", ".join(self._database(name) for name in databases)
        for number, at in enumerate(asking.asked, 1):
            self.line("asking" if number == 1 else "again", f"{names}: attempt {number}, at {_clock(at)}")
        for question in asking.questions:
            if question.answer is not None:
                self.line("answered", self._answer(question))

    def _answer(self, question: Question) -> str:
        after = f"after {question.after_s:.2f} s, at attempt {question.attempt}"
        return f"{self._database(question.database or '')}: {question.component} {question.answer} {after}"

    def _database(self, slug: str) -> str:
        known = self._domain.databases.get(slug)
        return known.name_en if known else slug

    def _decided(self, decided: DecidedView) -> None:
        presumed = ", presumed: an answer is missing, a later one may overrule it" if decided.presumed else ""
        self.line("decided", f"{decided.outcome.replace('_', ' ')}{presumed}, at {_clock(decided.at)}")
        for reason in decided.reasons:
            self.line("because", f"{reason.name_vi} ({reason.name_en}; {reason.source})")
        for line in _papers(decided):
            self.line(*line)


def _papers(decided: DecidedView) -> Iterator[tuple[str, str]]:
    """Yield what became of each proof: saved by data, or asked of the applicant, and why."""
    saved = [each.component for each in decided.components if each.source == "data"]
    proofs = [each for each in decided.components if each.source != "form"]
    if proofs:
        yield "saved", f"{len(saved)} of {len(proofs)} papers{': ' if saved else ''}{', '.join(saved)}"
    for each in proofs:
        if each.source != "data":
            yield "paper", f"{each.component}: {each.source} ({(each.cause or '').replace('_', ' ')})"


def _clock(at: str) -> str:
    return at[11:23]
