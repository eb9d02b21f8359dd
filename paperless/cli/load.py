"""`paperless load`: how long an application takes, at a rate that the system cannot slow."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from paperless.cli.lazy import STYLE
from paperless.cli.load_output import Loading, print_comparison, print_result
from paperless.cli.narration import Narration
from paperless.cli.options import (
    API,
    DAY_S,
    DEFAULT_STATE,
    MAX_SEED,
    Api,
    Health,
    Json,
    Kafka,
    Lang,
    State,
    System,
    Wide,
    a_number,
    find_system,
)
from paperless.cli.output import clear_json, write_json
from paperless.cli.send import MANIFEST, Manifest, running_mock
from paperless.cli.terminal import Terminal, open_terminal
from paperless.language import Message, texts
from paperless.local.errors import NotEnoughMemoryError
from paperless.traffic.load.compare import compare, differences
from paperless.traffic.load.plan import LoadPlan, LoadTarget
from paperless.traffic.load.result import LoadError, LoadResult, read_result
from runtime.command_line import EXIT_INTERRUPTED
from services.intake.rules import RULES_VERSION

SECONDS, STEP_SECONDS = 30.0, 10.0
_LOAD = "Load"

app = typer.Typer(**STYLE)

Rate = Annotated[
    float,
    typer.Option(
        help="Applications a second; of a search the first rate.",
        min=0.01,
        max=1e6,
        callback=a_number,
        rich_help_panel=_LOAD,
    ),
]
Gaps = Annotated[Literal["poisson", "constant"], typer.Option(help="Gaps between arrivals.", rich_help_panel=_LOAD)]
Search = Annotated[bool, typer.Option("--max", help="Search for the highest sustainable rate.", rich_help_panel=_LOAD)]
Limit = Annotated[
    float,
    typer.Option(
        "--limit-p99-ms",
        help="With --max: p99 to the stored cell.",
        min=1,
        max=1e6,
        callback=a_number,
        rich_help_panel=_LOAD,
    ),
]
Closed = Annotated[
    int | None,
    typer.Option(
        "--closed", help="Instead: keep this many in flight. Hides stalls.", min=1, max=10**6, rich_help_panel=_LOAD
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        help=f"Measured seconds; by default {SECONDS:g}, of each step of a search {STEP_SECONDS:g}.",
        min=1,
        max=DAY_S,
        callback=a_number,
        rich_help_panel=_LOAD,
    ),
]
WarmUp = Annotated[
    float,
    typer.Option(help="Seconds before that, not measured.", min=0, max=DAY_S, callback=a_number, rich_help_panel=_LOAD),
]
Drain = Annotated[
    float,
    typer.Option(
        "--drain-s",
        help="Patience with what is not yet stored.",
        min=1,
        max=DAY_S,
        callback=a_number,
        rich_help_panel=_LOAD,
    ),
]
LoadSeed = Annotated[
    int,
    typer.Option("--seed", help="Names the draws of arrivals and people.", min=0, max=MAX_SEED, rich_help_panel=_LOAD),
]
Report = Annotated[
    Path | None, typer.Option("--report", help="Also write an HTML page with charts.", rich_help_panel=_LOAD)
]


@app.callback(invoke_without_command=True)
def load(
    context: typer.Context,
    rate: Rate = 1000.0,
    arrivals: Gaps = "poisson",
    search: Search = False,
    limit: Limit = 1000.0,
    closed: Closed = None,
    seconds: Seconds = None,
    warm_up: WarmUp = 5.0,
    drain: Drain = 60.0,
    seed: LoadSeed = 1,
    report: Report = None,
    json: Json = None,
    manifest: Manifest = None,
    state: State = DEFAULT_STATE,
    kafka: Kafka = None,
    api: Api = None,
    health: Health = None,
    lang: Lang = None,
    wide: Wide = False,
) -> None:
    """Measure how long applications take, from the moment each should have been sent to its stored cell.

    Open loop: the moments are fixed before the run, and the system cannot slow them. What waits behind a stall counts
    with its waiting. Needs a running system (`paperless up --plan calm`); `paperless verify` afterwards shows that
    nothing was lost or counted twice.

    Applications are those of a national day, with people drawn from the seed and the log's length: none was filed
    before, so a load can be repeated on the same system. Run one at a time.

    Exits 0 when all is stored, 1 when something is not or no rate is sustainable, 130 after Ctrl-C.

    Example: `paperless load --rate 1000 --seconds 20 --json a.json --report a.html`

    Example: `paperless load --max --limit-p99-ms 500`

    Example: `paperless load --closed 1 --seconds 10`

    Example: `paperless load compare a.json b.json`
    """
    if context.invoked_subcommand is not None:
        return
    # Only here, so that every other command does without the libraries of the extra `load`.
    from paperless.traffic.load.report import report as page_of  # noqa: PLC0415
    from paperless.traffic.load.session import load as run_load  # noqa: PLC0415

    if search and closed:
        raise typer.BadParameter("--max searches an open loop's rate; leave --closed out")
    plan = LoadPlan(
        mode="max" if search else "closed" if closed else "open",
        rate=rate,
        arrivals=arrivals,
        in_flight=closed or 0,
        limit_p99_ms=limit,
        seconds=seconds or (STEP_SECONDS if search else SECONDS),
        warm_up_s=warm_up,
        drain_s=drain,
        seed=seed,
    )
    clear_json(json)
    clear_json(report)
    system, terminal = find_system(state, kafka, api, health), open_terminal(lang, wide=wide)
    play = partial(_play, plan, _target(system, plan, manifest or state / MANIFEST), run_load)
    result = _told(terminal, Loading(system.health_urls), play)
    print_result(terminal, result)
    write_json(json, result.model_dump(mode="json"))
    if report is not None:
        _write(report, page_of(result, terminal.texts), terminal)
    raise typer.Exit(exit_code(result))


def _told(
    terminal: Terminal, loading: Loading, play: Callable[[Narration, Loading], Coroutine[None, None, LoadResult]]
) -> LoadResult:
    with Narration(terminal) as narration:
        narration.enter(loading)
        return asyncio.run(play(narration, loading))


def _target(system: System, plan: LoadPlan, manifest: Path) -> LoadTarget:
    """The run, of a search its first step, must fit; the mock must answer: the manifest needs its plan and seed."""
    system.check_room(plan.most_applications(plan.rate))
    mock = running_mock(system)
    return LoadTarget(
        kafka=system.broker,
        api_url=system.url(API, "--api URL"),
        idempotent_producer=system.idempotent_producer,
        mock=mock,
        manifest=manifest,
        rules_version=RULES_VERSION,
        fits=partial(_fits, system),
    )


def _fits(system: System, applications: int) -> bool:
    try:
        system.check_room(applications)
    except NotEnoughMemoryError:
        return False
    return True


async def _play(
    plan: LoadPlan,
    target: LoadTarget,
    run_load: Callable[..., Awaitable[LoadResult]],
    narration: Narration,
    loading: Loading,
) -> LoadResult:
    """Run and tell of it; Ctrl-C ends it early and keeps what was measured."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)

    def tell(said: Message) -> None:
        narration.line(narration.terminal.texts.say(said))

    try:
        command = " ".join(["paperless", *sys.argv[1:]])
        return await run_load(plan, target, command=command, stop=stop, show=loading.show, tell=tell)
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def exit_code(result: LoadResult) -> int:
    """Return 0 when all is stored, 1 when something is not or no rate was sustained, 130 after Ctrl-C."""
    if result.interrupted:
        return EXIT_INTERRUPTED
    runs = [result.measured, *(step.measured for step in result.steps)]
    return 1 if any(run is None or run.counts.missing for run in runs) else 0


def _write(path: Path, page: str, terminal: Terminal) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise LoadError(f"{path}: cannot be written ({error.strerror}); choose another --report file") from error
    terminal.say("load.report", path=path)


@app.command("compare")
def compare_results(
    a: Annotated[Path, typer.Argument(help="JSON of one run.")],
    b: Annotated[Path, typer.Argument(help="JSON of the other; ratios are B / A.")],
    json: Json = None,
    lang: Lang = None,
) -> None:
    """Show the percentiles of two runs beside each other, and what else differs between them.

    Example: `paperless load compare before.json after.json`
    """
    first, second = read_result(a), read_result(b)
    rows, others = compare(first, second), differences(first, second)
    names = [a.name, b.name] if a.name != b.name else [str(a), str(b)]
    print_comparison(open_terminal(lang), names, rows, others)
    said = [f"{texts('en')(f'difference.{setting}')}: {left} and {right}" for setting, left, right in others]
    write_json(json, {"a": str(a), "b": str(b), "rows": [row._asdict() for row in rows], "differences": said})
