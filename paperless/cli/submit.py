"""`paperless submit`: file one application at the portal and follow it to its outcome."""

import json as json_module
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from domain import Domain, load_domain
from paperless.cli.options import DAY_S, DEFAULT_STATE, PORTAL, Lang, State, a_number, part_address
from paperless.cli.signposts import ShownSettings
from paperless.cli.terminal import Terminal, open_terminal
from paperless.language.texts import NONE
from paperless.local.system import attach
from paperless.traffic.personas import PersonaError, known_personas, persona
from paperless.traffic.portal_client import PortalClient, PortalError
from runtime.settings import read_settings
from services.portal.models import Asking, Component, DecidedView, Question, StatusPage

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
    lang: Lang = None,
) -> None:
    """File one application at the portal and follow it, step by step, to its outcome.

    Exits 0 when the application is decided, whatever the outcome;
    2 when it is not taken, is set aside, or is not decided in time.

    Example: `paperless submit --persona birth`

    Example: `paperless submit application.json --idempotency-key 8e03978e-40d5-43dd-bc93-6894a57f9324 --json`
    """
    if (file is None) == (persona_name is None):
        raise PersonaError(f"name either a FILE or --persona NAME; {known_personas()}")
    terminal = open_terminal(lang)
    # Standard output is the JSON's alone.
    terminal.console.quiet = json
    if persona_name is not None:
        someone = persona(persona_name)
        terminal.line(f"{someone.who}: {terminal.texts.of(someone, 'story')}")
    body = _body(file) if file is not None else orjson.dumps(persona(persona_name or "").application)
    url = part_address(portal, f"--portal {portal!r}: write a URL") if portal else attach(state).state.endpoints[PORTAL]
    page = _followed(url, body, key, within, terminal)
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


def _followed(url: str, body: bytes, key: str | None, within_s: float, terminal: Terminal) -> StatusPage:
    with PortalClient(url) as portal:
        filed = portal.file(body, key=key, event=_is_event(body))
        steps = _Steps(terminal, load_domain())
        steps.say("filed", "again" if filed.repeated else "id", id=filed.application_id)
        last: StatusPage | None = None
        for step in portal.follow(filed, within_s):
            last = step.page or last
            steps.line("waiting", step.trouble) if step.page is None else steps.page(step.page)
        # The user's own way to the portal, where this command has another: in a container.
        shown = read_settings(ShownSettings).portal or url
        terminal.say("submit.look_again", address=f"{shown}{filed.links.status}")
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

    def __init__(self, terminal: Terminal, domain: Domain) -> None:
        self._terminal, self._texts, self._domain = terminal, terminal.texts, domain
        self._said: set[str] = set()

    def line(self, step: str, text: str) -> None:
        line = f"{self._texts(f'step.{step}'):<10} {text}"
        if line not in self._said:
            self._said.add(line)
            self._terminal.line(line)

    def say(self, step: str, sentence: str, **values: object) -> None:
        self.line(step, self._texts(f"submit.{sentence}", **values))

    def page(self, page: StatusPage) -> None:
        if page.received is not None:
            place = f"{page.received.topic}/{page.received.partition}/{page.received.offset}"
            self.say("received", "at_place", at=_clock(page.received.at), place=place)
        if page.asking is not None:
            self._asking(page.asking)
        for letter in page.set_aside:
            self.line("set_aside", f"{letter.position}: {letter.reason}: {letter.detail}")
        if page.refused is not None:
            refusal = f"{page.refused.reason}: {page.refused.detail}"
            self.say("refused", "at", at=_clock(page.refused.at), what=refusal)
        if page.decided is not None:
            self._decided(page.decided)

    def _asking(self, asking: Asking) -> None:
        databases = dict.fromkeys(name for each in asking.questions for name in each.databases)
        names = ", ".join(self._database(name) for name in databases)
        for number, at in enumerate(asking.asked, 1):
            self.say("asking" if number == 1 else "again", "attempt", names=names, number=number, at=_clock(at))
        for question in asking.questions:
            if question.answer is not None:
                self._answer(question, question.answer)

    def _answer(self, question: Question, answer: str) -> None:
        told = {"database": self._database(question.database or ""), "component": question.component}
        timed = {"after_s": self._texts.number(question.after_s or 0, 2), "attempt": question.attempt}
        self.say("answered", "answer", answer=self._texts(f"answer.{answer}"), **told, **timed)

    def _database(self, slug: str) -> str:
        known = self._domain.databases.get(slug)
        return self._texts.name(known) if known else slug

    def _decided(self, decided: DecidedView) -> None:
        outcome = self._texts(f"outcome.{decided.outcome}")
        presumed = self._texts("submit.presumed") if decided.presumed else ""
        self.say("decided", "at", at=_clock(decided.at), what=outcome + presumed)
        for reason in decided.reasons:
            self.line("because", f"{self._texts.name(reason)} ({reason.source})")
        self._papers([each for each in decided.components if each.source != "form"])

    def _papers(self, proofs: Sequence[Component]) -> None:
        """Say what became of each proof: saved by data, or asked of the applicant, and why."""
        saved = [each.component for each in proofs if each.source == "data"]
        if proofs:
            self.say("saved", "papers", saved=len(saved), proofs=len(proofs), which=", ".join(saved) or NONE)
        for each in proofs:
            if each.source != "data":
                cause = self._texts(f"cause.{each.cause}") if each.cause else NONE
                self.line("paper", f"{each.component}: {self._texts(f'source.{each.source}')} ({cause})")


def _clock(at: str) -> str:
    return at[11:23]
