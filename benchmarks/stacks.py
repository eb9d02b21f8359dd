"""The same day on both systems: embedded (Tansu, SQLite, processes) and compose (Apache Kafka, PostgreSQL, containers).

    python -m benchmarks.stacks --rounds 3 --json build/bench/stacks.json

They run in turn, so a drift of the machine's speed hits both. Each run must end with the verdict ok. CPU is counted
from the first record sent until nothing moves: on the embedded side by process, in compose by container (the engine's
own counters), the driver by itself in both.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.commands import ROOT, CommandError, paperless, run_command
from benchmarks.containers import Sampler
from benchmarks.rounds import Spread, column, ratios

PROJECT = "paperless-bench"
COMPOSE = ("docker", "compose", "--project-name", PROJECT, "--file", str(ROOT / "docker-compose.yml"))
# Away from the ports of a demo that may be running; enough memory to verify five million applications.
SETTINGS = {"PAPERLESS_API_PORT": "18104", "PAPERLESS_MOCK_PORT": "18102", "PAPERLESS_DEMO_MEMORY": "6g"}
# The driver's container; its name ends in a drawn word.
DRIVER = "demo-run"

Result = dict[str, Any]


def embedded(arguments: list[str], folder: Path) -> Result:
    """Play the day on the embedded system."""
    result = folder / "embedded.json"
    command = paperless("demo", "--state", str(folder / "run"), "--json", str(result))
    run_command([*command, *arguments])
    found = json.loads(result.read_text("utf-8"))
    processes = {
        name: (usage["cpu_us_per_application"], usage["peak_rss_mb"])
        for name, usage in found["timing"]["processes"].items()
    }
    return _row(found, processes)


def build_image() -> None:
    """Build the image that all services run."""
    run_command([*COMPOSE, "build", "secrets"], SETTINGS)


def composed(arguments: list[str], folder: Path) -> Result:
    """Play the day in compose, from empty volumes; everything is removed afterwards."""
    folder.chmod(0o777)  # the container's user is another one
    try:
        run_command([*COMPOSE, "up", "--detach", "--wait", "scoring-api", "scoring", "intake", "vneid-mock"], SETTINGS)
        sampler = Sampler(PROJECT)
        command = ["run", "--rm", "--no-TTY", "--volume", f"{folder}:/out", "demo", "paperless", "demo"]
        run_command([*COMPOSE, *command, "--json", "/out/compose.json", *arguments], SETTINGS)
        sampler.stop()
    finally:
        run_command([*COMPOSE, "--profile", "*", "down", "--volumes", "--timeout", "40"], SETTINGS)
    found = json.loads((folder / "compose.json").read_text("utf-8"))
    timing = found["timing"]
    traffic, sent = (timing["traffic_from"], timing["traffic_to"]), timing["sending"]["sent"]
    memory = {_process(name): one for name, one in sampler.memory(*traffic).items()}
    processes: dict[str, tuple[float, float | None]] = {
        _process(name): (round(seconds / sent * 1e6, 1), memory[_process(name)].peak_mb)
        for name, seconds in sampler.cpu_between(*traffic).items()
    }
    late = {name: memory[name].late_growth_mb for name in processes}
    verifying = {name: memory[name].later_peak_mb for name in processes}
    return {**_row(found, processes), "late_memory_growth_mb": late, "verifying_peak_mb": verifying}


def _process(container: str) -> str:
    return "driver" if container.startswith(DRIVER) else container


def _row(found: Mapping[str, Any], processes: Mapping[str, tuple[float, float | None]]) -> Result:
    if found["verdict"] != "ok":
        raise CommandError(f"the verdict is not ok: {json.dumps(found, ensure_ascii=False)[:2_000]}")
    timing = found["timing"]
    # By itself: its container also counts the start and the reading of the rates.
    _, driver_memory = processes.get("driver", (0.0, None))
    driver = (timing["sending"]["cpu_us_per_application"], driver_memory)
    return {
        "applications": timing["sending"]["sent"],
        "applications_per_s": timing["applications_per_s"],
        "traffic_s": timing["traffic_s"],
        "verify_s": timing["verify_s"],
        "processes": {
            name: {"cpu_us_per_application": cpu, "peak_memory_mb": memory}
            for name, (cpu, memory) in {**processes, "driver": driver}.items()
        },
    }


def summary(runs: Mapping[str, list[Result]]) -> Result:
    """Return medians and spreads of both systems and the ratio, round by round."""
    composed_per_s, embedded_per_s = (
        column(runs, name, itemgetter("applications_per_s")) for name in ("kafka + postgresql", "embedded")
    )
    ratio = Spread.of(ratios(composed_per_s, embedded_per_s))
    return {
        "rate_ratio": {"median": ratio.median, "spread": [ratio.low, ratio.high]},
        "systems": {name: {"median": _median(found), "runs": found} for name, found in runs.items()},
    }


def _median(found: list[Result]) -> Result:
    names = sorted({name for run in found for name in run["processes"]})
    rate = Spread.of(run["applications_per_s"] for run in found)
    return {
        "applications_per_s": rate.median,
        "spread": [rate.low, rate.high],
        "cpu_us_per_application": {
            name: Spread.of(run["processes"][name]["cpu_us_per_application"] for run in found).median for name in names
        },
    }


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print both systems side by side."""
    for name, system in result["systems"].items():
        median = system["median"]
        low, high = median["spread"]
        title = f"{name}: {median['applications_per_s']:,.0f} applications/s ({low:,.0f} to {high:,.0f})"
        console.print(title)
        table = Table("process", "CPU µs per application")
        for process, cpu in median["cpu_us_per_application"].items():
            table.add_row(process, f"{cpu:.1f}")
        table.add_row("in all", f"{sum(median['cpu_us_per_application'].values()):.1f}")
        console.print(table)
    ratio = result["rate_ratio"]
    console.print(
        f"kafka + postgresql / embedded: {ratio['median']:.2f}"
        f" ({ratio['spread'][0]:.2f} to {ratio['spread'][1]:.2f}, round by round)"
    )


def main() -> None:
    """Run both systems in turn, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--applications", type=int, help="instead of the day's number")
    parser.add_argument("--json", type=Path, default=Path("build/bench/stacks.json"))
    given = parser.parse_args()
    arguments = ["--pace", "max"]
    if given.applications:
        arguments += ["--applications", str(given.applications)]
    console = Console()
    runs: dict[str, list[Result]] = {"embedded": [], "kafka + postgresql": []}
    build_image()
    for turn in range(given.rounds):
        for name, play in (("embedded", embedded), ("kafka + postgresql", composed)):
            with tempfile.TemporaryDirectory() as folder:
                runs[name].append(play(arguments, Path(folder)))
            console.print(f"round {turn + 1}, {name}: {runs[name][-1]['applications_per_s']:,.0f} applications/s")
    result = summary(runs)
    show(result, console)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(result, indent=2), "utf-8")


if __name__ == "__main__":
    main()
