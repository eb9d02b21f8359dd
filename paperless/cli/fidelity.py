"""`paperless fidelity`: the simulated figures beside the published ones."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from multiprocessing import get_context
from typing import Annotated, NamedTuple

import typer
from rich.progress import Progress
from rich.table import Table

from domain import load_domain
from paperless.cli.options import Json
from paperless.cli.output import clear_json, make_console, write_json
from paperless.cli.trajectory import show_trajectory
from paperless.fidelity.accepted_draws import read_accepted_draws
from paperless.fidelity.figures import Figure, figures_of
from paperless.fidelity.tally import Tallies, oracle_for, tallies_of
from paperless.population.scenario import DEFAULT_SCENARIO, load_scenario, simulated_days
from services.vneid_mock.plan_files import load_plan

_SIGNS = {"eq": "", "approx": "~", "gt": ">", "lt": "<"}


class SampledDay(NamedTuple):
    """One day to simulate: small, because it travels to a process of its own."""

    day: date
    seed: int
    applications: int
    plan: str


def fidelity(
    seeds: Annotated[int, typer.Option(help="How many seeds, from 1 on.", min=1, max=100)] = 3,
    applications: Annotated[int, typer.Option(help="Applications of each sampled day.", min=1_000)] = 50_000,
    plan: Annotated[
        str, typer.Option(help="Fault plan of the VNeID mock: calm, mild, rough, or a TOML file.")
    ] = "mild",
    trajectory: Annotated[
        bool, typer.Option("--trajectory", help="The months from June 2025 to January 2026 instead, by expected rates.")
    ] = False,
    json: Json = None,
) -> None:
    """Hold the simulation against every comparable published figure: error, spread over the seeds, fitted or held out.

    Decides sampled days without a broker, as `verify` does; about a minute on two cores. --trajectory takes seconds:
    the days of scenario trajectory, beside the figures published of their months, with what each reform does.

    Example: `paperless fidelity --json build/fidelity.json`

    Example: `paperless fidelity --trajectory --json build/trajectory.json`
    """
    load_plan(plan)
    clear_json(json)
    if trajectory:
        show_trajectory(plan, json)
        return
    days = sorted({target.day for target in load_domain().targets})
    jobs = [SampledDay(day, seed, applications, plan) for day in days for seed in range(1, seeds + 1)]
    figures = figures_of(load_domain(), _simulated(jobs), read_accepted_draws().draws)
    console = make_console()
    console.print(figures_table(figures))
    fitted = [figure for figure in figures if figure.role == "fit"]
    console.print(f"within tolerance: {_within(fitted)} fitted, {_within(figures)} of all")
    write_json(
        json, {"applications_per_day": applications, "seeds": seeds, "figures": [asdict(each) for each in figures]}
    )


def _within(figures: Sequence[Figure]) -> str:
    return f"{sum(figure.within for figure in figures)} of {len(figures)}"


def _simulated(jobs: Sequence[SampledDay]) -> Mapping[date, Sequence[Tallies]]:
    """Decide the days in processes of their own, one per core, and tell how far it is."""
    runs: dict[date, list[Tallies]] = {}
    with ProcessPoolExecutor(min(len(jobs), os.cpu_count() or 1), get_context("spawn")) as pool, _telling(jobs) as tell:
        pending = {pool.submit(simulate, job): job for job in jobs}
        for done in as_completed(pending):
            runs.setdefault(pending[done].day, []).append(done.result())
            tell(pending[done])
    return runs


def simulate(job: SampledDay) -> Tallies:
    """Return the tallies of a sampled day: one of the default scenario, on its own date."""
    domain, plan = load_domain(), load_plan(job.plan)
    scenario = load_scenario(DEFAULT_SCENARIO, domain).model_copy(update={"days": (job.day,)})
    (day,) = simulated_days(scenario, domain, seed=job.seed, applications=job.applications)
    return tallies_of(day, oracle_for(domain, plan, job.seed))


@contextmanager
def _telling(jobs: Sequence[SampledDay]) -> Iterator[Callable[[SampledDay], None]]:
    """Show each day that is done: on a terminal as a bar, elsewhere as a line."""
    console = make_console(stderr=True)
    if not console.is_terminal:
        yield lambda job: console.print(f"decided {job.applications:,} applications of {job.day}, seed {job.seed}")
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("simulated days", total=len(jobs))
        yield lambda _: bar.advance(task)


def figures_table(figures: Sequence[Figure]) -> Table:
    """Return the figures as a table; what is outside its tolerance stands out."""
    table = Table(title="Simulated beside published, in %", title_justify="left")
    for name in ("figure", "scope", "period"):
        table.add_column(name, overflow="fold")
    for name in ("published", "simulated", "seeds", "draws", "error", "role"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures:
        table.add_row(
            figure.figure,
            figure.scope,
            figure.period,
            f"{_SIGNS[figure.comparison]}{100 * figure.published:.2f} {figure.evidence}",
            f"{100 * figure.simulated:.2f}",
            f"{100 * figure.low:.1f}-{100 * figure.high:.1f}",
            "" if figure.draws_low is None else f"{100 * figure.draws_low:.0f}-{100 * (figure.draws_high or 0):.0f}",
            f"{figure.error_points:+.2f}",
            figure.role,
            style=None if figure.within else "yellow",
        )
    return table
