"""The kept counts of `benchmarks.counts`, in baselines.json, and what has grown since.

`tests/component/test_wire_counts.py` fails when one grew; `python -m benchmarks check` is the same by hand.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console
from rich.table import Table

from benchmarks.counts import flow_counts
from benchmarks.workload import PLAN, SEED

BASELINE: Final = Path(__file__).with_name("baselines.json")
APPLICATIONS = 20_000
# Above both a share and a few events of the run: a request more or less is no trend.
TOLERANCE, EVENTS = 0.02, 2
EXIT_UNUSABLE = 2


class Baseline(BaseModel):
    """Counts per 1,000 applications (bytes per record), and the run that they are of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    applications: int
    plan: str
    seed: int
    counts: dict[str, float]


class Change(NamedTuple):
    """One count then and now; None where there is none."""

    name: str
    before: float | None
    now: float | None
    verdict: Literal["grew", "less", "same"]


def measure() -> Baseline:
    """Count everything; about ten seconds."""
    counts = {name: round(count, 3) for name, count in flow_counts(APPLICATIONS, plan=PLAN, seed=SEED).items()}
    return Baseline(applications=APPLICATIONS, plan=PLAN, seed=SEED, counts=counts)


def compare(kept: Baseline, measured: Baseline) -> list[Change]:
    """Return every count against its baseline, in the order in which they were counted."""
    slack = EVENTS / kept.applications * 1000
    changes = []
    for name in dict.fromkeys([*measured.counts, *kept.counts]):
        before, now = kept.counts.get(name), measured.counts.get(name)
        changes.append(Change(name, before, now, _verdict(before, now, slack)))
    return changes


def _verdict(before: float | None, now: float | None, slack: float) -> Literal["grew", "less", "same"]:
    # Requests, statements and topics that were not there before are more work; those that are gone are less.
    old, new = before or 0.0, now or 0.0
    if new > old * (1 + TOLERANCE) + slack:
        return "grew"
    return "less" if new < old * (1 - TOLERANCE) - slack else "same"


def with_verdict(changes: Iterable[Change], verdict: str) -> list[Change]:
    """Return the changes that have this verdict."""
    return [change for change in changes if change.verdict == verdict]


def check(console: Console, *, renew: bool, path: Path = BASELINE, count: Callable[[], Baseline] = measure) -> int:
    """Count, compare, print; return 0, 1 when a count grew, or 2 when there is nothing to compare with."""
    if renew:
        path.write_text(json.dumps(count().model_dump(), indent=2) + "\n", encoding="utf-8")
        console.print(f"kept in {path.name}; say in the commit why counts changed")
        return 0
    try:
        kept = Baseline.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        console.print(f"{path}: no baseline ({type(error).__name__}); make one with --renew")
        return EXIT_UNUSABLE
    changes = compare(kept, count())
    console.print(table_of(changes))
    if less := with_verdict(changes, "less"):
        console.print(f"{len(less)} counts improved; keep them with --renew")
    if grown := with_verdict(changes, "grew"):
        console.print(f"{len(grown)} counts grew, per 1,000 applications (bytes: per record):")
        console.print(table_of(grown))
        console.print("make them small again, or keep them with --renew and say why in the commit")
        return 1
    console.print(f"ok: none of {len(changes)} counts grew")
    return 0


def table_of(changes: Sequence[Change]) -> Table:
    """Return counts beside their baselines."""
    table = Table("count", "baseline", "now", "change", "", title="per 1,000 applications; bytes per record")
    table.columns[0].no_wrap = True
    for column in table.columns[1:4]:
        column.justify = "right"
    for name, before, now, verdict in changes:
        change = f"{now / before - 1:+.1%}" if before and now is not None else ""
        mark = {"grew": "[bold red]grew[/]", "less": "[green]less[/]", "same": ""}[verdict]
        table.add_row(name, _text(before), _text(now), change, mark)
    return table


def _text(count: float | None) -> str:
    return "–" if count is None else f"{count:,.1f}"
