"""Which levers would bring provinces to the target: the part of the report that is simulated, not counted. Pure."""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from paperless.language import Texts
from paperless.report.markup import heading, note, table

SHOWN_LEVERS: Final = 8


class LeverGain(NamedTuple):
    """What a lever gains, in points of D1: alone, and as its Shapley share of what all gain; `evidence` is its mark."""

    name_vi: str
    name_en: str
    alone: float
    share: float
    evidence: str


class LeverStep(NamedTuple):
    """A lever of the way to the target, and D1 (0..1) with it and those before it."""

    name_vi: str
    name_en: str
    d1: float


class Levers(NamedTuple):
    """What a simulated day of the country says; `way` is empty where the target is out of reach.

    `base` is D1 as today, `ceiling` with every lever at its best, the last without changing procedures; all 0..1.
    """

    target: float
    base: float
    way: Sequence[LeverStep]
    gains: Sequence[LeverGain]
    ceiling: float
    without_procedures: float


def levers_section(texts: Texts, levers: Levers) -> str:
    """Return the section."""
    target = texts.percent(levers.target, 0)
    by_share = sorted(levers.gains, key=lambda each: -each.share)[:SHOWN_LEVERS]
    gains = [
        [texts.name(each), texts.number(each.alone, 1), texts.number(each.share, 1), each.evidence] for each in by_share
    ]
    steps = [[f"{number}. {texts.name(step)}", texts.percent(step.d1)] for number, step in enumerate(levers.way, 1)]
    reach = texts(
        "monthly.reach",
        base=texts.percent(levers.base),
        ceiling=texts.percent(levers.ceiling),
        procedures=texts.percent(levers.without_procedures),
    )
    way = (
        table([texts("monthly.way", target=target, count=len(levers.way)), texts("rates.d1")], steps)
        if levers.way
        else note(texts("whatif.unreachable", target=target, ceiling=texts.percent(levers.ceiling)))
    )
    heads = [texts(f"whatif.{name}") for name in ("lever", "alone", "shapley", "mark")]
    return (
        heading(texts("monthly.which_levers", target=target))
        + f"<p>{escape(reach)}</p>"
        + way
        + table(heads, gains)
        + note(texts("monthly.lever_gains"))
        + note(texts("monthly.levers_note"))
    )
