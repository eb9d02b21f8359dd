"""What an application costs the whole embedded system: with 1, 4, 16 partitions, and with 1 and 2 intake members.

The systems run in turn, each from nothing and in a process of its own, and each run must verify. CPU is counted by
process while records move; the rate is applications from the first one sent until nothing moves.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from benchmarks.rounds import in_fresh_process, turns
from benchmarks.systems import SystemRun, summary, table_of
from benchmarks.workload import PLAN, SEED
from domain import load_domain
from paperless.cli.options import System
from paperless.cli.output import make_console, write_json
from paperless.local.layout import LocalOptions
from paperless.local.system import running
from paperless.population.scenario import load_scenario
from paperless.supervise import COMMAND
from paperless.traffic.driver import DrivePlan, drive
from paperless.traffic.manifest import read_manifest, versions
from paperless.traffic.recording import Recording
from paperless.verification.quiescence import wait_for_quiescence
from paperless.verification.verify import RunParameters, verify
from services.intake.rules import RULES_VERSION
from services.vneid_mock.plan_files import load_plan

WITHIN_S = 300.0
# The services that are told the partition count, by the prefix of their variables.
_TOLD = ("INTAKE", "VNEID", "SCORING")


class Layout(NamedTuple):
    """Partitions of each topic, and members of intake."""

    partitions: int
    members: int

    @property
    def name(self) -> str:
        return f"{self.partitions} partitions, {self.members} intake"


LAYOUTS = (Layout(1, 1), Layout(4, 1), Layout(16, 1), Layout(6, 1), Layout(6, 2))
# What each is compared with: few partitions, one member.
BASES = {
    Layout(4, 1).name: Layout(1, 1).name,
    Layout(16, 1).name: Layout(1, 1).name,
    Layout(6, 2).name: Layout(6, 1).name,
}


def run_layout(layout: Layout, applications: int) -> SystemRun:
    """Run one system from start to verdict; called in a process of its own."""
    os.environ.update({f"{prefix}_PARTITIONS": str(layout.partitions) for prefix in _TOLD})
    with tempfile.TemporaryDirectory() as folder:
        return _run(layout, applications, Path(folder))


def _run(layout: Layout, applications: int, folder: Path) -> SystemRun:
    options = LocalOptions(
        state_dir=folder / "run",
        seed=SEED,
        plan=PLAN,
        intake_members=layout.members,
        applications=applications,
    )
    with running(options, (*COMMAND, "--partitions", str(layout.partitions)), print) as local:
        system = System.of(local)
        return asyncio.run(system.watched(_play(system, layout, applications, folder / "manifest.json")))


async def _play(system: System, layout: Layout, applications: int, manifest: Path) -> SystemRun:
    plan = DrivePlan(scenario=load_scenario("national-day", load_domain()), seed=SEED, applications=applications)
    before, began = system.processes(), time.monotonic()
    sent = await drive(plan, access=system.broker, recording=_recording(manifest))
    await wait_for_quiescence(system.target, partitions=layout.partitions, within_s=WITHIN_S)
    took = time.monotonic() - began
    # The sampler looks once a second.
    await asyncio.sleep(1.1)
    used = {name: each.cpu_s - before[name].cpu_s for name, each in system.processes().items()}
    await _verified(system, manifest, layout)
    by_process = {name: seconds / sent.sent * 1e6 for name, seconds in used.items()}
    return SystemRun(sent.sent / took, {"driver": sent.cpu_us_per_application, **by_process})


def _recording(path: Path) -> Recording:
    plan = load_plan(PLAN).model_dump(mode="json")
    return Recording(path=path, run_id="scale", plan_name=PLAN, plan=plan, rules_version=RULES_VERSION)


async def _verified(system: System, manifest: Path, layout: Layout) -> None:
    sent = read_manifest(manifest)
    verdict = await verify(
        system.target,
        partitions=layout.partitions,
        parameters=RunParameters(plan=sent.plan, seed=sent.seed),
        log_identity=sent.log_identity,
        within_s=WITHIN_S,
    )
    if not verdict.ok:
        raise RuntimeError(f"{layout.name}: the run does not verify: {'; '.join(verdict.differences[:3]) or verdict}")


def measure(layouts: Sequence[Layout], *, rounds: int, applications: int) -> dict[str, list[SystemRun]]:
    """Run all layouts in turn."""
    runs: defaultdict[str, list[SystemRun]] = defaultdict(list)
    by_name = {layout.name: layout for layout in layouts}
    for _, names in turns(list(by_name), rounds):
        for name in names:
            run = in_fresh_process(run_layout, by_name[name], applications)
            runs[name].append(run)
            print(f"{name}: {run.per_s:,.0f}/s, {run.cpu_us_in_all:.0f} µs", file=sys.stderr)
    return runs


def command(
    *,
    applications: Annotated[int, typer.Option(help="Of the day that is played.", min=1)] = 60_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    json: Annotated[Path | None, typer.Option(help="Also write the costs to this file.")] = None,
) -> None:
    """Run the embedded system with 1, 4, 16 partitions, and with 1 and 2 members of intake; each run must verify.

    Example: `python -m benchmarks scale --applications 30000 --rounds 2`
    """
    result = summary(measure(LAYOUTS, rounds=rounds, applications=applications), BASES)
    make_console().print(table_of(result))
    head = {"applications": applications, "rounds": rounds, "plan": PLAN, "versions": versions()}
    write_json(json, {**head, "systems": result})
