"""Gates: counts that do not depend on the machine, compared with a kept baseline; one that grew fails the check.

    python -m benchmarks check
    python -m benchmarks check --renew

Two kinds are counted, each per 1,000 applications of a fixed day, plan and seed. What the flow asks of broker and store
(on a broker in memory and a virtual clock, so the same code makes the same requests), and how many functions, and how
many bytecode instructions, each part of the flow runs. The latter belong to one version of Python and of the libraries:
on others they are reported and not gated.
"""

import argparse
import json
import logging
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.table import Table

from benchmarks.gates_flow import flow_counts
from benchmarks.meters import BytecodeMeter, CallMeter
from benchmarks.played import play
from benchmarks.stages import Stage, stages_of
from benchmarks.stages_whole import whole_stages

BASELINES: Final = Path(__file__).with_name("baselines.json")
PLAN, SEED = "mild", 1
FLOW_APPLICATIONS = 20_000
PARTS_APPLICATIONS = 1_000
# Above both a share and a few events of the run: a request more or less is no trend.
TOLERANCE, EVENTS = 0.02, 2
# Their own code is counted with ours.
LIBRARIES = ("aiokafka", "faststream", "orjson", "prometheus-client", "pydantic", "pydantic-core", "tenacity")
# Counts of what the interpreter runs, which are comparable within one version only.
INTERPRETED = ("calls.", "bytecodes.")
# Work may move from one piece of a whole to another: they tell where it went, and only the whole is gated.
PIECES = "piece."
EXIT_UNUSABLE = 2

Verdict = Literal["grew", "less", "same", "new", "not gated"]
Counts = dict[str, float]


class Baseline(BaseModel):
    """Kept counts, and what they were counted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    applications: int
    plan: str
    seed: int
    python: str
    libraries: dict[str, str]
    counts: Counts

    def comparable(self, other: "Baseline") -> bool:
        """Whether counts of what the interpreter runs can be compared."""
        return self.python == other.python and self.libraries == other.libraries


class Row(NamedTuple):
    """One count against its baseline; None where there is none."""

    name: str
    old: float | None
    new: float | None
    verdict: Verdict


def part_counts(stages: Sequence[Stage], applications: int) -> Counts:
    """Return function calls and bytecode instructions of each stage per 1,000 applications."""
    counts: Counts = {}
    for stage in stages:
        # Caches are warm in a service.
        stage.run(CallMeter())
        calls, bytecodes = CallMeter(), BytecodeMeter()
        stage.run(calls)
        stage.run(bytecodes)
        kind = "piece." if stage.piece else ""
        counts[f"{kind}calls.{stage.name}"] = calls.count / applications * 1000
        counts[f"{kind}bytecodes.{stage.name}"] = bytecodes.count / applications * 1000
    return counts


def measure() -> Baseline:
    """Count everything; about a minute."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder:
        played = play(PARTS_APPLICATIONS, plan=PLAN, seed=SEED)
        stages = [*stages_of(played, Path(folder)), *whole_stages(played, Path(folder))]
        counts = part_counts(stages, PARTS_APPLICATIONS)
    counts = flow_counts(FLOW_APPLICATIONS, plan=PLAN, seed=SEED) | counts
    return Baseline(
        applications=FLOW_APPLICATIONS,
        plan=PLAN,
        seed=SEED,
        python=".".join(platform.python_version_tuple()[:2]),
        libraries={name: version(name) for name in LIBRARIES},
        counts={name: round(count, 3) for name, count in counts.items()},
    )


def compare(kept: Baseline, found: Baseline) -> list[Row]:
    """Return every count against its baseline, in the order in which they were counted."""
    slack = EVENTS / kept.applications * 1000
    comparable = kept.comparable(found)
    rows = []
    for name in dict.fromkeys([*found.counts, *kept.counts]):
        old, new = kept.counts.get(name), found.counts.get(name)
        gated = not name.startswith(PIECES) and (comparable or not name.startswith(INTERPRETED))
        rows.append(Row(name, old, new, _verdict(name, old, new, slack) if gated else "not gated"))
    return rows


def _verdict(name: str, old: float | None, new: float | None, slack: float) -> Verdict:
    if old is None and name.startswith(INTERPRETED):
        # A part that is measured now; its work was there before.
        return "new"
    # Requests, statements and topics that were not there before are more work; those that are gone are less.
    before, now = old or 0.0, new or 0.0
    if now > before * (1 + TOLERANCE) + slack:
        return "grew"
    return "less" if now < before * (1 - TOLERANCE) - slack else "same"


def check(arguments: Sequence[str], measured: Callable[[], Baseline] = measure) -> int:
    """Count, compare, print; return 0, 1 when a count grew, or 2 when there is nothing to compare with."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--renew", action="store_true", help="keep what is counted now as the baseline")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all counts and verdicts")
    parser.add_argument("--baselines", type=Path, default=BASELINES, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    if given.renew:
        _write(given.baselines, measured().model_dump())
        console.print(f"kept in {given.baselines.name}; say in the commit why counts changed")
        return 0
    try:
        kept = Baseline.model_validate_json(given.baselines.read_bytes())
    except (OSError, ValidationError) as error:
        console.print(f"{given.baselines}: no baseline ({type(error).__name__}); make one with --renew")
        return EXIT_UNUSABLE
    found = measured()
    rows = compare(kept, found)
    if given.json:
        _write(given.json, {**found.model_dump(), "rows": [row._asdict() for row in rows]})
    _show(console, rows)
    return _conclusion(console, kept, found, rows)


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _conclusion(console: Console, kept: Baseline, found: Baseline, rows: Sequence[Row]) -> int:
    if not kept.comparable(found):
        console.print(
            "calls and bytecodes are reported and not gated: the baseline was counted on Python"
            f" {kept.python} with {kept.libraries}, this is Python {found.python} with {found.libraries}"
        )
    grown, less = ([row for row in rows if row.verdict == verdict] for verdict in ("grew", "less"))
    if less:
        console.print(f"{len(less)} counts improved; keep them with --renew")
    if grown:
        console.print(f"{len(grown)} counts grew, per 1,000 applications (bytes: per record):")
        _show(console, grown)
        console.print("make them small again, or keep them with --renew and say why in the commit")
        return 1
    console.print(f"ok: none of {len(rows)} counts grew")
    return 0


def _show(console: Console, rows: Sequence[Row]) -> None:
    table = Table("count", "baseline", "now", "change", "", title="per 1,000 applications; bytes per record")
    table.columns[0].no_wrap = True
    for column in table.columns[1:4]:
        column.justify = "right"
    for name, old, new, verdict in rows:
        change = f"{new / old - 1:+.1%}" if old and new is not None else ""
        mark = {"grew": "[bold red]grew[/]", "less": "[green]less[/]", "same": ""}.get(verdict, verdict)
        table.add_row(name, _text(old), _text(new), change, mark)
    console.print(table)


def _text(count: float | None) -> str:
    return "–" if count is None else f"{count:,.1f}"


if __name__ == "__main__":
    sys.exit(check(sys.argv[1:]))
