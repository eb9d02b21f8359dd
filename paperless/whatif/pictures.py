"""An answer as pictures: a tornado of the levers, the way to a target step by step, and province by lever. Pure.

Each is an SVG that asks nobody for anything; the page holds all of them, for a screen and for print.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from paperless.language import Texts
from paperless.whatif.answers import Answer, LeverRow, Way

WIDTH: Final = 960
_LABEL, _VALUE, _ROW, _BAR, _TOP = 300, 150, 26, 16, 40
_CELL, _SLANT, _PLACE = 42, 150, 150
_CSS: Final = """
svg.whatif { font: 13px sans-serif; background: #ffffff; max-width: 100%; height: auto; }
svg.whatif text { fill: #14202e; } svg.whatif .title { font-weight: bold; font-size: 15px; }
svg.whatif .gain { fill: #1d6aa8; } svg.whatif .loss { fill: #b3261e; } svg.whatif .last { fill: #9cc3e0; }
svg.whatif .start { fill: #52606d; } svg.whatif .target { stroke: #a04a00; stroke-dasharray: 5 4; }
svg.whatif .muted { fill: #52606d; } svg.whatif .light { fill: #ffffff; }
"""
_PAGE_CSS: Final = """
body { margin: 0 auto; max-width: 980px; padding: 10px; font: 16px/1.45 sans-serif; background: #ffffff;
  color: #14202e; }
h1 { font-size: 22px; } figure { margin: 18px 0; overflow-x: auto; } li { margin: 4px 0; }
@media print { figure { break-inside: avoid; } body { font-size: 11pt; } }
"""
# Light to dark; text on the darker ones is white.
_SHADES: Final = ("#f4f8fb", "#dcebf5", "#bcd8ec", "#8fbfe0", "#5a9fd0", "#2f7db8", "#155a8f")
_WHITE_FROM: Final = 4


def pictures_of(texts: Texts, found: Answer, by_province: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Return the pictures of an answer by file name, and a page that holds them.

    Args:
        texts: of the language.
        found: an answer with gains, which one with a target has.
        by_province: by code, the gain of each lever alone in points, in the order of the answer's levers.

    """
    drawn = {"tornado.svg": tornado(texts, found.levers)}
    if found.target is not None and found.target.smallest is not None:
        base = found.rates[found.run_by].base
        drawn["waterfall.svg"] = waterfall(texts, found.target.smallest, base, found.target.target, found.levers)
    if len(by_province) > 1:
        drawn["provinces.svg"] = heat_map(texts, found, by_province)
    return {**drawn, "whatif.html": page(texts, found, list(drawn.values()))}


def tornado(texts: Texts, levers: Iterable[LeverRow]) -> str:
    """Return the levers by what each gains alone (dark) and what would be lost without it in the end (light)."""
    rows = sorted(levers, key=lambda row: -max(row.alone or 0.0, row.last or 0.0))
    most = max((max(abs(row.alone or 0.0), abs(row.last or 0.0)) for row in rows), default=1.0) or 1.0
    room, shapes = WIDTH - _LABEL - _VALUE, []
    for number, row in enumerate(rows):
        y = _TOP + number * _ROW
        alone, last = row.alone or 0.0, row.last or 0.0
        shapes += [
            _text(_LABEL - 8, y + 12, texts.name(row), anchor="end"),
            _bar(_LABEL, y, abs(last) / most * room, "last"),
            _bar(_LABEL, y + 4, abs(alone) / most * room, "gain" if alone >= 0 else "loss", height=_BAR - 8),
            _text(
                _LABEL + max(abs(alone), abs(last)) / most * room + 6,
                y + 12,
                f"{_signed(texts, alone)} / {_signed(texts, last)}  [{row.evidence}]",
            ),
        ]
    return _svg(texts("whatif.tornado"), shapes, _TOP + len(rows) * _ROW + 10)


def waterfall(texts: Texts, way: Way, base: float, target: float, levers: Iterable[LeverRow]) -> str:
    """Return D1 as today, what each lever of a way adds to it, and the target as a line."""
    names = {row.name: texts.name(row) for row in levers}
    room = WIDTH - _LABEL - _VALUE
    shapes = [
        _text(_LABEL - 8, _TOP + 12, texts("whatif.base"), anchor="end"),
        _bar(_LABEL, _TOP, base * room, "start"),
    ]
    shapes.append(_text(_LABEL + base * room + 6, _TOP + 12, texts.percent(base, 1)))
    before = base
    for number, (lever, rate) in enumerate(zip(way.levers, way.steps, strict=True), start=1):
        y, low = _TOP + number * _ROW, min(before, rate)
        kind = "gain" if rate >= before else "loss"
        shapes += [
            _text(_LABEL - 8, y + 12, names[lever], anchor="end"),
            _bar(_LABEL + low * room, y, abs(rate - before) * room, kind),
            _text(
                _LABEL + max(rate, before) * room + 6,
                y + 12,
                f"{texts.percent(rate, 1)}  ({_signed(texts, 100 * (rate - before))})",
            ),
        ]
        before = rate
    x, bottom = _LABEL + target * room, _TOP + (len(way.levers) + 1) * _ROW
    shapes.append(f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{bottom}"/>')
    shapes.append(_text(x, bottom + 16, texts.percent(target, 0), anchor="middle"))
    return _svg(texts("whatif.waterfall"), shapes, bottom + 30)


def heat_map(texts: Texts, found: Answer, by_province: Mapping[str, Sequence[float]]) -> str:
    """Return what each lever gains alone in each province, in points."""
    most = max((max(gains) for gains in by_province.values()), default=1.0) or 1.0
    top, shapes = _TOP + _SLANT, []
    for column, row in enumerate(found.levers):
        x, name = _PLACE + column * _CELL + _CELL / 2, escape(texts.name(row))
        shapes.append(f'<text transform="translate({x:.1f} {top - 8}) rotate(-45)" font-size="11">{name}</text>')
    for number, province in enumerate(found.provinces):
        y = top + number * (_ROW - 6)
        shapes.append(_text(_PLACE - 8, y + 14, texts.name(province), anchor="end"))
        shapes += [
            _cell(texts, _PLACE + column * _CELL, y, gain, most)
            for column, gain in enumerate(by_province[province.code])
        ]
    width = _PLACE + len(found.levers) * _CELL + 190
    return _svg(texts("whatif.heat_map"), shapes, top + len(found.provinces) * (_ROW - 6) + 10, width)


def _cell(texts: Texts, x: float, y: float, gain: float, most: float) -> str:
    shade = min(int(max(gain, 0.0) / most * len(_SHADES)), len(_SHADES) - 1)
    light = ' class="light"' if shade >= _WHITE_FROM else ""
    number = texts.number(round(gain, 1) + 0.0, 1)
    return (
        f'<rect x="{x}" y="{y}" width="{_CELL - 1}" height="{_ROW - 7}" fill="{_SHADES[shade]}"/>'
        f'<text x="{x + _CELL / 2}" y="{y + 14}" text-anchor="middle" font-size="11"{light}>{number}</text>'
    )


def page(texts: Texts, found: Answer, drawings: Sequence[str]) -> str:
    """Return an HTML page with the drawings and what they hang on."""
    place = next((texts.name(each) for each in found.provinces if each.code == found.place), texts("whatif.country"))
    title = escape(texts("whatif.title", place=place, day=found.day))
    told = "".join(f"<li>{escape(each.vi if texts.language == 'vi' else each.en)}</li>" for each in found.caveats)
    figures = "".join(f"<figure>{drawing}</figure>" for drawing in drawings)
    return (
        f'<!DOCTYPE html>\n<html lang="{texts.language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_PAGE_CSS}</style></head>'
        f"<body><h1>{title}</h1>{figures}<ul>{told}</ul></body></html>\n"
    )


def _svg(title: str, shapes: Iterable[str], height: float, width: float = WIDTH) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="whatif" role="img" aria-label="{escape(title)}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"><style>{_CSS}</style>'
        f'<text class="title" x="8" y="22">{escape(title)}</text>{"".join(shapes)}</svg>\n'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _bar(x: float, y: float, width: float, kind: str, *, height: float = _BAR) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{max(width, 0.5):.1f}" height="{height}"/>'


def _signed(texts: Texts, points: float) -> str:
    rounded = round(points, 1) + 0.0
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else ''}{texts.number(abs(rounded), 1)}"
