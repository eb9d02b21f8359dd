"""What `paperless whatif` shows: the rates, the levers with their gains, the ways to a target."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType

from paperless.cli.terminal import Column, Terminal, table
from paperless.cli.whatif_played import Rehearsal
from paperless.language import Texts
from paperless.language.texts import NONE
from paperless.traffic.manifest import ManifestError
from paperless.whatif.answers import Answer, Compared, LeverRow, TargetAnswer, Way
from paperless.whatif.reasons import ReasonAnswer
from paperless.whatif.uncertainty import Uncertainty

NAME_WIDTH = 32


def print_answer(terminal: Terminal, found: Answer, *, by_province: bool = True) -> None:
    """Print an answer; what it hangs on comes last. A small sample says nothing `by_province`."""
    told_in = terminal.texts
    place = next(
        (told_in.name(each) for each in found.provinces if each.code == found.place), told_in("whatif.country")
    )
    terminal.say("whatif.title", place=place, day=found.day, style="bold")
    names = {row.name: told_in.name(row) for row in found.levers}
    moved = [f"{names[name]} {told_in.number(value, 2)}" for name, value in found.setting.items()]
    terminal.say("whatif.setting", setting=moved or told_in("whatif.no_lever"))
    for run, compared in found.rates.items():
        terminal.line(_rate(told_in, run, compared))
    if found.target is not None:
        _print_target(terminal, found.target, names)
        terminal.show(gains_table(told_in, found.levers))
    if found.uncertainty is not None:
        _print_uncertainty(terminal, found.uncertainty)
    elif by_province and found.place is None and found.setting and found.target is None:
        terminal.show(provinces_table(told_in, found))
    for caveat in found.caveats:
        terminal.line(f"- {caveat.vi if told_in.language == 'vi' else caveat.en}")


def _rate(told_in: Texts, run: str, compared: Compared) -> str:
    return told_in(
        "whatif.rate",
        run=told_in(f"whatif.run_{run}"),
        base=told_in.percent(compared.base),
        d1=told_in.percent(compared.d1),
        noise=told_in.number(compared.noise_points, 2),
    )


def _print_target(terminal: Terminal, target: TargetAnswer, names: Mapping[str, str]) -> None:
    told_in = terminal.texts
    wanted = told_in.percent(target.target, 0)
    for key, way in (("whatif.smallest", target.smallest), ("whatif.cheapest", target.cheapest)):
        if way is None:
            terminal.say("whatif.unreachable", target=wanted, ceiling=told_in.percent(target.ceiling))
            break
        _print_way(terminal, key, wanted, way, names)
    terminal.say(
        "whatif.ceilings",
        ceiling=told_in.percent(target.ceiling),
        procedures=told_in.percent(target.ceiling_without_procedures),
        certification=told_in.percent(target.ceiling_without_certification),
    )


def _print_way(terminal: Terminal, key: str, wanted: str, way: Way, names: Mapping[str, str]) -> None:
    told_in = terminal.texts
    terminal.say(
        key,
        target=wanted,
        count=len(way.levers),
        d1=told_in.percent(way.d1),
        cost=told_in.number(way.cost),
        style="bold",
    )
    for number, (lever, rate) in enumerate(zip(way.levers, way.steps, strict=True), start=1):
        terminal.line(f"  {told_in('whatif.step', number=number, lever=names[lever], d1=told_in.percent(rate))}")


def _print_uncertainty(terminal: Terminal, found: Uncertainty) -> None:
    told_in = terminal.texts
    terminal.say("whatif.draws", draws=found.draws, style="bold")
    for key, spread in (("base", found.base), ("now", found.d1), ("way", found.way)):
        if spread is not None:
            ends = f"{told_in.percent(spread.low)} – {told_in.percent(spread.high)}"
            terminal.line(f"  {told_in(f'whatif.{key}')}: {ends}")
    if found.reaches is not None:
        terminal.line(f"  {told_in('whatif.reaches', share=told_in.percent(found.reaches, 0))}")
    columns = [
        Column(told_in("whatif.unknown"), number=False),
        *[Column(told_in(f"whatif.{name}")) for name in ("moves_d1", "moves_gain")],
    ]
    rows = [
        [each.parameter, told_in.number(each.d1_points, 1), told_in.number(each.gain_points, 1)]
        for each in found.unknowns
    ]
    terminal.show(table(told_in("whatif.unknowns"), columns, rows))


def gains_table(told_in: Texts, levers: Sequence[LeverRow]) -> RenderableType:
    """Return the levers with their gains, the largest share first."""
    columns = [
        Column(told_in("whatif.lever"), number=False, width=NAME_WIDTH),
        *[Column(told_in(f"whatif.{name}")) for name in ("alone", "last", "shapley", "cost", "mark")],
    ]
    rows = [
        [
            told_in.name(row),
            *[
                NONE if gain is None else told_in.number(round(gain, 1) + 0.0, 1)
                for gain in (row.alone, row.last, row.shapley)
            ],
            told_in.number(row.cost),
            row.evidence,
        ]
        for row in sorted(levers, key=lambda row: -(row.shapley or 0.0))
    ]
    return table(told_in("whatif.levers"), columns, rows, note=told_in("whatif.gains"))


def provinces_table(told_in: Texts, found: Answer) -> RenderableType:
    """Return the provinces by D1 in the setting."""
    columns = [
        Column(told_in("whatif.province"), number=False),
        *[Column(told_in(f"whatif.{name}")) for name in ("base", "now", "noise")],
    ]
    rows = [
        [
            told_in.name(each),
            told_in.percent(each.province.base),
            told_in.percent(each.province.d1),
            told_in.number(each.province.noise_points, 1),
        ]
        for each in sorted(found.provinces, key=lambda each: -each.province.d1)
    ]
    return table(told_in("whatif.provinces"), columns, rows)


def print_reasons(terminal: Terminal, found: ReasonAnswer) -> None:
    """Print which reasons stand in the way of a running system, and the fewest that reach the target."""
    told_in = terminal.texts
    run = told_in(f"whatif.run_{found.run_by}")
    terminal.say("whatif.live", run=run, d1=told_in.percent(found.d1), applications=found.applications, style="bold")
    wanted, names = told_in.percent(found.target, 0), {each.name: told_in.name(each) for each in found.reasons}
    if found.smallest is None:
        terminal.say("whatif.nothing_lifts", target=wanted)
    else:
        terminal.say(
            "whatif.lifted", target=wanted, count=len(found.smallest.levers), d1=told_in.percent(found.smallest.d1)
        )
        for number, (reason, rate) in enumerate(zip(found.smallest.levers, found.smallest.steps, strict=True), start=1):
            terminal.line(f"  {told_in('whatif.step', number=number, lever=names[reason], d1=told_in.percent(rate))}")
    columns = [
        Column(told_in("whatif.reason"), number=False),
        *[Column(told_in(f"whatif.{name}")) for name in ("alone", "shapley")],
    ]
    rows = [
        [told_in.name(each), told_in.number(each.alone, 1), told_in.number(each.shapley, 1)] for each in found.reasons
    ]
    terminal.show(table(told_in("whatif.reasons"), columns, rows))
    terminal.say("whatif.live_caveat")


def write_pictures(folder: Path, pictures: Mapping[str, str]) -> None:
    """Write pictures into a folder.

    Raises:
        ManifestError: they cannot be written.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pictures.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error


def print_rehearsal(terminal: Terminal, found: Rehearsal) -> None:
    """Print what came of settings that were played: outcomes beside the predicted ones, and what differs."""
    told_in = terminal.texts
    columns = [
        Column(told_in("whatif.outcome"), number=False),
        *[Column(told_in(f"whatif.{name}")) for name in ("predicted", "services")],
    ]
    for played in found.played:
        key = "whatif.played_equal" if played.equal else "whatif.played_differs"
        terminal.say(key, applications=played.applications, differing=played.differing, style="bold")
        rows = [
            [told_in(f"outcome.{outcome}"), told_in.number(count.predicted), told_in.number(count.services)]
            for outcome, count in played.outcomes.items()
        ]
        terminal.show(table(told_in("whatif.outcomes"), columns, rows))
        for each in played.differences:
            decided = [each.predicted, *([each.services] if each.services else [])]
            said = [f"{one.outcome} ({', '.join(one.reasons) or NONE})" for one in decided]
            terminal.say("whatif.difference", name=each.application_id, predicted=said[0], services=(*said, NONE)[1])
    if not found.verified:
        terminal.say("whatif.not_verified")
