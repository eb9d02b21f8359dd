"""`paperless demo`: the whole flow, from nothing to a verdict; on this machine, or on a system that runs already."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from domain import load_domain
from paperless.cli.options import (
    API,
    DEFAULT_STATE,
    EXIT_INTERRUPTED,
    Api,
    Applications,
    Health,
    Json,
    Kafka,
    Pace,
    ScenarioName,
    State,
    Within,
    fetch,
    find_system,
    seconds_per_day,
)
from paperless.cli.output import (
    authority_table,
    clear_json,
    league_table,
    make_console,
    print_verdict,
    verdict_json,
    why_text,
    write_json,
)
from paperless.cli.send import MANIFEST, play, stopped_text, summary
from paperless.cli.stage import Stage, attached_stage, local_mock, local_stage, running_mock
from paperless.cli.system import Members
from paperless.cli.verification import check
from paperless.local.layout import LocalOptions
from paperless.local.processes import Usage
from paperless.population.scenario import load_scenario
from paperless.traffic.driver import DrivePlan, DriveResult
from paperless.traffic.manifest import read_manifest
from paperless.verification.checkers import Verdict
from paperless.verification.verify import wait_for_quiescence

DEFAULT_SEED = 1
DEFAULT_PLAN = "mild"

MaybeSeed = Annotated[
    int | None, typer.Option(help="Names every draw; the same seed gives the same rates. By default 1.", min=0)
]
MaybePlan = Annotated[
    str | None, typer.Option(help="Fault plan of the VNeID mock: calm, mild, rough, or a TOML file. By default mild.")
]
LastWords = Annotated[str, typer.Option("--last-words", envvar="PAPERLESS_LAST_WORDS", hidden=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """One demo: what is sent, how the mock misbehaves, where manifest and result go, and what is said at the end."""

    plan: DrivePlan
    mock: Mapping[str, Any]
    manifest: Path
    json: Path | None
    within_s: float
    last_words: str

    @property
    def applications(self) -> int:
        return sum(day.applications for day in self.plan.days())


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
    last_words: LastWords = "",
) -> None:
    """Play a day of what the provinces' counters record, show the rates move, and verify every number.

    Starts broker and services as processes of this machine, sends about 121,000 applications, and exits 0 only when
    nothing was lost, counted twice or wrong. With --kafka it plays on a system that runs already, with the seed and
    the fault plan of its mock, and leaves it running.

    Example: `paperless demo --pace max --seed 7 --json build/demo/verdict.json`

    Example: `paperless demo --scenario one-province --applications 5000 --plan rough --keep`
    """
    console = make_console()
    show = Show(
        plan=DrivePlan(
            scenario=load_scenario(scenario, load_domain()),
            seed=DEFAULT_SEED if seed is None else seed,
            applications=applications,
            seconds_per_day=seconds_per_day(pace),
        ),
        mock={},
        manifest=state / MANIFEST,
        json=json,
        within_s=within,
        last_words=last_words,
    )
    clear_json(json)
    if kafka is None:
        options = LocalOptions(
            state_dir=state,
            seed=show.plan.seed,
            plan=plan or DEFAULT_PLAN,
            intake_members=intake_members,
            applications=show.applications,
        )
        show = replace(show, mock=local_mock(options), last_words=_last_words(state, keep=keep))
        stage: AbstractAsyncContextManager[Stage] = local_stage(options, keep=keep, tell=console.print)
    else:
        system = find_system(state, kafka, api, health)
        mock = running_mock(system, seed=seed, plan=plan)
        drive_plan = replace(show.plan, seed=mock["seed"], idempotent_producer=system.idempotent_producer)
        show = replace(show, plan=drive_plan, mock=mock)
        stage = attached_stage(system, mock, show.manifest, tell=console.print)
    ok = asyncio.run(_demo(stage, show, console))
    raise typer.Exit(0 if ok else 1)


async def _demo(opening: AbstractAsyncContextManager[Stage], show: Show, console: Console) -> bool:
    plan = show.plan
    console.print(
        f"{plan.scenario.title_vi}: {show.applications:,} applications, seed {plan.seed},"
        f" fault plan {show.mock['plan']['name']}, pace {plan.pace}"
    )
    started = time.monotonic()
    async with opening as stage:
        system = stage.system
        ready, traffic_from = time.monotonic(), time.time()
        console.print(f"{stage.opened} in {ready - started:.1f} s: {', '.join(stage.parts)}")
        before = stage.usage()
        sent = await play(system, plan, show.mock, show.manifest)
        if sent.stopped:
            console.print(stopped_text(sent))
            raise typer.Exit(EXIT_INTERRUPTED)
        manifest = read_manifest(show.manifest)
        await wait_for_quiescence(system.target, partitions=manifest.partitions, within_s=show.within_s)
        quiet, traffic_to = time.monotonic(), time.time()
        after = await _settled_usage(stage)
        verdict = await check(system, manifest, show.within_s)
        done = time.monotonic()
        rates = {name: fetch(f"{system.endpoints[API]}/rates", authority=name) for name in ("province", "all")}
        why = fetch(f"{system.endpoints[API]}/why")
    _show(console, verdict, rates, why)
    timing = {
        "start_s": round(ready - started, 2),
        "traffic_s": round(quiet - ready, 2),
        # Epoch seconds, so that whoever watches the machine knows which of its figures belong to the traffic.
        "traffic_from": round(traffic_from, 3),
        "traffic_to": round(traffic_to, 3),
        "verify_s": round(done - quiet, 2),
        "applications_per_s": round(sent.sent / (quiet - ready), 1),
        "sending": summary(sent),
        "processes": usage_json(before, after, sent),
    }
    console.print(
        f"{sent.sent:,} applications in {timing['traffic_s']} s ({timing['applications_per_s']:,.0f}/s),"
        f" verified in {timing['verify_s']} s"
    )
    write_json(show.json, {**verdict_json(verdict), "rates": rates, "timing": timing})
    if show.json:
        console.print(f"the same as JSON: {show.json}")
    console.print(show.last_words, soft_wrap=True)
    return verdict.ok


async def _settled_usage(stage: Stage) -> Mapping[str, Usage]:
    """Return the usage once the sampler has seen the end of the traffic (it looks every second)."""
    if stage.usage():
        await asyncio.sleep(1.1)
    return stage.usage()


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


def _last_words(state_dir: Path, *, keep: bool) -> str:
    state = "" if state_dir == DEFAULT_STATE else f" --state {state_dir}"
    if keep:
        return f"left running: paperless rates{state}; paperless why --province 79{state}; paperless down{state}"
    return "look around in a running system: paperless demo --keep, then paperless rates, paperless why"
