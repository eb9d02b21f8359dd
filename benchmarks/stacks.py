"""The same day on both systems: embedded (Tansu, SQLite, processes) and compose (Apache Kafka, PostgreSQL, containers).

    python -m benchmarks.stacks --rounds 3 --json build/bench/stacks.json

They run in turn, so a drift of the machine's speed hits both. Each run must end with the verdict ok. CPU is counted
from the first record sent until nothing moves: on the embedded side by process, in compose by container (the engine's
own counters), the driver by itself in both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "paperless-bench"
COMPOSE = ("docker", "compose", "--project-name", PROJECT, "--file", str(ROOT / "docker-compose.yml"))
# Away from the ports of a demo that may be running.
PORTS = {"PAPERLESS_API_PORT": "18104", "PAPERLESS_MOCK_PORT": "18102"}
SAMPLE_S = 0.1
MIB = 1024 * 1024

Result = dict[str, Any]


class CpuSampler:
    """Reads CPU seconds and memory of the project's containers about once a second, each in a thread of its own."""

    def __init__(self) -> None:
        self.samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.peak_bytes: dict[str, int] = defaultdict(int)
        self._done = threading.Event()
        found = docker.from_env().containers.list(filters={"label": f"com.docker.compose.project={PROJECT}"})
        self._threads = [threading.Thread(target=self._watch, args=(one,), daemon=True) for one in found]
        for thread in self._threads:
            thread.start()

    def _watch(self, container: Container) -> None:
        name = str(container.name).removeprefix(f"{PROJECT}-")
        engine = docker.from_env()
        while not self._done.wait(SAMPLE_S):
            # The engine reads its counters once a second, and answers then.
            stats = engine.api.stats(str(container.id), stream=False, one_shot=True)
            used = stats["cpu_stats"]["cpu_usage"]["total_usage"]
            self.samples[name].append((time.time(), used / 1e9))
            self.peak_bytes[name] = max(self.peak_bytes[name], _working_set(stats["memory_stats"]))

    def stop(self) -> None:
        """Stop reading."""
        self._done.set()
        for thread in self._threads:
            thread.join()

    def between(self, begin: float, end: float) -> dict[str, float]:
        """Return each container's CPU seconds between two wall times."""
        return {name: _at(rows, end) - _at(rows, begin) for name, rows in self.samples.items()}


def _working_set(memory: Mapping[str, Any]) -> int:
    """Return the memory in use without the page cache that could be dropped."""
    return int(memory.get("usage", 0)) - int(memory.get("stats", {}).get("inactive_file", 0))


def _at(rows: list[tuple[float, float]], moment: float) -> float:
    """Return the CPU seconds at a moment, interpolated between the samples around it."""
    after = min(max(bisect(rows, (moment,)), 1), len(rows) - 1)
    (begin, used), (end, more) = rows[after - 1], rows[after]
    share = min(max((moment - begin) / (end - begin), 0.0), 1.0)
    return used + share * (more - used)


def embedded(arguments: list[str], folder: Path) -> Result:
    """Play the day on the embedded system."""
    result = folder / "embedded.json"
    command = [
        str(Path(sys.executable).with_name("paperless")),
        "demo",
        "--state",
        str(folder / "run"),
        "--json",
        str(result),
    ]
    _run([*command, *arguments], {})
    found = json.loads(result.read_text("utf-8"))
    processes = {
        name: (usage["cpu_us_per_application"], usage["peak_rss_mb"])
        for name, usage in found["timing"]["processes"].items()
    }
    return _row(found, processes)


def composed(arguments: list[str], folder: Path) -> Result:
    """Play the day in compose, from empty volumes; everything is removed afterwards."""
    folder.chmod(0o777)  # the container's user is another one
    try:
        _run([*COMPOSE, "up", "--detach", "--wait", "scoring-api", "scoring", "intake", "vneid-mock"], PORTS)
        sampler = CpuSampler()
        command = ["run", "--rm", "--no-TTY", "--volume", f"{folder}:/out", "demo", "paperless", "demo"]
        _run([*COMPOSE, *command, "--json", "/out/compose.json", *arguments], PORTS)
        sampler.stop()
    finally:
        _run([*COMPOSE, "--profile", "*", "down", "--volumes", "--timeout", "40"], PORTS)
    found = json.loads((folder / "compose.json").read_text("utf-8"))
    timing = found["timing"]
    used = sampler.between(timing["traffic_from"], timing["traffic_to"])
    sent = timing["sending"]["sent"]
    processes: dict[str, tuple[float, float | None]] = {
        name: (round(seconds / sent * 1e6, 1), round(sampler.peak_bytes[name] / MIB, 1))
        for name, seconds in used.items()
    }
    return _row(found, processes)


def _row(found: Mapping[str, Any], processes: Mapping[str, tuple[float, float | None]]) -> Result:
    if found["verdict"] != "ok":
        raise SystemExit(f"the verdict is not ok: {json.dumps(found, ensure_ascii=False)[:2_000]}")
    timing = found["timing"]
    driver = (timing["sending"]["cpu_us_per_application"], None)
    return {
        "applications": timing["sending"]["sent"],
        "applications_per_s": timing["applications_per_s"],
        "traffic_s": timing["traffic_s"],
        "verify_s": timing["verify_s"],
        "processes": {
            name: {"cpu_us_per_application": cpu, "peak_memory_mb": memory}
            for name, (cpu, memory) in {"driver": driver, **processes}.items()
        },
    }


def _run(command: list[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(  # noqa: S603  our own commands
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")


def summary(runs: Mapping[str, list[Result]]) -> Result:
    """Return medians and spreads of both systems and the ratio, round by round."""
    ratios = [
        one["applications_per_s"] / other["applications_per_s"]
        for one, other in zip(runs["kafka + postgresql"], runs["embedded"], strict=True)
    ]
    return {
        "rate_ratio": {"median": statistics.median(ratios), "spread": [min(ratios), max(ratios)]},
        "systems": {name: {"median": _median(found), "runs": found} for name, found in runs.items()},
    }


def _median(found: list[Result]) -> Result:
    names = sorted({name for run in found for name in run["processes"]})
    rates = [run["applications_per_s"] for run in found]
    return {
        "applications_per_s": statistics.median(rates),
        "spread": [min(rates), max(rates)],
        "cpu_us_per_application": {
            name: statistics.median(run["processes"][name]["cpu_us_per_application"] for run in found) for name in names
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
    _run([*COMPOSE, "build", "secrets"], PORTS)
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
