"""What each part of the flow costs by itself: CPU µs per record, in one process, without broker and network.

    python -m benchmarks.parts --applications 20000 --rounds 5 --json build/bench/parts.json
    python -m benchmarks.parts --profile intake1.take

The stages run in turn, round by round, so a drift of the machine's speed hits them all; the first round is left out.
Stages marked `■` add up to the flow; pieces (`·`) are contained in them, but for `*.parse`, which is the client's own
decoding of a batch: `*.batches` is a whole service, its kernel and store included, without the network client.
"""

import argparse
import cProfile
import json
import logging
import pstats
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.meters import BytecodeMeter, CpuMeter
from benchmarks.played import play
from benchmarks.rounds import Spread
from benchmarks.stages import Stage, stages_of
from benchmarks.stages_whole import whole_stages
from paperless.traffic.manifest import versions
from runtime.garbage_collector import tune_garbage_collector


def measure(stages: Sequence[Stage], rounds: int) -> dict[str, list[float]]:
    """Return the CPU µs per record of each stage, by round."""
    found: dict[str, list[float]] = {stage.name: [] for stage in stages}
    for turn in range(rounds + 1):
        for stage in stages:
            meter = CpuMeter()
            stage.run(meter)
            if turn:
                found[stage.name].append(meter.ns / stage.records / 1000)
    return found


def summary(stages: Sequence[Stage], found: dict[str, list[float]], applications: int) -> dict[str, Any]:
    """Return median and spread per record, and the median per application."""
    rows = {}
    for stage in stages:
        cost = Spread.of(found[stage.name])
        rows[stage.name] = {
            "records": stage.records,
            "piece": stage.piece,
            "us_per_record": round(cost.median, 3),
            "spread": [round(cost.low, 3), round(cost.high, 3)],
            "us_per_application": round(cost.median * stage.records / applications, 3),
        }
    return rows


def show(parts: dict[str, Any]) -> None:
    """Print the table."""
    table = Table("part", "records", "µs/record", "spread", "µs/application")
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    before = ""
    for name, row in parts.items():
        process = name.partition(".")[0]
        if before not in {"", process}:
            table.add_section()
        before = process
        low, high = row["spread"]
        table.add_row(
            f"{'·' if row['piece'] else '■'} {name}",
            f"{row['records']:,}",
            f"{row['us_per_record']:.2f}",
            f"{low:.2f} … {high:.2f}",
            f"{row['us_per_application']:.2f}",
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def profile(stage: Stage) -> None:
    """Print where one stage spends its own time and its instructions, after a run that warms the caches."""
    stage.run(CpuMeter())
    profiler = cProfile.Profile()
    stage.run(profiler)
    print(f"{stage.name}: {stage.records:,} records")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(30)
    bytecodes = BytecodeMeter()
    stage.run(bytecodes)
    print(f"{bytecodes.count / stage.records:8.1f}  bytecode instructions per record, of these:")
    for code, count in bytecodes.by_code.most_common(30):
        print(f"{count / stage.records:8.1f}  {Path(code.co_filename).name}:{code.co_firstlineno}({code.co_name})")


def main() -> None:
    """Play a day, then measure or profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--applications", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plan", default="mild")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", metavar="STAGE", help="profile this stage (or all whose name begins so)")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        played = play(given.applications, plan=given.plan)
        stages = [*stages_of(played, Path(folder)), *whole_stages(played, Path(folder))]
        tune_garbage_collector()
        if given.profile:
            chosen = [stage for stage in stages if stage.name.startswith(given.profile)]
            if not chosen:
                parser.error(f"no stage {given.profile}; there are {', '.join(stage.name for stage in stages)}")
            for stage in chosen:
                profile(stage)
            return
        parts = summary(stages, measure(stages, given.rounds), given.applications)
    show(parts)
    if given.json:
        head = {"applications": given.applications, "plan": given.plan, "rounds": given.rounds}
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({**head, "versions": versions(), "parts": parts}, indent=2) + "\n")


if __name__ == "__main__":
    main()
