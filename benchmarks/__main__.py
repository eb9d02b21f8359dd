"""`python -m benchmarks`: `run` for figures beside goals, `check` for counts, the others for one question each."""

import logging
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.table import Table

from benchmarks import baseline, embedded_fetch, growth, scale, stacks, stages
from benchmarks.commands import CommandError
from benchmarks.errors import VariantError
from benchmarks.goals import GOALS
from benchmarks.results import DEFAULT, QUICK, Figure, ResultFileError, Run, load, merged, save
from benchmarks.suite import SUITE, Benchmark, Options, chosen
from paperless.cli.output import make_console
from runtime import command_line

# What a measurement may end with; anything else is our own bug and shows its traceback.
EXPECTED = (CommandError, VariantError, OSError)

app = typer.Typer(
    name="benchmarks",
    help="Ceilings, peers, the whole flow and its latencies; `check` holds counts against their baselines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.command()
def run(
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...", help="What to measure; see --list.")] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of the short ones; long ones take up to three.", min=1)] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the records: only to see that it runs.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also containers, and runs of a million.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Say what there is, measure nothing.")] = False,
    json: Annotated[
        Path | None,
        typer.Option("--json", help=f"The file of figures; those measured are renewed. By default {DEFAULT}."),
    ] = None,
) -> None:
    """Measure, print figures beside their goals, and renew them in the file.

    Without keys: all but the runs of a million applications and more, in some 20 minutes. Exit 0 when everything was
    measured, whether goals are met or not; 1 when something could not be measured.

    Example: `python -m benchmarks run hop_vs_aiokafka hop_vs_confluent --rounds 7`

    Example: `python -m benchmarks run flow_kafka_postgres_per_s --json build/bench/kafka.json`
    """
    console = make_console()
    # What a quick run saw must not stand among figures.
    path = json or (QUICK if quick else DEFAULT)
    try:
        wanted = chosen(keys or (), everything=everything)
        load(path)
    except (ValueError, ResultFileError) as error:
        raise typer.BadParameter(str(error)) from error
    if listed:
        console.print(_catalogue())
        return
    options = Options(rounds=rounds, quick=quick, tell=lambda text: console.print(text, markup=False))
    complete = measure(wanted, options, path)
    console.print(table_of(load(path), [key for _, some in wanted for key in some]))
    console.print(f"the same as JSON: {path}")
    raise typer.Exit(0 if complete else 1)


def measure(wanted: Sequence[tuple[Benchmark, Sequence[str]]], options: Options, json: Path) -> bool:
    """Measure some keys, renew them in the file, and tell whether none is missing."""
    complete = [_measure(benchmark, keys, options, json) for benchmark, keys in wanted]
    return all(complete)


def _measure(benchmark: Benchmark, keys: Sequence[str], options: Options, json: Path) -> bool:
    """Measure one benchmark, and write its figures at once: what comes after it may fail."""
    options.tell(f"{', '.join(keys)}: about {benchmark.minutes:g} min")
    started = time.monotonic()
    figures: Mapping[str, Figure] = {}
    try:
        figures = benchmark.measure(options, keys)
    except EXPECTED as error:
        options.tell(f"not measured: {error}")
    made_by = Run(_command_line(), datetime.now(UTC).astimezone(), time.monotonic() - started)
    save(json, merged(load(json), figures, made_by))
    return set(figures) == set(keys)


def _command_line() -> str:
    return shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])


def _catalogue() -> Table:
    table = Table("key", "what it measures", "goal", "minutes", title="Benchmarks", title_justify="left")
    for benchmark in SUITE:
        for key, what in benchmark.keys.items():
            when = f"{benchmark.minutes:g}" + (", on demand" if benchmark.on_demand else "")
            table.add_row(key, what, str(GOALS.get(key, "–")), when)
    return table


def table_of(result: Mapping[str, Any], keys: Sequence[str]) -> Table:
    """Return figures of a result beside their goals."""
    table = Table("key", title="Figures", title_justify="left")
    for name in ("figure", "spread", "rounds", "goal"):
        table.add_column(name, justify="right")
    table.add_column("met")
    for key in keys:
        detail = result["details"].get(key)
        if detail is None:
            table.add_row(key, "not measured", "", "", str(GOALS.get(key, "–")), "")
            continue
        low, high = detail["spread"]
        met = {True: "yes", False: "no", None: ""}[detail["met"]]
        spread, rounds = f"{low:,g} to {high:,g}", str(len(detail["rounds"]))
        table.add_row(key, f"{detail['figure']:,g}", spread, rounds, detail["goal"] or "–", met)
    return table


@app.command()
def check(
    renew: Annotated[bool, typer.Option("--renew", help="Keep what is counted now as the baseline.")] = False,
) -> None:
    """Hold requests, statements and bytes of a fixed day against their baseline; exit 1 when one has grown.

    Example: `python -m benchmarks check --renew`
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    raise typer.Exit(baseline.check(make_console(), renew=renew))


COMMANDS: Mapping[str, Callable[..., None]] = {
    "stages": stages.command,
    "growth": growth.command,
    "scale": scale.command,
    "stacks": stacks.command,
    "embedded-fetch": embedded_fetch.command,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main() -> None:
    """Run the command; Ctrl-C ends what it has started."""
    command_line.interruptible()
    app()


if __name__ == "__main__":
    # As Ctrl-C: what a benchmark has started must not go on beside the next one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command_line.run(main)
