"""`paperless chaos`: faults drawn from a seed while applications go on arriving, and whether every promise was kept."""

import asyncio
import logging
import secrets
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from domain import load_domain
from paperless.chaos.containers import SOCKET, ContainerFaults
from paperless.chaos.hazards import CONTAINER_REST_S, container_hazards, local_hazards
from paperless.chaos.picture import drawing, page
from paperless.chaos.plan import REST_S, Fault, Hazard, chaos_plan, fits
from paperless.chaos.port import ChaosError, FaultPort
from paperless.chaos.processes import ProcessFaults, can_limit_files
from paperless.chaos.result import ChaosResult, Timeline, as_json
from paperless.chaos.run import Experiment, Listener, SystemUnderTest, run
from paperless.chaos.sampler import unready_of
from paperless.chaos.schedule import mean_rate, steady_rate
from paperless.cli.chaos_output import Experimenting, show_result
from paperless.cli.demo import ended, kept
from paperless.cli.narration import Narration
from paperless.cli.options import (
    API,
    DEFAULT_STATE,
    MAX_SEED,
    Api,
    Health,
    Json,
    Kafka,
    Lang,
    Plan,
    State,
    System,
    Within,
    a_number,
    find_system,
)
from paperless.cli.output import clear_json, print_verdict, verdict_json, write_json
from paperless.cli.phases import Starting
from paperless.cli.send import MANIFEST, named_mock, running_mock
from paperless.cli.signposts import signposts
from paperless.cli.system import Members
from paperless.cli.terminal import Terminal, open_terminal
from paperless.cli.verification import check
from paperless.http_client import async_http_client
from paperless.local.health import REQUEST_TIMEOUT_S
from paperless.local.layout import LocalOptions, service_names
from paperless.local.process_group import BROKER
from paperless.local.state import StateDirectory
from paperless.local.supervisor import SAMPLE_EVERY_S
from paperless.population.scenario import DEFAULT_SCENARIO, load_scenario
from paperless.traffic.manifest import DaySent, Manifest, Status
from paperless.traffic.recording import Recording
from paperless.traffic.running_system import earlier_submissions
from paperless.traffic.survey import LogSurvey, survey
from paperless.verification.checkers import Verdict
from paperless.verification.members import ask_members
from paperless.verification.quiescence import STANDSTILL_S
from runtime.command_line import EXIT_INTERRUPTED
from services.intake.rules import RULES_VERSION

# The undisturbed system is seen first: it says what is steady.
WARM_UP_S = 5.0
# Small enough to be typed.
RANDOM_SEEDS = 2**32
_CHAOS = "Chaos"

Faults = Annotated[int, typer.Option(help="How many faults.", min=1, max=10_000, rich_help_panel=_CHAOS)]
Applications = Annotated[
    int, typer.Option(help="How many applications arrive meanwhile.", min=1, max=10**7, rich_help_panel=_CHAOS)
]
Seed = Annotated[
    int,
    typer.Option(help="names every draw of the chaos plan.", min=0, max=MAX_SEED, rich_help_panel=_CHAOS),
]
Random = Annotated[
    bool, typer.Option("--random", help="Take a new seed, and say how to repeat it.", rich_help_panel=_CHAOS)
]
Rate = Annotated[
    float | None,
    typer.Option(
        help="Applications a second on the whole; by default so many that each fault has 8 s, 500 at most.",
        min=0.1,
        max=1e5,
        callback=a_number,
        rich_help_panel=_CHAOS,
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option(help="Also draw it to this file: .html for a page, .svg for the drawing.", rich_help_panel=_CHAOS),
]
Containers = Annotated[
    str | None,
    typer.Option(
        "--containers",
        metavar="PROJECT",
        help="Instead: the containers of this compose project, with --kafka, --api and --health.",
        envvar="PAPERLESS_PROJECT",
        rich_help_panel="System",
    ),
]
Engine = Annotated[
    Path,
    typer.Option(
        "--engine",
        help="Unix socket of the container engine, with --containers.",
        envvar="PAPERLESS_ENGINE",
        rich_help_panel="System",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for: `seed` draws the plan, `repeat` is the command that does the same again."""

    faults: int
    applications: int
    seed: int
    rate: float | None
    repeat: str
    manifest: Path
    within_s: float

    @property
    def seconds(self) -> float:
        """How long applications arrive."""
        return self.applications / (self.rate or mean_rate(self.applications, self.faults))

    def experiment(self, hazards: tuple[Hazard, ...], rest_s: float = REST_S) -> Experiment:
        """Return the plan on a system to which this may happen.

        Raises:
            ChaosError: the faults do not fit into the time.

        """
        plan = chaos_plan(self.seed, self.faults, self.seconds - WARM_UP_S, hazards, after_s=WARM_UP_S, rest_s=rest_s)
        seconds = self.seconds if self.rate is not None else max(self.seconds, _end(plan))
        if not fits(plan, seconds):
            raise ChaosError(
                f"{self.faults} faults take {_end(plan):.0f} s, and at {self.rate:g}/s all has arrived after"
                f" {seconds:.0f} s; lower --rate to {self.applications / _end(plan):.1f}, or take fewer faults"
            )
        return Experiment(seed=self.seed, applications=self.applications, seconds=seconds, plan=plan)


def _end(plan: tuple[Fault, ...]) -> float:
    return max(fault.ends_s for fault in plan)


def chaos(
    faults: Faults = 30,
    applications: Applications = 100_000,
    seed: Seed = 1,
    random: Random = False,
    rate: Rate = None,
    plan: Plan = "rough",
    json: Json = None,
    picture: Picture = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the system running afterwards.")] = False,
    intake_members: Members = 2,
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    api: Api = None,
    health: Health = None,
    containers: Containers = None,
    engine: Engine = SOCKET,
    within: Within = STANDSTILL_S,
    lang: Lang = None,
) -> None:
    """Break the system on purpose while applications arrive, and see whether every promise is kept.

    Starts broker and services as processes of this machine. Applications arrive evenly (open loop) while services are
    killed, frozen and stopped, the broker and the VNeID mock fall silent, the store is locked, its disk is full, a
    member of intake joins and leaves, and ten times as many applications arrive. The plan follows from the seed alone.

    A fault's recovery lasts from its end until its part is ready and no more waits than before it (lag and open
    applications; what arrives in a second is allowed for). Exits 0 only when nothing was lost, counted twice
    or wrong, every fault was got over, and everything is ready.

    With --containers it breaks a running compose project, Kafka and PostgreSQL too, see deploy/compose/chaos.yml.

    Example: `paperless chaos --faults 6 --applications 5000 --seed 7 --picture build/chaos.html`

    Example: `paperless chaos --random --json build/chaos.json`
    """
    for path in (json, picture):
        clear_json(path)
    # A broker that does not answer is meant here: what our own client says of it would hide the time line.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    chosen = secrets.randbelow(RANDOM_SEEDS) if random else seed
    order = Order(
        faults=faults,
        applications=applications,
        seed=chosen,
        rate=rate,
        repeat=_repeat(faults, applications, chosen, rate, plan if containers is None else None),
        manifest=state / MANIFEST,
        within_s=within,
    )
    terminal = open_terminal(lang)
    if containers is None:
        options = LocalOptions(
            state_dir=state, seed=chosen, plan=plan, intake_members=intake_members, applications=applications
        )
        result, verdict = _on_own_system(order, options, terminal, keep=keep)
    else:
        system = find_system(state, kafka, api, health)
        result, verdict = _on_containers(order, system, ContainerFaults.of(containers, engine), terminal)
    show_result(terminal, result)
    print_verdict(terminal, verdict)
    write_json(json, {**as_json(result), **verdict_json(verdict)})
    _draw(picture, result, terminal)
    raise typer.Exit(0 if result.ok else 1)


def _repeat(faults: int, applications: int, seed: int, rate: float | None, plan: str | None) -> str:
    """Return the command that does the same again; in containers the mock has its plan already."""
    asked = "" if rate is None else f" --rate {rate:g}"
    named = "" if plan is None else f" --plan {plan}"
    return f"paperless chaos --faults {faults} --applications {applications} --seed {seed}{asked}{named}"


def _on_own_system(
    order: Order, options: LocalOptions, terminal: Terminal, *, keep: bool
) -> tuple[ChaosResult, Verdict]:
    experiment = order.experiment(local_hazards((BROKER, *service_names(options)), disk_full=can_limit_files()))
    mock = named_mock(options.plan, options.seed)
    with Narration(terminal) as narration:
        narration.say("chaos.repeat", command=order.repeat)
        narration.enter(Starting(StateDirectory(options.state_dir)))
        with (kept if keep else ended)(options, narration) as local:
            system = System.of(local)
            signposts(system, options.state_dir).show(terminal)
            work = _Work(order, experiment, system, mock, narration)
            return asyncio.run(system.watched(work.on(nullcontext(ProcessFaults(local)))))


def _on_containers(
    order: Order, system: System, port: ContainerFaults, terminal: Terminal
) -> tuple[ChaosResult, Verdict]:
    experiment, mock = order.experiment(container_hazards(), CONTAINER_REST_S), running_mock(system)
    with Narration(terminal) as narration:
        narration.say("chaos.repeat", command=order.repeat)
        return asyncio.run(_Work(order, experiment, system, mock, narration).on(port))


@dataclass(frozen=True, slots=True)
class _Work:
    """One run on a system that is there."""

    order: Order
    experiment: Experiment
    system: System
    mock: Mapping[str, Any]
    narration: Narration

    async def on(self, port: AbstractAsyncContextManager[FaultPort]) -> tuple[ChaosResult, Verdict]:
        """Disturb, verify, and return what it came to."""
        system, order = self.system, self.order
        self.narration.enter("phase.surveying")
        log = await survey(system.broker, end_offsets_reliable=system.idempotent_producer)
        earlier_submissions(log, self.mock, order.manifest)
        self._announce()
        with self._recorded(log) as manifest:
            timeline = await self._experimented(port, log)
        verdict = await check(system, manifest, order.within_s, self.narration)
        # Until the supervisor has recorded the last restart.
        await asyncio.sleep(SAMPLE_EVERY_S)
        result = ChaosResult(
            command=" ".join(["paperless", *sys.argv[1:]]),
            seed=order.seed,
            fault_plan=str(self.mock["plan"]["name"]),
            run=timeline,
            verdict_ok=verdict.ok,
            counts=verdict_json(verdict)["counts"],
            restarts={name: process.restarts for name, process in system.processes().items()},
            unready=await _unready(system),
        )
        return result, verdict

    def _announce(self) -> None:
        experiment = self.experiment
        self.narration.say(
            "chaos.announced",
            faults=len(experiment.plan),
            applications=experiment.applications,
            seconds=round(experiment.seconds),
            per_s=round(steady_rate(experiment.applications, experiment.seconds, experiment.plan)),
            seed=str(experiment.seed),
            plan=self.mock["plan"]["name"],
        )

    async def _experimented(self, port: AbstractAsyncContextManager[FaultPort], log: LogSurvey) -> Timeline:
        phase = Experimenting(self.order.applications, self.narration)
        self.narration.enter(phase)
        under_test = SystemUnderTest(
            kafka=self.system.broker,
            idempotent_producer=self.system.idempotent_producer,
            health_urls=self.system.target.health_urls,
            other_urls=_others(self.system),
            api_url=self.system.url(API, "--api URL"),
            log=log,
            within_s=self.order.within_s,
        )
        async with port as faults:
            with _ctrl_c(self.narration):
                return await run(self.experiment, under_test, faults, Listener(event=phase.event, sample=phase.sample))

    @contextmanager
    def _recorded(self, log: LogSurvey) -> Iterator[Manifest]:
        """Write the manifest that `verify` reads, before the first record and at the end, however it ends."""
        scenario = load_scenario(DEFAULT_SCENARIO, load_domain())
        recording = Recording(
            path=self.order.manifest,
            run_id=str(uuid.uuid4()),
            plan_name=self.mock["plan"]["name"],
            plan=self.mock["plan"],
            rules_version=RULES_VERSION,
        )
        days = (DaySent(day=scenario.days[0], planned=self.order.applications),)
        manifest = recording.begin(log, scenario, days, seed=self.mock["seed"], pace="chaos")
        status: Status = "stopped"
        try:
            yield manifest
            status = "sent"
        finally:
            recording.end(manifest, status, days)


@contextmanager
def _ctrl_c(narration: Narration) -> Iterator[None]:
    """Ctrl-C ends all faults, however often it is pressed, and then raises `typer.Exit`."""
    loop, task, pressed = asyncio.get_running_loop(), asyncio.current_task(), list[float]()
    began = loop.time()

    def on_signal() -> None:
        if task is not None and not pressed:
            task.cancel()
        pressed.append(loop.time() - began)

    loop.add_signal_handler(signal.SIGINT, on_signal)
    try:
        yield
    except asyncio.CancelledError:
        if not pressed:
            raise
        narration.say("chaos.stopped", seconds=round(pressed[0]))
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _others(system: System) -> dict[str, str]:
    """Return the URLs of what consumes nothing."""
    return {name: url for name, url in system.endpoints.items() if name not in system.target.health_urls}


async def _unready(system: System) -> tuple[str, ...]:
    async with async_http_client(timeout_s=REQUEST_TIMEOUT_S, urls=system.endpoints.values()) as client:
        return unready_of(await ask_members(client, system.endpoints))


def _draw(path: Path | None, result: ChaosResult, terminal: Terminal) -> None:
    if path is None:
        return
    draw = drawing if path.suffix == ".svg" else page
    try:
        path.write_text(draw(result, terminal.texts), encoding="utf-8")
    except OSError as error:
        raise ChaosError(f"{path}: cannot be written ({error.strerror}); choose another --picture file") from error
    terminal.say("chaos.picture", path=path)
