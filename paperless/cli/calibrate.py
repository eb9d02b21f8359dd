"""`paperless calibrate`: assumed values fitted to the published figures, inside their ranges."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from domain import load_domain
from paperless.cli.output import make_console
from paperless.fidelity.accepted_draws import to_toml
from paperless.fidelity.calibration import Draw, Problem, accepted
from services.vneid_mock.plan_files import load_plan


def calibrate(
    out: Annotated[Path, typer.Option(help="File that gets the accepted draws (TOML).")] = Path(
        "build/accepted_draws.toml"
    ),
    draws: Annotated[int, typer.Option(help="How many accepted draws.", min=1, max=10_000)] = 200,
    seed: Annotated[int, typer.Option(help="Names every step of the walk.", min=0)] = 1,
    plan: Annotated[str, typer.Option(help="Fault plan that the rates are expected under.")] = "mild",
) -> None:
    """Fit assumed values (mark C) inside their ranges to the figures marked `fit`; what has evidence never changes.

    Writes a set of draws that all come to the fitted figures, the one nearest to what was first assumed in front: a run
    uses what stands in domain/data/parameters.csv, so copy its values there to use them. Some four minutes.

    Example: `paperless calibrate --out domain/data/accepted_draws.toml`
    """
    problem = Problem(load_domain(), load_plan(plan))
    out.parent.mkdir(parents=True, exist_ok=True)
    with Progress(console=make_console(stderr=True), transient=True) as bar:
        task = bar.add_task("accepted draws", total=draws)
        found = list(accepted(problem, draws, seed, lambda done: bar.update(task, completed=done)))
    command = f"paperless calibrate --draws {draws} --seed {seed} --plan {plan}"
    out.write_text(to_toml(problem.free, found, seed=seed, command=command), encoding="utf-8")
    console = make_console()
    console.print(draws_table(problem, found))
    console.print(f"{len(found)} accepted draws: {out}")


def draws_table(problem: Problem, found: Sequence[Draw]) -> Table:
    """Return the free parameters: range, what was first assumed, the draw nearest to it, and 5-95 % of all draws."""
    table = Table("parameter", title="Assumed values that come to the fitted figures", title_justify="left")
    for name in ("range", "first assumed", "nearest", "5-95 %"):
        table.add_column(name, justify="right")
    for place, name in enumerate(problem.free):
        low, high = problem.ranges[place]
        values = sorted(draw.values[place] for draw in found)
        inner = f"{_quantile(values, 0.05):.3f}-{_quantile(values, 0.95):.3f}"
        table.add_row(name, f"{low:g}-{high:g}", f"{problem.prior[place]:g}", f"{found[0].values[place]:g}", inner)
    return table


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
