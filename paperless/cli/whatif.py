"""`paperless whatif`: what the levers come to, and which of them reach a target."""

import json as json_module
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from paperless.cli.lazy import STYLE
from paperless.cli.options import (
    API,
    DEFAULT_STATE,
    Api,
    Applications,
    Lang,
    Plan,
    ScenarioName,
    State,
    Wide,
    a_number,
    find_system,
)
from paperless.cli.terminal import Terminal, open_terminal
from paperless.cli.whatif_levers import CommandWithLevers, levers_shown
from paperless.population.scenario import DEFAULT_SCENARIO
from paperless.verification.scoring_client import LIVE_STORE, ask, client
from paperless.whatif.levers import load_costs, load_levers

if TYPE_CHECKING:
    from paperless.cli.whatif_played import Rehearsal
    from paperless.whatif.answers import Answer
    from paperless.whatif.model import Model
    from paperless.whatif.rates import Run

# Of the plan for 2025, read as D1 (domain/README.md, section 4).
USUAL_TARGET = 0.8

app = typer.Typer(**STYLE)

Lever = Annotated[
    list[str] | None,
    typer.Option(
        "--lever", help="NAME=VALUE: how far a lever is on its way from today (0) to its best (1); repeat it."
    ),
]
Target = Annotated[
    float | None,
    typer.Option(help="Which levers reach this D1 (0..1): fewest, and cheapest.", min=0, max=1, callback=a_number),
]
Province = Annotated[str | None, typer.Option(help="Province code, for example 01; ten days are pooled.")]
Authority = Annotated[
    Literal["province", "ministry", "all"],
    typer.Option(help="Whose D1 is asked for; all: both, for the country weighed by the published mix."),
]
Seeds = Annotated[int | None, typer.Option(help="How many seeds to pool, from 1 on.", min=1, max=100)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Live = Annotated[
    bool,
    typer.Option(
        "--live", help="Of a running system's store, nothing simulated: reasons lifted instead of levers moved."
    ),
]
AsList = Annotated[bool, typer.Option("--list", help="Only list the levers: range, source, mark, cost.")]
Uncertain = Annotated[
    bool, typer.Option("--uncertainty", help="Also go through the accepted draws of the assumed values (5-95 %).")
]
Pictures = Annotated[
    Path | None, typer.Option(help="Folder for pictures (SVG) and a page with them (HTML); with --target.")
]
Play = Annotated[
    bool,
    typer.Option(
        "--play",
        help="Also play the setting through the real services, on a system of its own, application by application;"
        " by default 2,000 of them. Exits 1 if any of them comes out otherwise.",
    ),
]
Costs = Annotated[Path | None, typer.Option(help="A file of your own in place of lever_costs.csv.")]
Cache = Annotated[Path, typer.Option(help="Folder that keeps drawn days.")]


@app.command(cls=CommandWithLevers)
def whatif(
    lever: Lever = None,
    target: Target = None,
    province: Province = None,
    authority: Authority = "province",
    scenario: ScenarioName = DEFAULT_SCENARIO,
    plan: Plan = "mild",
    seeds: Seeds = None,
    applications: Applications = None,
    play: Play = False,
    uncertainty: Uncertain = False,
    pictures: Pictures = None,
    json: AsJson = False,
    listed: AsList = False,
    live: Live = False,
    state: State = DEFAULT_STATE,
    api: Api = None,
    costs: Costs = None,
    cache: Cache = Path("build/whatif"),
    lang: Lang = None,
    wide: Wide = False,
) -> None:
    """Answer what D1 would be if some conditions were better: exactly, application by application.

    Every application keeps its draws, so a setting differs from today in what the levers move and in nothing else.
    The levers, with range, evidence mark and source, stand below; `--list` says what holds at their best.

    Example: `paperless whatif --lever fee_online=1 --lever land_data=0.5 --target 0.8 --province 01`

    Example: `paperless whatif --lever land_data=1 --lever commune_originals=1 --play`
    """
    # Only here: numpy comes with an extra, and no other command waits for it.
    from paperless.cli.whatif_played import USUAL_APPLICATIONS, rehearse  # noqa: PLC0415
    from paperless.whatif.answer import answer  # noqa: PLC0415

    terminal = open_terminal(lang, wide=wide)
    if play:
        seeds, applications = _one_day(seeds), applications or USUAL_APPLICATIONS
    if pictures is not None and target is None:
        raise typer.BadParameter("--pictures shows the way to a target; give --target, too")
    setting = setting_of(lever or [])
    own = load_costs(costs)
    if listed:
        terminal.show(levers_shown(terminal.texts, load_levers(), own))
        return
    if live:
        _tell_reasons(
            terminal, find_system(state, None, api, None).url(API, "--api URL"), target, province, authority, json=json
        )
        return
    model = _model(province, scenario, plan, seeds, applications, own, None if play else cache)
    found = answer(model, setting, target=target, run_by=authority, uncertain=uncertainty)
    if pictures is not None:
        _draw(terminal, model, found, pictures)
    rehearsal = rehearse(model, setting, plan, cache / "played") if play else None
    _tell(terminal, found, rehearsal, pictures, json=json)
    if rehearsal is not None and not rehearsal.ok:
        raise typer.Exit(1)


def _draw(terminal: Terminal, model: "Model", found: "Answer", folder: Path) -> None:
    from paperless.cli.whatif_output import write_pictures  # noqa: PLC0415  as above
    from paperless.whatif.answer import gains_by_province  # noqa: PLC0415
    from paperless.whatif.pictures import pictures_of  # noqa: PLC0415

    write_pictures(folder, pictures_of(terminal.texts, found, gains_by_province(model, found.run_by)))


def _tell(
    terminal: Terminal, found: "Answer", rehearsal: "Rehearsal | None", pictures: Path | None, *, json: bool
) -> None:
    from paperless.cli.whatif_output import print_answer, print_rehearsal  # noqa: PLC0415  as above

    if json:
        _write_json(found.to_json() | ({"played": rehearsal.to_json()} if rehearsal else {}))
        return
    print_answer(terminal, found, by_province=rehearsal is None)
    if rehearsal is not None:
        print_rehearsal(terminal, rehearsal)
    if pictures is not None:
        terminal.say("whatif.pictures", paths=[str(pictures / "whatif.html")])


def _write_json(value: Mapping[str, object]) -> None:
    typer.echo(json_module.dumps(value, ensure_ascii=False, indent=2).encode())


def _tell_reasons(
    terminal: Terminal, url: str, target: float | None, province: str | None, authority: "Run", *, json: bool
) -> None:
    """Tell which reasons, lifted together, would bring a running system to a target."""
    from paperless.cli.whatif_output import print_reasons  # noqa: PLC0415  as above
    from paperless.whatif.reasons import reason_answer  # noqa: PLC0415

    with client(url) as api:
        cells = ask(api, LIVE_STORE).snapshot.cells
    wanted = USUAL_TARGET if target is None else target
    found = reason_answer(cells, target=wanted, province=province, run_by=authority)
    if json:
        _write_json(found.to_json())
    else:
        print_reasons(terminal, found)


def setting_of(options: Sequence[str]) -> dict[str, float]:
    """Return a setting from NAME=VALUE texts.

    Raises:
        typer.BadParameter: one is none, or names a lever twice.

    """
    setting: dict[str, float] = {}
    for option in options:
        name, _, text = option.partition("=")
        try:
            value = float(text)
        except ValueError:
            raise typer.BadParameter(f"--lever {option!r}: write NAME=VALUE, for example fee_online=1") from None
        if name in setting:
            raise typer.BadParameter(f"--lever {name} is given twice; give it once")
        setting[name] = value
    return setting


def _one_day(seeds: int | None) -> int:
    """Return how many days are played: one. Raises ``typer.BadParameter`` where several are asked for."""
    if seeds not in {None, 1}:
        raise typer.BadParameter("--play plays one day, that of seed 1; leave --seeds out")
    return 1


def _model(
    province: str | None,
    scenario: str,
    plan: str,
    seeds: int | None,
    applications: int | None,
    costs: Mapping[str, float],
    cache: Path | None,
) -> "Model":
    from paperless.whatif.model import load_model  # noqa: PLC0415  as above

    return load_model(
        province=province,
        scenario=scenario,
        plan=plan,
        seeds=range(1, seeds + 1) if seeds else None,
        applications=applications,
        costs=costs,
        cache=cache,
    )
