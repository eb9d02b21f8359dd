"""Options that several commands share, and how a running system is found."""

import json
import math
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, TypeVar

import httpx
import typer
from pydantic_settings import SettingsConfigDict

from paperless.language import Language
from paperless.local.broker_kinds import KINDS
from paperless.local.state import ProcessState
from paperless.local.system import LocalSystem, attach
from paperless.population.scenario import scenario_names
from paperless.verification.quiescence import Target, VerifyError
from paperless.verification.scoring_client import Question, ask, client
from runtime.errors import FatalError
from runtime.settings import EnvironmentSettings, KafkaAccess, read_settings

DEFAULT_STATE = Path("build/run")
API = "scoring_api"
MOCK = "vneid_mock"
PORTAL = "portal"
PLANNER = "planner"
CONSUMERS = ("intake", MOCK, "scoring")
# A day that a person can watch.
WATCH_S = 30.0
DAY_S, SHORTEST_DAY_S = 86_400, 0.001
# Of the mock, which draws from it.
MAX_SEED = 2**64 - 1
Result = TypeVar("Result")


def a_number(value: float | None) -> float | None:
    """Refuse what is no number: `nan` is neither below nor above any bound."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


State = Annotated[
    Path,
    typer.Option("--state", help="Directory of the local system.", envvar="PAPERLESS_STATE", rich_help_panel="System"),
]
Kafka = Annotated[
    str | None,
    typer.Option(
        "--kafka",
        help="Bootstrap servers host:port of a system not started here.",
        envvar="PAPERLESS_KAFKA",
        rich_help_panel="System",
    ),
]
Api = Annotated[
    str | None,
    typer.Option(
        "--api", help="URL of the scoring API, with --kafka.", envvar="PAPERLESS_API", rich_help_panel="System"
    ),
]
Health = Annotated[
    list[str] | None,
    typer.Option(
        "--health",
        help="NAME=URL of a consumer's HTTP port, with --kafka. A host name with several addresses stands for as many"
        " members; else one option for each member.",
        envvar="PAPERLESS_HEALTH",
        rich_help_panel="System",
    ),
]
Seed = Annotated[int, typer.Option(help="Names every draw; the same seed gives the same rates.", min=0, max=MAX_SEED)]
Plan = Annotated[str, typer.Option(help="Fault plan of the VNeID mock: calm, mild, rough, or a TOML file.")]
ScenarioName = Annotated[
    str, typer.Option("--scenario", help=f"What is played: {', '.join(scenario_names())}, or a TOML file.")
]
Applications = Annotated[
    int | None, typer.Option(help="How many applications in all, instead of the scenario's number.", min=1, max=10**12)
]
Pace = Annotated[
    str,
    typer.Option(help="`watch` (a day in 30 s), `max` (as fast as it goes), or wall seconds for a day."),
]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result to this file as JSON.")]
Within = Annotated[
    float,
    typer.Option(
        help="Seconds within which something has to get on while it waits; then it gives up.",
        min=1,
        max=DAY_S,
        callback=a_number,
    ),
]
Lang = Annotated[
    Language | None,
    typer.Option(
        "--lang", help="Language of what is shown: vi or en, by default the locale's.", envvar="PAPERLESS_LANG"
    ),
]
Wide = Annotated[bool, typer.Option("--wide", help="Show every column, however wide the table gets.")]


def seconds_per_day(pace: str) -> float | None:
    """Return the wall seconds of a simulated day, None for as fast as it goes."""
    if pace == "max":
        return None
    if pace == "watch":
        return WATCH_S
    try:
        seconds = float(pace)
    except ValueError:
        seconds = -1.0
    if not SHORTEST_DAY_S <= seconds <= DAY_S:
        raise typer.BadParameter(f"{pace!r} is no pace; use watch, max, or seconds per day (up to 86400)")
    return seconds


OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]


class System(NamedTuple):
    """Where the parts of a running system answer; `local` where this machine runs it."""

    kafka: KafkaAccess | None
    endpoints: Mapping[str, str]
    idempotent_producer: bool
    local: LocalSystem | None = None

    @classmethod
    def of(cls, local: LocalSystem) -> Self:
        """Return a system of this machine."""
        state = local.state
        idempotent = KINDS[state.broker].capabilities.idempotent_producer
        return cls(KafkaAccess(kafka_servers=state.address), state.endpoints, idempotent, local)

    def processes(self) -> Mapping[str, ProcessState]:
        """Return the processes and what they have used, at most a second old; empty where they are not ours."""
        return self.local.state.processes if self.local else {}

    def check_room(self, applications: int) -> None:
        """Refuse applications whose records would not fit into memory; call it before the first of them is filed.

        Only the broker of this machine's own system keeps its log there; of another one nothing is known.

        Raises:
            NotEnoughMemoryError: they would not fit; says the numbers.

        """
        if self.local:
            self.local.check_room(applications)

    async def watched(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what the work returns; where this machine runs the system, its end ends the work with the reason."""
        return await (self.local.watched(work) if self.local else work)

    @property
    def health_urls(self) -> dict[str, str]:
        """Where the consumers that are known say how they are."""
        return {name: url for name, url in self.endpoints.items() if name.startswith(CONSUMERS) and name != API}

    @property
    def target(self) -> Target:
        """The parts that a verification asks; without every consumer it could not tell when nothing moves."""
        health = {name: url for name, url in self.endpoints.items() if name not in {API, PORTAL, PLANNER}}
        for consumer in CONSUMERS:
            if not any(name.startswith(consumer) for name in health):
                raise VerifyError(f"where {consumer} answers is not known; name it with --health {consumer}=URL")
        return Target(kafka=self.broker, health_urls=health, api_url=self.url(API, "--api URL"))

    @property
    def broker(self) -> KafkaAccess:
        """How to reach the broker."""
        if self.kafka is None:
            raise VerifyError("the broker is not known; name it with --kafka HOST:PORT")
        return self.kafka

    def url(self, name: str, option: str) -> str:
        """Return the URL of one part."""
        if name not in self.endpoints:
            raise VerifyError(f"where {name} answers is not known; name it with {option}")
        return self.endpoints[name]


class ClientSettings(EnvironmentSettings, KafkaAccess):
    """How this command reaches a broker that was not started here; a password never stands on a command line."""

    model_config = SettingsConfigDict(env_prefix="PAPERLESS_")


def access_to(servers: str) -> KafkaAccess:
    """Return the access to a broker, with what `PAPERLESS_KAFKA_*` says about protocol and credentials.

    Raises:
        VerifyError: the variables do not fit together, or name a file that cannot be read.

    """
    try:
        return read_settings(ClientSettings, kafka_servers=servers)
    except FatalError as error:
        raise VerifyError(str(error)) from error


def find_system(state: Path, kafka: str | None, api: str | None, health: list[str] | None) -> System:
    """Return the system of a state directory, or the one that the options name.

    Raises:
        NotRunningError: no system runs in the state directory.

    """
    if kafka is None and api is None:
        return System.of(attach(state))
    named = dict(map(_named, health or []))
    if api:
        named[API] = part_address(api, f"--api {api!r}: write a URL, for example http://127.0.0.1:8104")
    return System(access_to(kafka) if kafka else None, named, idempotent_producer=True)


def _named(option: str) -> tuple[str, str]:
    name, _, url = option.partition("=")
    return name, part_address(url, f"--health {option!r}: write NAME=URL, for example intake=http://127.0.0.1:8101")


def part_address(url: str, otherwise: str) -> str:
    """Return the address of a part, to which paths can be added.

    Raises:
        typer.BadParameter: it is none; says `otherwise`.

    """
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        raise typer.BadParameter(otherwise) from None
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise typer.BadParameter(otherwise)
    return url.rstrip("/")


def fetch(url: str) -> Any:
    """Return the JSON that a part of the system answers.

    Raises:
        ScoringApiError: it does not answer, or refuses the question.

    """
    address, _, path = url.rpartition("/")
    with client(address) as part:
        return ask(part, Question(f"/{path}", json.loads))
