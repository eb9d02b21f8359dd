"""The levers as `paperless whatif --list` and its help show them; without arrays, so that help comes at once."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from typer.core import TyperCommand

from paperless.cli.terminal import Column, open_terminal, table
from paperless.language import Texts
from paperless.whatif.levers import BASE, BEST, Lever, Levers, load_levers

BEST_WIDTH, OWNER_WIDTH, SOURCE_WIDTH = 44, 24, 50


class CommandWithLevers(TyperCommand):
    """Its help ends with every lever: range, evidence mark and source, as the data file has them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        terminal = open_terminal("en")
        terminal.show(lever_sources(terminal.texts, load_levers()))


def lever_sources(told_in: Texts, levers: Levers) -> RenderableType:
    """Return each lever with its range, its mark and what is known of it."""
    columns = [
        Column(told_in("whatif.lever"), number=False),
        *[Column(told_in(f"whatif.{name}")) for name in ("value", "mark")],
        Column(told_in("whatif.source"), number=False),
    ]
    rows = [[lever.name, range_of(lever), lever.evidence, lever.source] for lever in levers.values()]
    return table(told_in("whatif.levers"), columns, rows)


def range_of(lever: Lever) -> str:
    """Return the values of a lever as text: both of a decision, else from one to the other."""
    return f"{BASE:g}, {BEST:g}" if lever.whole else f"{BASE:g}–{BEST:g}"


def levers_shown(told_in: Texts, levers: Levers, costs: Mapping[str, float]) -> RenderableType:
    """Return the list of the levers."""
    columns = [
        Column(told_in("whatif.lever"), number=False),
        *[Column(told_in(f"whatif.{name}")) for name in ("value", "mark", "cost")],
        Column(told_in("whatif.best"), number=False, width=BEST_WIDTH),
        Column(told_in("whatif.owner"), number=False, width=OWNER_WIDTH, wide=True),
        Column(told_in("whatif.source"), number=False, width=SOURCE_WIDTH, wide=True),
    ]
    place = 0 if told_in.language == "vi" else 1
    rows = [
        [
            lever.name,
            range_of(lever),
            lever.evidence,
            told_in.number(costs[lever.name]),
            lever.bests[place],
            lever.owners[place],
            lever.source,
        ]
        for lever in levers.values()
    ]
    return table(told_in("whatif.levers"), columns, rows)
