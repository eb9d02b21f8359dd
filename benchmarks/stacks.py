"""The same day on both systems: embedded (Tansu, SQLite, processes) and compose (Apache Kafka, PostgreSQL, containers).

They run in turn, so a drift of the machine's speed hits both. Each run must end with the verdict ok. CPU is counted
from the first record sent until nothing moves: on the embedded side by process, in compose by container (the engine's
own counters), the driver by itself in both.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.commands import ROOT, CommandError, paperless, result_of, run_command
from benchmarks.containers import Sampler
from benchmarks.systems import SystemRun, summary, table_of
from paperless.cli.output import make_console, write_json

EMBEDDED, COMPOSED = "embedded", "kafka + postgresql"
PROJECT = "paperless-bench"
COMPOSE = ("docker", "compose", "--project-name", PROJECT, "--file", str(ROOT / "docker-compose.yml"))
# Away from the ports of a demo that may be running; enough memory to verify five million applications.
SETTINGS = {
    "PAPERLESS_PORTAL_PORT": "18100",
    "PAPERLESS_API_PORT": "18104",
    "PAPERLESS_MOCK_PORT": "18102",
    "PAPERLESS_KAFKA_PORT": "19092",
    "PAPERLESS_DEMO_MEMORY": "6g",
}
# The driver's container; its name ends in a drawn word.
DRIVER = "demo-run"

Result = dict[str, Any]


def embedded(arguments: list[str], folder: Path) -> Result:
    """Play the day on the embedded system."""
    file = folder / "embedded.json"
    run_command([*paperless("demo", "--state", str(folder / "run"), "--json", str(file)), *arguments])
    verdict = result_of(file)
    processes = {
        name: (usage["cpu_us_per_application"], usage["peak_rss_mb"])
        for name, usage in verdict["timing"]["processes"].items()
    }
    return _row(verdict, processes)


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
    verdict = result_of(folder / "compose.json")
    timing = verdict["timing"]
    traffic, sent = (timing["traffic_from"], timing["traffic_to"]), timing["sending"]["sent"]
    memory = {_process(name): usage for name, usage in sampler.memory(*traffic).items()}
    processes: dict[str, tuple[float, float | None]] = {
        _process(name): (round(seconds / sent * 1e6, 1), memory[_process(name)].peak_mb)
        for name, seconds in sampler.cpu_between(*traffic).items()
    }
    late = {name: memory[name].late_growth_mb for name in processes}
    verifying = {name: memory[name].later_peak_mb for name in processes}
    return {**_row(verdict, processes), "late_memory_growth_mb": late, "verifying_peak_mb": verifying}


def _process(container: str) -> str:
    return "driver" if container.startswith(DRIVER) else container


def _row(verdict: Mapping[str, Any], processes: Mapping[str, tuple[float, float | None]]) -> Result:
    if verdict["verdict"] != "ok":
        raise CommandError(f"the verdict is not ok: {str(verdict)[:2_000]}")
    timing = verdict["timing"]
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


def command(
    *,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    applications: Annotated[int | None, typer.Option(help="Instead of the day's number.", min=1)] = None,
    json: Annotated[Path, typer.Option(help="The file for results.")] = Path("build/bench/stacks.json"),
) -> None:
    """Play the same day on both systems in turn: embedded, and Kafka with PostgreSQL in compose.

    Example: `python -m benchmarks stacks --rounds 1`
    """
    arguments = ["--pace", "max", *(["--applications", str(applications)] if applications else [])]
    console = make_console()
    results: dict[str, list[Result]] = {EMBEDDED: [], COMPOSED: []}
    build_image()
    for turn in range(rounds):
        for name, play in ((EMBEDDED, embedded), (COMPOSED, composed)):
            with tempfile.TemporaryDirectory() as folder:
                results[name].append(play(arguments, Path(folder)))
            console.print(f"round {turn + 1}, {name}: {results[name][-1]['applications_per_s']:,.0f} applications/s")
    compared = summary({name: list(map(_run, rows)) for name, rows in results.items()}, {COMPOSED: EMBEDDED})
    console.print(table_of(compared))
    write_json(json, {"systems": compared, "runs": results})


def _run(result: Result) -> SystemRun:
    return SystemRun(
        result["applications_per_s"],
        {name: process["cpu_us_per_application"] for name, process in result["processes"].items()},
    )
