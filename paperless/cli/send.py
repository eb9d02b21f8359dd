"""`paperless send`: play a scenario into a running system."""

import asyncio
import signal
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from domain import load_domain
from paperless.cli.narration import Narration
from paperless.cli.options import (
    API,
    DEFAULT_STATE,
    MAX_SEED,
    MOCK,
    Api,
    Applications,
    Health,
    Json,
    Kafka,
    Lang,
    Pace,
    ScenarioName,
    State,
    System,
    fetch,
    find_system,
    seconds_per_day,
)
from paperless.cli.output import clear_json, write_json
from paperless.cli.phases import Filing
from paperless.cli.terminal import Terminal, open_terminal
from paperless.population.scenario import load_scenario
from paperless.traffic.driver import DrivePlan, DriveResult, drive
from paperless.traffic.recording import Recording
from paperless.traffic.running_system import check_mock
from runtime.command_line import EXIT_INTERRUPTED
from services.intake.rules import RULES_VERSION
from services.vneid_mock.plan_files import load_plan

MANIFEST = "manifest.json"
Manifest = Annotated[
    Path | None, typer.Option("--manifest", help="Manifest of the run; by default beside the system's state.")
]


def send(
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    api: Api = None,
    health: Health = None,
    scenario: ScenarioName = "national-day",
    applications: Applications = None,
    pace: Pace = "max",
    seed: Annotated[int | None, typer.Option(help="By default the mock's.", min=0, max=MAX_SEED)] = None,
    plan: Annotated[str | None, typer.Option(help="The mock's fault plan, where it cannot be asked.")] = None,
    manifest: Manifest = None,
    json: Json = None,
    lang: Lang = None,
) -> None:
    """Play a scenario into a running system and write the run's manifest, which `paperless verify` reads.

    A scenario with a fault plan of its own, such as vneid-outage, needs a mock that runs with it.

    Example: `paperless send --scenario one-province --applications 5000`

    Example: `paperless send --scenario from-october --applications 10000`

    Example: `paperless send --kafka 127.0.0.1:9092 --health vneid_mock=http://127.0.0.1:8102`
    """
    clear_json(json)
    system = find_system(state, kafka, api, health)
    played = load_scenario(scenario, load_domain())
    mock = _mock(system, plan or played.plan, seed)
    sending = DrivePlan(
        scenario=played,
        seed=mock["seed"],
        applications=applications,
        seconds_per_day=seconds_per_day(pace),
        idempotent_producer=system.idempotent_producer,
    )
    terminal = open_terminal(lang)
    system.check_room(sum(day.applications for day in sending.days()))
    with Narration(terminal) as narration:
        playing = play(system, sending, mock, manifest or state / MANIFEST, narration)
        result = asyncio.run(system.watched(playing))
    write_json(json, summary(result))
    if result.stopped:
        say_stopped(terminal, result)
        raise typer.Exit(EXIT_INTERRUPTED)


def _mock(system: System, plan: str | None, seed: int | None) -> dict[str, Any]:
    """Return the mock's plan and seed: as it says itself, or as the options say where it cannot be asked.

    Raises:
        VerifyError: it runs with another plan than the one that is asked for.

    """
    if MOCK in system.endpoints:
        mock = running_mock(system)
        check_mock(mock, seed=None, plan=plan)
        return {"plan": mock["plan"], "seed": mock["seed"] if seed is None else seed}
    if plan is None or seed is None:
        raise typer.BadParameter("say --plan and --seed, or where the mock answers: --health vneid_mock=URL")
    return named_mock(plan, seed)


def running_mock(system: System) -> dict[str, Any]:
    """Return what the running mock says of its plan and seed."""
    mock: dict[str, Any] = fetch(f"{system.url(MOCK, f'--health {MOCK}=URL')}/plan")
    return mock


def named_mock(plan: str, seed: int) -> dict[str, Any]:
    """Return the same of a mock with a plan of this name, or file."""
    return {"plan": load_plan(plan).model_dump(mode="json"), "seed": seed}


async def play(
    system: System, plan: DrivePlan, mock: Mapping[str, Any], manifest: Path, narration: Narration
) -> DriveResult:
    """Send a plan's applications and tell of it; Ctrl-C ends it early and keeps what was sent."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    planned = sum(day.applications for day in plan.days())
    filing = Filing(planned, system.health_urls, system.endpoints.get(API))
    narration.enter(filing)
    try:
        return await drive(
            plan,
            access=system.broker,
            progress=filing.show,
            stop=stop,
            recording=Recording(
                path=manifest,
                run_id=str(uuid.uuid4()),
                plan_name=mock["plan"]["name"],
                plan=mock["plan"],
                rules_version=RULES_VERSION,
            ),
        )
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def say_stopped(terminal: Terminal, result: DriveResult) -> None:
    """Say how far a run came that Ctrl-C ended."""
    terminal.say("demo.stopped", sent=result.sent, planned=sum(day.planned for day in result.days))


def summary(result: DriveResult) -> dict[str, Any]:
    """Return what was sent, for JSON; times in seconds, CPU in µs per application."""
    return {
        "sent": result.sent,
        "planned": sum(day.planned for day in result.days),
        "seconds": round(result.elapsed_s, 3),
        "value_bytes": result.value_bytes,
        "slip_mean_s": round(result.slip_mean_s, 4),
        "slip_max_s": round(result.slip_max_s, 4),
        "cpu_us_per_application": round(result.cpu_us_per_application, 1),
        "stopped_early": result.stopped,
    }
