"""A run with faults as one drawing: what came through, what waited, and each fault with its recovery; pure.

The page asks nobody for anything. It holds the drawing twice, for a wide screen and a narrow one.
"""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final, NamedTuple

from paperless.chaos.plan import Fault, Kind
from paperless.chaos.recovery import Sample
from paperless.chaos.result import ChaosResult, Recovery
from paperless.language import Texts

WIDE, NARROW = 1160, 360
_LEFT, _RIGHT, _PANEL, _GAP, _BAR = 46, 10, 110, 50, 11
# Of a row with its label beside the bar, and above it where there is no room beside.
_ROW, _TALL_ROW, _ROOMY = 18, 32, 600
# Of 12 px text, on the whole.
_CHARACTER: Final = 6.6
_TICKS_EVERY_PX: Final = 70
_LEGEND: Final = 75
_BAD: Final = ' class="bad"'
_SHORTEST_WINDOW_S: Final = 0.9
_CSS: Final = """
svg.chaos { --ink: #14202e; --muted: #52606d; --grid: #d5dce3; --one: #1d6aa8; --two: #a04a00; --wait: #e7b98a;
  --bad: #b3261e; font: 12px sans-serif; background: #ffffff; }
@media (prefers-color-scheme: dark) { svg.chaos { --ink: #e8eef4; --muted: #a9b6c3; --grid: #2c3a49; --one: #6cb2ea;
  --two: #f0a35e; --wait: #7a5230; --bad: #ff8a80; background: #0f1720; } }
svg.chaos text { fill: var(--ink); } svg.chaos .muted { fill: var(--muted); } svg.chaos .bad { fill: var(--bad); }
svg.chaos .grid { stroke: var(--grid); } svg.chaos polyline { fill: none; stroke-width: 1.5; }
svg.chaos .one { stroke: var(--one); } svg.chaos .two { stroke: var(--two); } svg.chaos .fault { fill: var(--two); }
svg.chaos .wait { fill: var(--wait); } svg.chaos .band { fill: var(--two); opacity: .1; }
svg.chaos text.name { stroke: none; font-weight: bold; } svg.chaos text.one { fill: var(--one); }
svg.chaos text.two { fill: var(--two); } svg.chaos .end { font-weight: bold; }
"""
_PAGE_CSS: Final = """
body { margin: 0 auto; max-width: 1180px; padding: 8px; font: 16px/1.45 sans-serif; background: #ffffff;
  color: #14202e; }
@media (prefers-color-scheme: dark) { body { background: #0f1720; color: #e8eef4; } }
h1 { font-size: 20px; margin: 8px 0; } p { margin: 6px 0; overflow-wrap: anywhere; }
svg.chaos { display: block; width: 100%; height: auto; } .narrow { display: none; }
@media (max-width: 760px) { .wide { display: none; } .narrow { display: block; } }
"""


class Point(NamedTuple):
    """A value at a second; None where it is not known."""

    at_s: float
    value: float | None


class _Line(NamedTuple):
    style: str
    points: list[Point]
    label: str = ""


def page(result: ChaosResult, texts: Texts) -> str:
    """Return an HTML page with the drawing."""
    title = escape(_title(result, texts))
    told = "".join(f"<p>{escape(line)}</p>" for line in _told(result, texts))
    drawings = "".join(
        f'<div class="{name}">{drawing(result, texts, width, titled=False)}</div>'
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{texts.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_PAGE_CSS}</style></head><body><h1>{title}</h1>{told}{drawings}</body></html>\n"
    )


def drawing(result: ChaosResult, texts: Texts, width: int = WIDE, *, titled: bool = True) -> str:
    """Return the drawing as SVG, so many pixels wide."""
    frame = _Frame(result, width)
    samples = result.run.samples
    panels = [
        (
            "picture.throughput",
            [
                _Line("one", rates(samples, "sent"), texts("picture.sent")),
                _Line("two", rates(samples, "decided"), texts("picture.decided")),
            ],
        ),
        ("picture.open", [_Line("one", [Point(each.at_s, each.open) for each in samples])]),
        ("picture.lag", [_Line("one", [Point(each.at_s, each.lag) for each in samples])]),
    ]
    body = [f'<text class="end" x="4" y="16">{escape(_title(result, texts))}</text>'] if titled else []
    top = 48 if titled else 28
    for key, lines in panels:
        body += frame.panel(texts, texts(key), lines, top)
        top += _PANEL + _GAP
    body += frame.faults(texts, top)
    height = top + frame.row * len(result.run.recoveries) + 24
    label = escape(f"{_title(result, texts)}. {' '.join(_told(result, texts))}", quote=True)
    return (
        f'<svg class="chaos" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" aria-label="{label}"><style>{_CSS}</style>{"".join(body)}</svg>'
    )


def rates(samples: Sequence[Sample], name: str) -> list[Point]:
    """Return how much a count grew in a second, over windows of about a second or more."""
    ends: list[Sample] = []
    for sample in samples:
        if not ends or sample.at_s - ends[-1].at_s >= _SHORTEST_WINDOW_S:
            ends.append(sample)
    return [
        Point(after.at_s, (getattr(after, name) - getattr(before, name)) / (after.at_s - before.at_s))
        for before, after in pairwise(ends)
    ]


def _title(result: ChaosResult, texts: Texts) -> str:
    return texts("chaos.holds" if result.ok else "chaos.fails", faults=len(result.run.plan))


def _told(result: ChaosResult, texts: Texts) -> list[str]:
    counts = result.counts
    return [
        texts("chaos.load", applications=result.run.applications, seed=str(result.seed), plan=result.fault_plan),
        texts(
            "chaos.counts",
            duplicates=result.duplicates,
            presumed=counts["presumed"],
            overruled=counts["overruled"],
            restarts=sum(result.restarts.values()),
        ),
    ]


class _Frame:
    """The time axis that everything shares."""

    def __init__(self, result: ChaosResult, width: int) -> None:
        self._run, self._width = result.run, width
        self._seconds = max(result.run.seconds, 1.0)
        self.row = _ROW if width >= _ROOMY else _TALL_ROW

    def _x(self, at_s: float) -> float:
        share = min(max(at_s / self._seconds, 0.0), 1.0)
        return round(_LEFT + share * (self._width - _LEFT - _RIGHT), 1)

    def panel(self, texts: Texts, title: str, lines: Sequence[_Line], top: int) -> Iterator[str]:
        """Yield a title, a grid, the faults as bands, and lines."""
        highest = _nice(max((point.value or 0 for line in lines for point in line.points), default=0))
        yield f'<text x="4" y="{top - 12}">{escape(title)}</text>'
        for number, line in enumerate(line for line in reversed(lines) if line.label):
            end = self._width - _RIGHT - number * _LEGEND
            style = f'class="name {line.style}" text-anchor="end"'
            yield f'<text {style} x="{end}" y="{top - 12}">{escape(line.label)}</text>'
        for share in (0.0, 0.5, 1.0):
            y = round(top + _PANEL * (1 - share), 1)
            yield f'<line class="grid" x1="{_LEFT}" x2="{self._width - _RIGHT}" y1="{y}" y2="{y}"/>'
            shown = texts.number(highest * share)
            yield f'<text class="muted" x="{_LEFT - 4}" y="{y + 4}" text-anchor="end">{shown}</text>'
        for (_, began, ended), _seconds in self._run.recoveries:
            span = f'x="{self._x(began)}" width="{self._wide(began, ended)}"'
            yield f'<rect class="band" {span} y="{top}" height="{_PANEL}"/>'
        for line in lines:
            for part in _known(line.points):
                points = " ".join(
                    f"{self._x(at)},{round(top + _PANEL * (1 - value / highest), 1)}" for at, value in part
                )
                yield f'<polyline class="{line.style}" points="{points}"/>'
        yield from self._ticks(top + _PANEL + 14)

    def _wide(self, began: float, ended: float) -> float:
        return round(max(self._x(ended) - self._x(began), 2.0), 1)

    def _ticks(self, y: int) -> Iterator[str]:
        every = _nice(self._seconds / max((self._width - _LEFT) // _TICKS_EVERY_PX, 1))
        count = int(self._seconds / every)
        for number in range(count + 1):
            at = number * every
            unit = " s" if number == count else ""
            yield f'<text class="muted" x="{self._x(at)}" y="{y}" text-anchor="middle">{at:g}{unit}</text>'

    def faults(self, texts: Texts, top: int) -> Iterator[str]:
        """Yield a row for each fault: a bar while it lasted, a lighter one until it was got over."""
        yield f'<text x="4" y="{top - 12}">{escape(texts("picture.faults"))}</text>'
        for row, recovery in enumerate(self._run.recoveries):
            yield from self._fault(texts, recovery, top + row * self.row)
        yield from self._ticks(top + len(self._run.recoveries) * self.row + 12)

    def _fault(self, texts: Texts, recovery: Recovery, top: int) -> Iterator[str]:
        (fault, began, ended), seconds = recovery
        until = self._seconds if seconds is None else ended + seconds
        bar = top + self.row - _ROW
        yield f'<rect class="wait" x="{self._x(ended)}" width="{self._wide(ended, until)}" y="{bar}" height="{_BAR}"/>'
        yield f'<rect class="fault" x="{self._x(began)}" width="{self._wide(began, ended)}" y="{bar}" height="{_BAR}"/>'
        label = f"{fault_text(texts, fault)}, "
        label += texts("picture.never") if seconds is None else texts("picture.recovered", seconds=float(seconds))
        place = self._place(len(label) * _CHARACTER, self._x(began), self._x(until) + 8)
        yield f'<text{"" if seconds is not None else _BAD} {place} y="{top + 10}">{escape(label)}</text>'

    def _place(self, length: float, begins: float, ends: float) -> str:
        """Return where a label begins or ends: behind its bar, before it, above it, or over it."""
        if self.row == _TALL_ROW:
            return f'x="{max(min(begins, self._width - length), 4)}"'
        if ends + length < self._width:
            return f'x="{ends}"'
        # Over a bar that leaves no room, its light part.
        return f'x="{begins - 5}" text-anchor="end"' if begins - 5 > length else f'x="{self._width / 2}"'


def fault_text(texts: Texts, fault: Fault) -> str:
    """Return what happens to whom."""
    kind = texts(f"chaos.kind_{fault.kind}")
    return kind if fault.kind is Kind.BURST else f"{kind} {fault.target}"


def _known(points: Sequence[Point]) -> Iterator[list[tuple[float, float]]]:
    """Yield the stretches of a line where its value is known."""
    stretch: list[tuple[float, float]] = []
    for point in points:
        if point.value is not None:
            stretch.append((point.at_s, point.value))
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _nice(value: float) -> float:
    """Return the next 1, 2, 2.5 or 5 times a power of ten, at least 1."""
    power = 1.0
    while True:
        for factor in (1, 2, 2.5, 5):
            if factor * power >= value:
                return factor * power
        power *= 10
