"""`paperless demo`: the whole flow, from nothing to a verdict; on this machine, or on a system that runs already."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from domain import load_domain
from paperless.cli.options import (
    API,
    DEFAULT_STATE,
    MAX_SEED,
    Api,
    Applications,
    Health,
    Json,
    Kafka,
    Pace,
    ScenarioName,
    State,
    System,
    Within,
    find_system,
    seconds_per_day,
)
from paperless.cli.output import clear_json, make_console, print_verdict, verdict_json, write_json
from paperless.cli.send import MANIFEST, named_mock, play, running_mock, stopped_text, summary
from paperless.cli.system import Members
from paperless.cli.tables import authority_table, league_table, why_text
from paperless.cli.verification import check
from paperless.local.layout import LocalOptions
from paperless.local.state import ProcessState
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
from paperless.verification.scoring_client import ask
from paperless.verification.verify import wait_for_quiescence
from runtime.command_line import EXIT_INTERRUPTED
from services.scoring.rates.rates import RatesTable
from services.scoring.rates.why import WhyTable

DEFAULT_SEED = 1
DEFAULT_PLAN = "mild"

MaybeSeed = Annotated[
    int | None,
    typer.Option(help="Names every draw; the same seed gives the same rates. By default 1.", min=0, max=MAX_SEED),
]
MaybePlan = Annotated[
    str | None, typer.Option(help="Fault plan of the VNeID mock: calm, mild, rough, or a TOML file. By default mild.")
]
ClosingHint = Annotated[str, typer.Option("--last-words", envvar="PAPERLESS_LAST_WORDS", hidden=True)]


class DemoRun(NamedTuple):
    """What is sent, plan and seed of the mock that answers, where the manifest goes, how long to wait for quiet."""

    plan: DrivePlan
    mock: Mapping[str, Any]
    manifest: Path
    within_s: float


class DemoResult(NamedTuple):
    """What a run came to: the verdict, the tables of the scoring API, and the figures of `timing` in the JSON."""

    verdict: Verdict
    rates: Mapping[str, RatesTable]
    why: WhyTable
    timing: Mapping[str, Any]


def demo(
    scenario: ScenarioName = "national-day",
    applications: Applications = None,
    pace: Pace = "watch",
    seed: MaybeSeed = None,
    plan: MaybePlan = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the system running afterwards.")] = False,
    json: Json = None,
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    api: Api = None,
    health: Health = None,
    intake_members: Members = 2,
    within: Within = 120,
    closing_hint: ClosingHint = "",
) -> None:
    """Play a day of what the provinces' counters record, show the rates move, and verify every number.

    Starts broker and services as processes of this machine, sends about 121,000 applications, and exits 0 only when
    nothing was lost, counted twice or wrong. With --kafka it plays on a system that runs already, with the seed and
    the fault plan of its mock, and leaves it running.

    Example: `paperless demo --pace max --seed 7 --json build/demo/verdict.json`

    Example: `paperless demo --scenario one-province --applications 5000 --plan rough --keep`
    """
    sending = DrivePlan(
        scenario=load_scenario(scenario, load_domain()),
        seed=DEFAULT_SEED if seed is None else seed,
        applications=applications,
        seconds_per_day=seconds_per_day(pace),
    )
    clear_json(json)
    if kafka is None:
        options = LocalOptions(
            state_dir=state,
            seed=sending.seed,
            plan=plan or DEFAULT_PLAN,
            intake_members=intake_members,
            applications=sum(day.applications for day in sending.days()),
        )
        run = DemoRun(sending, named_mock(options.plan, options.seed), state / MANIFEST, within)
        result, closing_hint = _on_own_system(run, options, keep=keep), _closing_hint(state, keep=keep)
    else:
        system = find_system(state, kafka, api, health)
        mock = running_mock(system)
        check_mock(mock, seed=seed, plan=plan)
        sending = replace(sending, seed=mock["seed"], idempotent_producer=system.idempotent_producer)
        result = _on_found_system(DemoRun(sending, mock, state / MANIFEST, within), system)
    _show(result, json, closing_hint)
    raise typer.Exit(0 if result.verdict.ok else 1)


def _on_own_system(run: DemoRun, options: LocalOptions, *, keep: bool) -> DemoResult:
    _announce(run)
    started = time.monotonic()
    with _kept(options) if keep else running(options, COMMAND, make_console().print) as local:
        return _play(run, System.of(local), "started", local.state.processes, started)


@contextmanager
def _kept(options: LocalOptions) -> Iterator[LocalSystem]:
    """A system that stays, unless the demo is interrupted."""
    local = start(options, COMMAND)
    try:
        yield local
    except (KeyboardInterrupt, typer.Exit):
        stop(options.state_dir)
        raise


def _on_found_system(run: DemoRun, system: System) -> DemoResult:
    _announce(run)
    started = time.monotonic()
    parts = sorted(system.target.health_urls)
    log = asyncio.run(survey(system.broker, end_offsets_reliable=system.idempotent_producer))
    logged = earlier_submissions(log, run.mock, run.manifest)
    if logged:
        make_console().print(
            f"the log already holds {logged:,} submissions:"
            " what is filed again counts as re-delivered, and nothing twice"
        )
    return _play(run, system, "found", parts, started)


def _announce(run: DemoRun) -> None:
    plan = run.plan
    make_console().print(
        f"{plan.scenario.title_vi}: {sum(day.applications for day in plan.days()):,} applications, seed {plan.seed},"
        f" fault plan {run.mock['plan']['name']}, pace {plan.pace}"
    )


def _play(run: DemoRun, system: System, how: str, parts: Iterable[str], started: float) -> DemoResult:
    """Send, wait, verify and ask for the tables; `how` the system came to be, since `started` (monotonic seconds)."""
    start_s = time.monotonic() - started
    make_console().print(f"{how} in {start_s:.1f} s: {', '.join(parts)}")
    verdict, timing = asyncio.run(system.watched(_send_and_verify(run, system)))
    with scoring_client.client(system.endpoints[API]) as api:
        rates = {name: ask(api, scoring_client.rates(authority=name)) for name in ("province", "all")}
        why = ask(api, scoring_client.why())
    return DemoResult(verdict, rates, why, {"start_s": round(start_s, 2), **timing})


async def _send_and_verify(run: DemoRun, system: System) -> tuple[Verdict, dict[str, Any]]:
    began, traffic_from = time.monotonic(), time.time()
    before = system.processes()
    sent = await play(system, run.plan, run.mock, run.manifest)
    if sent.stopped:
        make_console().print(stopped_text(sent))
        raise typer.Exit(EXIT_INTERRUPTED)
    manifest = read_manifest(run.manifest)
    await wait_for_quiescence(system.target, partitions=manifest.partitions, within_s=run.within_s)
    quiet, traffic_to = time.monotonic(), time.time()
    if before:
        # Until the supervisor has sampled the end of the traffic.
        await asyncio.sleep(SAMPLE_EVERY_S + 0.1)
    after = system.processes()
    verdict = await check(system, manifest, run.within_s)
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


def _show(result: DemoResult, json: Path | None, closing_hint: str) -> None:
    console, timing = make_console(), result.timing
    console.print(league_table(result.rates["province"]))
    console.print(authority_table(result.rates["province"]))
    head, reasons, *_ = why_text(result.why, limit=6)
    console.print(head)
    console.print(reasons)
    print_verdict(result.verdict)
    console.print(
        f"{timing['sending']['sent']:,} applications in {timing['traffic_s']} s"
        f" ({timing['applications_per_s']:,.0f}/s), verified in {timing['verify_s']} s"
    )
    rates = {name: asdict(table) for name, table in result.rates.items()}
    write_json(json, {**verdict_json(result.verdict), "rates": rates, "timing": timing})
    if json:
        console.print(f"the same as JSON: {json}")
    console.print(closing_hint, soft_wrap=True)


def _closing_hint(state_dir: Path, *, keep: bool) -> str:
    state = "" if state_dir == DEFAULT_STATE else f" --state {state_dir}"
    if keep:
        return f"left running: paperless rates{state}; paperless why --province 79{state}; paperless down{state}"
    return "look around in a running system: paperless demo --keep, then paperless rates, paperless why"
