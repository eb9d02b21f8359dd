"""`paperless demo`: the whole flow on this machine, from nothing to a verdict."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from domain import domain
from services.vneid_mock.plan_files import load_plan
from simulation.checkers import Verdict
from simulation.cli.options import (
    API,
    DEFAULT_STATE,
    EXIT_INTERRUPTED,
    Applications,
    Json,
    Pace,
    Plan,
    ScenarioName,
    Seed,
    State,
    System,
    Within,
    fetch,
    seconds_per_day,
)
from simulation.cli.output import (
    authority_table,
    clear_json,
    league_table,
    make_console,
    print_verdict,
    verdict_json,
    why_text,
    write_json,
)
from simulation.cli.send import MANIFEST, play, stopped_text, summary
from simulation.cli.system import TOPICS_HOOK, Members
from simulation.cli.verification import check
from simulation.driver import DrivePlan, DriveResult
from simulation.local import detached
from simulation.local.layout import LocalOptions
from simulation.local.processes import Usage
from simulation.local.supervisor import LocalSystem
from simulation.manifest import read_manifest
from simulation.scenario import load_scenario
from simulation.topics import ensure_topics
from simulation.verify import wait_for_quiescence

Running = LocalSystem | detached.AttachedSystem


def demo(
    scenario: ScenarioName = "national-day",
    applications: Applications = None,
    pace: Pace = "watch",
    seed: Seed = 1,
    plan: Plan = "mild",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the system running afterwards.")] = False,
    json: Json = None,
    state: State = DEFAULT_STATE,
    intake_members: Members = 2,
    within: Within = 120,
) -> None:
    """Play a day of what the provinces' counters record, show the rates move, and verify every number.

    Starts broker and services as processes of this machine, sends about 121,000 applications, and exits 0 only when
    nothing was lost, counted twice or wrong.

    Example: `paperless demo --pace max --seed 7 --json build/demo/verdict.json`

    Example: `paperless demo --scenario one-province --applications 5000 --plan rough --keep`
    """
    options = LocalOptions(state_dir=state, seed=seed, plan=plan, intake_members=intake_members)
    drive_plan = DrivePlan(
        scenario=load_scenario(scenario, domain()),
        seed=seed,
        applications=applications,
        seconds_per_day=seconds_per_day(pace),
    )
    clear_json(json)
    ok = asyncio.run(_demo(options, drive_plan, keep=keep, json=json, within_s=within))
    raise typer.Exit(0 if ok else 1)


async def _demo(options: LocalOptions, plan: DrivePlan, *, keep: bool, json: Path | None, within_s: float) -> bool:
    console = make_console()
    total = sum(day.applications for day in plan.days())
    console.print(
        f"{plan.scenario.title_vi}: {total:,} applications, seed {options.seed},"
        f" fault plan {options.plan}, pace {plan.pace}"
    )
    mock = {"plan": load_plan(options.plan).model_dump(mode="json")}
    started = time.monotonic()
    async with _running(options.model_copy(update={"applications": total}), keep=keep, console=console) as running:
        system = System(running.address, running.endpoints, idempotent_producer=False)
        ready = time.monotonic()
        console.print(f"started in {ready - started:.1f} s: {', '.join(one.name for one in running.processes())}")
        before = running.rss_and_cpu()
        manifest = options.state_dir / MANIFEST
        sent = await play(system, plan, mock, manifest)
        if sent.stopped:
            console.print(stopped_text(sent))
            raise typer.Exit(EXIT_INTERRUPTED)
        await wait_for_quiescence(system.target, within_s=within_s)
        quiet = time.monotonic()
        after = await _settled_usage(running)
        verdict = await check(system, read_manifest(manifest), within_s)
        done = time.monotonic()
        rates = {name: fetch(f"{running.endpoints[API]}/rates", authority=name) for name in ("province", "all")}
        why = fetch(f"{running.endpoints[API]}/why")
    _show(console, verdict, rates, why)
    timing = {
        "start_s": round(ready - started, 2),
        "traffic_s": round(quiet - ready, 2),
        "verify_s": round(done - quiet, 2),
        "applications_per_s": round(sent.sent / (quiet - ready), 1),
        "sending": summary(sent),
        "processes": usage_json(before, after, sent),
    }
    console.print(
        f"{sent.sent:,} applications in {timing['traffic_s']} s ({timing['applications_per_s']:,.0f}/s),"
        f" verified in {timing['verify_s']} s"
    )
    write_json(json, {**verdict_json(verdict), "rates": rates, "timing": timing})
    _next(console, options, json, keep=keep)
    return verdict.ok


@asynccontextmanager
async def _running(options: LocalOptions, *, keep: bool, console: Console) -> AsyncIterator[Running]:
    """Run the system in this process's care, or leave it running in a supervisor of its own."""
    if keep:
        # Blocking: in a thread, Ctrl-C would leave behind what the thread is still starting.
        running = detached.start(options, create_topics=TOPICS_HOOK)
        try:
            yield running
        except (asyncio.CancelledError, typer.Exit):
            detached.stop(options.state_dir)
            raise
        return
    async with LocalSystem(options, create_topics=ensure_topics, tell=console.print) as system:
        yield system


async def _settled_usage(running: Running) -> Mapping[str, Usage]:
    """Return the usage once the sampler has seen the end of the traffic (it looks every second)."""
    await asyncio.sleep(1.1)
    return running.rss_and_cpu()


def usage_json(before: Mapping[str, Usage], after: Mapping[str, Usage], sent: DriveResult) -> dict[str, Any]:
    """Return each process's CPU µs per application during the traffic, and its peak memory in MB."""
    count = max(sent.sent, 1)
    return {
        name: {
            "cpu_us_per_application": round((usage.cpu_s - before[name].cpu_s) / count * 1e6, 1),
            "peak_rss_mb": round(usage.peak_rss_bytes / 1e6, 1),
        }
        for name, usage in after.items()
    }


def _show(console: Console, verdict: Verdict, rates: Mapping[str, Any], why: Mapping[str, Any]) -> None:
    console.print(league_table(rates["province"]))
    console.print(authority_table(rates["province"]))
    head, reasons, *_ = why_text(why, limit=6)
    console.print(head)
    console.print(reasons)
    print_verdict(verdict)


def _next(console: Console, options: LocalOptions, json: Path | None, *, keep: bool) -> None:
    state = "" if options.state_dir == DEFAULT_STATE else f" --state {options.state_dir}"
    if json:
        console.print(f"the same as JSON: {json}")
    if keep:
        console.print(
            f"left running: paperless rates{state}; paperless why --province 79{state}; paperless down{state}"
        )
    else:
        console.print("look around in a running system: paperless demo --keep, then paperless rates, paperless why")
