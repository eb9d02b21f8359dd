"""`paperless demo`: the whole flow, from nothing to a verdict; on this machine, or on a system that runs already."""

import asyncio
import time
import webbrowser
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from domain import load_domain
from paperless.cli.demo_output import DemoResult, show
from paperless.cli.narration import Narration
from paperless.cli.options import (
    API,
    DEFAULT_STATE,
    MAX_SEED,
    Api,
    Applications,
    Health,
    Json,
    Kafka,
    Lang,
    OpenPage,
    Pace,
    ScenarioName,
    State,
    System,
    Wide,
    Within,
    find_system,
    seconds_per_day,
)
from paperless.cli.output import clear_json
from paperless.cli.phases import Running, Starting
from paperless.cli.send import MANIFEST, named_mock, play, running_mock, say_stopped, summary
from paperless.cli.signposts import PAGE, Signposts, signposts
from paperless.cli.system import Members
from paperless.cli.terminal import Terminal, open_terminal
from paperless.cli.verification import check
from paperless.local.layout import LocalOptions
from paperless.local.state import ProcessState, StateDirectory
from paperless.local.supervisor import SAMPLE_EVERY_S
from paperless.local.system import LocalSystem, running, start, stop
from paperless.population.scenario import load_scenario
from paperless.supervise import COMMAND
from paperless.traffic.driver import DrivePlan
from paperless.traffic.manifest import read_manifest
from paperless.traffic.running_system import check_mock, earlier_submissions
from paperless.traffic.survey import survey
from paperless.verification import scoring_client
from paperless.verification.checkers import Verdict
from paperless.verification.quiescence import STANDSTILL_S, wait_for_quiescence
from paperless.verification.scoring_client import ask
from runtime.command_line import EXIT_INTERRUPTED

DEFAULT_SEED = 1
DEFAULT_PLAN = "mild"

MaybeSeed = Annotated[
    int | None,
    typer.Option(help="Names every draw; the same seed gives the same rates. By default 1.", min=0, max=MAX_SEED),
]
MaybePlan = Annotated[
    str | None,
    typer.Option(
        help="Fault plan of the VNeID mock: calm, mild, rough, or a TOML file. By default the scenario's, or mild."
    ),
]


class DemoRun(NamedTuple):
    """What is sent, seed and plan of the mock, the manifest, how long nothing may get on, whether to open the page."""

    plan: DrivePlan
    mock: Mapping[str, Any]
    manifest: Path
    within_s: float
    open_page: bool


def demo(
    scenario: ScenarioName = "national-day",
    applications: Applications = None,
    pace: Pace = "watch",
    seed: MaybeSeed = None,
    plan: MaybePlan = None,
    open_page: OpenPage = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the system running afterwards.")] = False,
    json: Json = None,
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    api: Api = None,
    health: Health = None,
    intake_members: Members = 2,
    within: Within = STANDSTILL_S,
    lang: Lang = None,
    wide: Wide = False,
) -> None:
    """Play a day of what the provinces' counters record, show the rates move, and verify every number.

    Starts broker and services as processes of this machine, sends about 121,000 applications, and exits 0 only when
    nothing was lost, counted twice or wrong. It waits as long as something gets on. With --kafka it plays on a system
    that runs already, with the seed and the fault plan of its mock, and leaves it running.

    Example: `paperless demo --pace max --seed 7 --json build/demo/verdict.json`

    Example: `paperless demo --scenario one-province --applications 5000 --plan rough --keep`

    Example: `paperless demo --scenario merger-shock --pace max`, then `paperless rates --month 2025-07`
    """
    played = load_scenario(scenario, load_domain())
    plan = plan or played.plan
    sending = DrivePlan(
        scenario=played,
        seed=DEFAULT_SEED if seed is None else seed,
        applications=applications,
        seconds_per_day=seconds_per_day(pace),
    )
    clear_json(json)
    terminal = open_terminal(lang, wide=wide)
    if kafka is None:
        options = LocalOptions(
            state_dir=state,
            seed=sending.seed,
            plan=plan or DEFAULT_PLAN,
            intake_members=intake_members,
            applications=sum(day.applications for day in sending.days()),
        )
        run = DemoRun(sending, named_mock(options.plan, options.seed), state / MANIFEST, within, open_page)
        result, posts = _on_own_system(run, options, terminal, keep=keep)
    else:
        system = find_system(state, kafka, api, health)
        mock = running_mock(system)
        check_mock(mock, seed=seed, plan=plan)
        sending = replace(sending, seed=mock["seed"], idempotent_producer=system.idempotent_producer)
        run = DemoRun(sending, mock, state / MANIFEST, within, open_page)
        result, posts = _on_found_system(run, system, state, terminal)
    show(terminal, result, posts, json, kept=keep or kafka is not None)
    raise typer.Exit(0 if result.verdict.ok else 1)


def _on_own_system(
    run: DemoRun, options: LocalOptions, terminal: Terminal, *, keep: bool
) -> tuple[DemoResult, Signposts]:
    started = time.monotonic()
    with Narration(terminal) as narration:
        _announce(run, narration)
        narration.enter(Starting(StateDirectory(options.state_dir)))
        with (kept if keep else ended)(options, narration) as local:
            system = System.of(local)
            posts = signposts(system, options.state_dir)
            narration.say("demo.started", **_since(started, local.state.processes))
            return _play(run, system, posts, narration, started), posts


@contextmanager
def kept(options: LocalOptions, narration: Narration) -> Iterator[LocalSystem]:
    """A system that stays, unless the demo is interrupted."""
    local = start(options, COMMAND, tell=narration.line)
    try:
        yield local
    except (KeyboardInterrupt, typer.Exit):
        stop(options.state_dir)
        raise


@contextmanager
def ended(options: LocalOptions, narration: Narration) -> Iterator[LocalSystem]:
    """A system that is stopped, which takes a while."""
    with running(options, COMMAND, narration.line) as local:
        try:
            yield local
        finally:
            narration.enter("phase.stopping")


def _on_found_system(run: DemoRun, system: System, state_dir: Path, terminal: Terminal) -> tuple[DemoResult, Signposts]:
    started, posts = time.monotonic(), signposts(system, state_dir)
    with Narration(terminal) as narration:
        _announce(run, narration)
        narration.enter("phase.surveying")
        parts = sorted(system.target.health_urls)
        log = asyncio.run(survey(system.broker, end_offsets_reliable=system.idempotent_producer))
        logged = earlier_submissions(log, run.mock, run.manifest)
        if logged:
            narration.say("demo.refiled", count=logged)
        narration.say("demo.found", **_since(started, parts))
        return _play(run, system, posts, narration, started), posts


def _announce(run: DemoRun, narration: Narration) -> None:
    plan = run.plan
    narration.say(
        "demo.announced",
        scenario=plan.scenario.title_vi if narration.terminal.texts.language == "vi" else plan.scenario.name,
        applications=sum(day.applications for day in plan.days()),
        seed=str(plan.seed),
        plan=run.mock["plan"]["name"],
        pace=plan.pace,
    )


def _since(started: float, parts: Iterable[str]) -> dict[str, object]:
    return {"seconds": round(time.monotonic() - started), "parts": ", ".join(parts)}


def _play(run: DemoRun, system: System, posts: Signposts, narration: Narration, started: float) -> DemoResult:
    """Send, wait, verify and ask for the tables; `started` when the system was asked for (monotonic seconds)."""
    start_s = time.monotonic() - started
    posts.show(narration.terminal)
    if run.open_page and PAGE in posts.places:
        webbrowser.open(posts.places[PAGE])
    try:
        verdict, timing = asyncio.run(system.watched(_send_and_verify(run, system, narration)))
        with scoring_client.client(system.endpoints[API]) as api:
            rates = {name: ask(api, scoring_client.rates(authority=name)) for name in ("province", "all")}
            why = ask(api, scoring_client.why())
    except Exception:
        # What is printed at the start may be far above by now.
        posts.show(narration.terminal)
        raise
    return DemoResult(verdict, rates, why, {"start_s": round(start_s, 2), **timing})


async def _send_and_verify(run: DemoRun, system: System, narration: Narration) -> tuple[Verdict, dict[str, Any]]:
    began, traffic_from = time.monotonic(), time.time()
    before = system.processes()
    sent = await play(system, run.plan, run.mock, run.manifest, narration)
    if sent.stopped:
        say_stopped(narration.terminal, sent)
        raise typer.Exit(EXIT_INTERRUPTED)
    manifest = read_manifest(run.manifest)
    waiting = Running("phase.waiting", {}, within_s=run.within_s)
    narration.enter(waiting)
    await wait_for_quiescence(
        system.target, partitions=manifest.partitions, within_s=run.within_s, progress=waiting.see
    )
    quiet, traffic_to = time.monotonic(), time.time()
    if before:
        # Until the supervisor has sampled the end of the traffic.
        await asyncio.sleep(SAMPLE_EVERY_S + 0.1)
    after = system.processes()
    verdict = await check(system, manifest, run.within_s, narration)
    return verdict, {
        "traffic_s": round(quiet - began, 2),
        # Epoch seconds, so that whoever watches the machine knows which of its figures belong to the traffic.
        "traffic_from": round(traffic_from, 3),
        "traffic_to": round(traffic_to, 3),
        "verify_s": round(time.monotonic() - quiet, 2),
        "applications_per_s": round(sent.sent / (quiet - began), 1),
        "sending": summary(sent),
        "processes": _usage(before, after, sent.sent),
    }


def _usage(before: Mapping[str, ProcessState], after: Mapping[str, ProcessState], sent: int) -> dict[str, Any]:
    """Return each process's CPU µs per application during the traffic, and its peak memory in MB."""
    return {
        name: {
            "cpu_us_per_application": round((process.cpu_s - before[name].cpu_s) / max(sent, 1) * 1e6, 1),
            "peak_rss_mb": round(process.peak_rss_bytes / 1e6, 1),
        }
        for name, process in after.items()
    }
