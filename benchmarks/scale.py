"""What an application costs the whole embedded system: with 1, 4, 16 partitions, and with 1 and 2 intake members.

    python -m benchmarks.scale --applications 60000 --rounds 3 --json build/bench/scale.json

The systems run in turn, each from nothing and in a process of its own, and each run must verify. CPU is counted by
process while records move; the rate is applications from the first one sent until nothing moves.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.rounds import Spread, ratios, turns
from domain import load_domain
from paperless.cli.options import System
from paperless.local.layout import LocalOptions
from paperless.local.system import running
from paperless.population.scenario import load_scenario
from paperless.supervise import COMMAND
from paperless.traffic.driver import DrivePlan, drive
from paperless.traffic.manifest import read_manifest, versions
from paperless.traffic.recording import Recording
from paperless.verification.verify import RunParameters, verify, wait_for_quiescence
from services.intake.rules import RULES_VERSION
from services.vneid_mock.plan_files import load_plan

PLAN, SEED = "mild", 1
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
BASES = {Layout(4, 1): Layout(1, 1), Layout(16, 1): Layout(1, 1), Layout(6, 2): Layout(6, 1)}


class Run(NamedTuple):
    """One run: applications per second, and CPU µs per application by process, the driver's too."""

    per_s: float
    cpu_us: Mapping[str, float]

    @property
    def cpu_us_in_all(self) -> float:
        return sum(self.cpu_us.values())


def run_layout(layout: Layout, applications: int) -> Run:
    """Run one system from start to verdict; called in a process of its own."""
    os.environ.update({f"{prefix}_PARTITIONS": str(layout.partitions) for prefix in _TOLD})
    with tempfile.TemporaryDirectory() as folder:
        return _run(layout, applications, Path(folder))


def _run(layout: Layout, applications: int, folder: Path) -> Run:
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


async def _play(system: System, layout: Layout, applications: int, manifest: Path) -> Run:
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
    return Run(sent.sent / took, {"driver": sent.cpu_us_per_application, **by_process})


def _recording(path: Path) -> Recording:
    plan = load_plan(PLAN).model_dump(mode="json")
    return Recording(path=path, run_id="scale", plan_name=PLAN, plan=plan, rules_version=RULES_VERSION)


async def _verified(system: System, manifest: Path, layout: Layout) -> None:
    found = read_manifest(manifest)
    verdict = await verify(
        system.target,
        partitions=layout.partitions,
        parameters=RunParameters(plan=found.plan, seed=found.seed),
        log_identity=found.log_identity,
        within_s=WITHIN_S,
    )
    if not verdict.ok:
        raise RuntimeError(f"{layout.name}: the run does not verify: {'; '.join(verdict.differences[:3]) or verdict}")


def measure(layouts: Sequence[Layout], *, rounds: int, applications: int) -> dict[Layout, list[Run]]:
    """Run all layouts in turn."""
    found: defaultdict[Layout, list[Run]] = defaultdict(list)
    by_name = {layout.name: layout for layout in layouts}
    for _, names in turns(list(by_name), rounds):
        for layout in map(by_name.__getitem__, names):
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                run = alone.submit(run_layout, layout, applications).result()
            found[layout].append(run)
            print(f"{layout.name}: {run.per_s:,.0f}/s, {run.cpu_us_in_all:.0f} µs", file=sys.stderr)
    return found


def summary(found: Mapping[Layout, Sequence[Run]]) -> dict[str, Any]:
    """Return by layout the rate, CPU in all and by process, and the ratio of CPU to the layout it is compared with."""
    result: dict[str, Any] = {}
    for layout, runs in found.items():
        cpu = Spread.of(run.cpu_us_in_all for run in runs)
        names = runs[0].cpu_us
        result[layout.name] = {
            "partitions": layout.partitions,
            "intake_members": layout.members,
            "applications_per_s": round(Spread.of(run.per_s for run in runs).median),
            "cpu_us": round(cpu.median, 1),
            "cpu_us_spread": [round(cpu.low, 1), round(cpu.high, 1)],
            "by_process": {name: round(Spread.of(run.cpu_us[name] for run in runs).median, 1) for name in names},
        }
        base = BASES.get(layout)
        if base is not None and base in found:
            few = [run.cpu_us_in_all for run in found[base]]
            ratio = Spread.of(ratios([run.cpu_us_in_all for run in runs], few))
            result[layout.name]["cpu_ratio"] = round(ratio.median, 3)
            result[layout.name]["cpu_ratio_spread"] = [round(ratio.low, 3), round(ratio.high, 3)]
            result[layout.name]["compared_with"] = base.name
    return result


def show(result: Mapping[str, Any]) -> None:
    """Print the table."""
    table = Table("system", "applications/s", "CPU µs/application", "spread", "ratio", "by process")
    for column in table.columns[1:5]:
        column.justify = "right"
    for name, row in result.items():
        low, high = row["cpu_us_spread"]
        ratio = f"{row['cpu_ratio']:.2f} of {row['compared_with'].partition(',')[0]}" if "cpu_ratio" in row else ""
        by_process = ", ".join(f"{process} {cost:.0f}" for process, cost in row["by_process"].items())
        rate, cpu = f"{row['applications_per_s']:,}", f"{row['cpu_us']:.0f}"
        table.add_row(name, rate, cpu, f"{low:.0f} … {high:.0f}", ratio, by_process)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--applications", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(LAYOUTS, rounds=given.rounds, applications=given.applications)
    result = summary(found)
    show(result)
    if given.json:
        head = {"applications": given.applications, "rounds": given.rounds, "plan": PLAN, "versions": versions()}
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({**head, "systems": result}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
