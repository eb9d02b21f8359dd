"""A running system, plan `calm`: its start, its latency at a steady rate and when idle, and the rate that it sustains.

`paperless load` measures from the intended moment; this starts and stops the system around it.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.commands import CommandError, paperless, run_command
from paperless.local.system import attach
from paperless.traffic.load.result import Measured, read_result

PLAN = "calm"
# After the start: group joins, first fetches, imports.
SETTLE_S = 5.0


@contextmanager
def running_system(folder: Path) -> Iterator[Path]:
    """Run an embedded system with plan `calm`; yields its state directory."""
    state = folder / "run"
    run_command(paperless("up", "--state", str(state), "--plan", PLAN), within_s=120)
    try:
        yield state
    finally:
        run_command(paperless("down", "--state", str(state)), within_s=120)


def load_arguments(rate: float, seconds: float, *more: str) -> list[str]:
    """Return the options of one run of `paperless load`; the first seconds are left out of the figures."""
    return ["load", "--rate", f"{rate:g}", "--seconds", f"{seconds:g}", "--warm-up", "5", *more]


def load(state: Path, arguments: Sequence[str], json: Path) -> Measured:
    """Load a running system.

    Raises:
        CommandError: it failed, or an application was lost.

    """
    run_command(paperless(*arguments, "--state", str(state), "--json", str(json)), within_s=600)
    measured = read_result(json).measured
    if measured is None or measured.counts.missing:
        raise CommandError(f"paperless {' '.join(arguments)}: not all applications were stored; see {json}")
    return measured


def measure(arguments: Sequence[str], rounds: int, tell: Callable[[str], None] = print) -> list[Measured]:
    """Load a system several times in a row."""
    rounds_measured = []
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder)) as state:
        time.sleep(SETTLE_S)
        for turn in range(rounds):
            rounds_measured.append(load(state, arguments, Path(folder) / f"{turn}.json"))
            percentiles = rounds_measured[-1].to_stored.percentiles
            p50, p99, p999 = (percentiles[name] for name in ("50", "99", "99.9"))
            tell(f"round {turn + 1}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms")
    return rounds_measured


def start_s() -> float:
    """Return the seconds from the command that starts an installed system until all of it is ready."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with running_system(Path(folder)):
            return time.monotonic() - began


def sustained_per_s() -> float:
    """Return the highest rate that `paperless load --max` finds: the backlog is flat, and p99 below a second.

    Raises:
        CommandError: it failed, or no rate is sustained.

    """
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder)) as state:
        time.sleep(SETTLE_S)
        file = Path(folder) / "max.json"
        run_command(paperless("load", "--max", "--state", str(state), "--json", str(file)), within_s=900)
        return max(step.rate for step in read_result(file).steps if step.sustained)


def idle_cpu_percent(seconds: float) -> dict[str, float]:
    """Return how much of one core each process of a system takes that has nothing to do."""
    with tempfile.TemporaryDirectory() as folder, running_system(Path(folder)) as state:
        time.sleep(SETTLE_S)
        processes = {name: psutil.Process(entry.pid) for name, entry in attach(state).state.processes.items()}
        before = {name: _cpu_s(process) for name, process in processes.items()}
        time.sleep(seconds)
        used = {name: _cpu_s(process) - before[name] for name, process in processes.items()}
        return {name: round(cpu_s / seconds * 100, 2) for name, cpu_s in used.items()}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
