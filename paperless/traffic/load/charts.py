"""Charts of a load run as SVG without scripts, fonts or addresses of others.

Each is drawn twice, for a screen and for a phone: a drawing that is only made smaller cannot be read. A colour means
the same in all of them.
"""

import re
import sys
from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any, Final, NamedTuple

import pygal
from pygal.style import Style

from paperless.language import Texts
from paperless.traffic.load.result import Distribution, LoadResult, Measured, Second

# pygal adds a finder for plugins that has only the old protocol: each later import that fails would warn of it.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

# Okabe and Ito (2008): told apart with every kind of colour vision.
COLOURS: Final = {
    "sent": "#6b6b6b",
    "append": "#56b4e9",
    "decided": "#e69f00",
    "stored": "#0072b2",
    "p50": "#009e73",
    "p99": "#d55e00",
    "max": "#cc79a7",
    "backlog": "#5d3a9b",
}
# What has to be told apart in print, too: as the legend draws it, and the drawing.
_DASHES: Final = {"max": ("dotted", "2,4"), "sent": ("dashed", "6,3"), "append": ("dashed", "6,3")}
_SOLID: Final = ("solid", "")
# Steps of an axis whose every decade has the same length.
_LOG_STEPS: Final = (1, 2, 5)
# Where a percentile curve is read: each step leaves a tenth of the rest.
_CURVE: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0)
# Comments with the library's home page, and its configuration for a script that is not there.
_NOT_WANTED: Final = re.compile(r"<!--.*?-->|<script.*?</script>", re.DOTALL)
# Pygal's drawing area, with its background; what follows lies above it.
_PLOT: Final = re.compile(r'<g[^>]*class="plot"><rect[^>]*class="background"\s*/>')
_TEXT: Final = "#222222"
_STROKE_WIDTH: Final = 2


class Canvas(NamedTuple):
    """A size to draw for, in pixels of the screen: type is never scaled far from the size that it has here."""

    name: str
    width: int
    height: int
    type_size: int
    labels: int


CANVASES: Final = (Canvas("screen", 900, 340, 14, 12), Canvas("phone", 366, 320, 13, 5))


class Line(NamedTuple):
    """A series: what it means, for its colour; its name in the legend; its values."""

    meaning: str
    name: str
    values: Sequence[float | None]


class Chart(NamedTuple):
    """What is drawn: axis titles with their units, what stands below the axis, and the lines."""

    title: str
    x_title: str
    y_title: str
    x_labels: Sequence[str]
    lines: Sequence[Line]
    logarithmic: bool = False
    warm_up: int = 0


def charts(result: LoadResult, measured: Measured, texts: Texts) -> list[str]:
    """Return the figures of a run: percentiles, latency, throughput and backlog."""
    drawn = (_percentiles(measured, texts), *(make(result, measured, texts) for make in _OVER_TIME))
    return [_figure(chart, texts) for chart in drawn]


def _latency(result: LoadResult, measured: Measured, texts: Texts) -> Chart:
    """p50, p99 and maximum to the stored cell, by the second of the intended moment."""
    series = [row for row in measured.series if row.p50 is not None]
    lines = [Line(name, _named(texts, name), [getattr(row, name) for row in series]) for name in ("p50", "p99", "max")]
    return _over_time("latency", series, lines, result, texts)._replace(
        y_title=texts("report.latency_ms"), logarithmic=True
    )


def _throughput(result: LoadResult, measured: Measured, texts: Texts) -> Chart:
    names = ("sent", "decided", "stored")
    lines = [Line(name, texts(f"report.{name}"), [getattr(row, name) for row in measured.series]) for name in names]
    return _over_time("throughput", measured.series, lines, result, texts)


def _backlog(result: LoadResult, measured: Measured, texts: Texts) -> Chart:
    """How many applications were sent and without an outcome at the end of each second."""
    lines = [Line("backlog", texts("report.backlog"), [row.backlog for row in measured.series])]
    return _over_time("backlog", measured.series, lines, result, texts)


_OVER_TIME: Final[tuple[Callable[[LoadResult, Measured, Texts], Chart], ...]] = (_latency, _throughput, _backlog)


def _over_time(name: str, series: Sequence[Second], lines: Sequence[Line], result: LoadResult, texts: Texts) -> Chart:
    return Chart(
        title=texts(f"report.{name}_title"),
        x_title=texts("report.second"),
        y_title=texts("report.applications" if name == "backlog" else "report.applications_per_s"),
        x_labels=[str(row.second) for row in series],
        lines=lines,
        warm_up=sum(row.second < result.warm_up_s for row in series),
    )


def _percentiles(measured: Measured, texts: Texts) -> Chart:
    """The three latencies by percentile."""
    named = (("append", measured.to_append), ("decided", measured.to_outcome), ("stored", measured.to_stored))
    titles = ("load.to_append", "load.to_outcome", "load.to_stored")
    lines = [Line(name, texts(key), _curve(latency)) for (name, latency), key in zip(named, titles, strict=True)]
    return Chart(
        title=texts("report.percentiles_title"),
        x_title=texts("report.percentile"),
        y_title=texts("report.latency_ms"),
        x_labels=[texts.number(at, 2).rstrip("0").rstrip(",.") for at in _CURVE],
        lines=lines,
        logarithmic=True,
    )


def _curve(latency: Distribution) -> list[float | None]:
    if not latency.count:
        return [None] * len(_CURVE)
    values_us = latency.decoded.get_percentile_to_value_dict(list(_CURVE))
    return [max(values_us.get(at, 0), 1) / 1000 for at in _CURVE]


def _named(texts: Texts, figure: str) -> str:
    return texts("load.max") if figure == "max" else figure


def _figure(chart: Chart, texts: Texts) -> str:
    drawn = "".join(f'<div class="{canvas.name}">{_svg(chart, canvas, texts)}</div>' for canvas in CANVASES)
    title = escape(chart.title)
    legend = [_key(_swatch(line.meaning), line.name) for line in chart.lines]
    if chart.warm_up:
        legend.append(_key('class="shade"', texts("report.warm_up")))
    return f'<figure aria-label="{title}"><figcaption>{title}</figcaption>{drawn}<p>{" ".join(legend)}</p></figure>'


def _swatch(meaning: str) -> str:
    dash, _ = _DASHES.get(meaning, _SOLID)
    return f'class="swatch" style="border-top: 3px {dash} {COLOURS[meaning]}"'


def _key(drawn: str, name: str) -> str:
    """Return a key of the legend: pygal's own is cut at the edge of a small drawing."""
    return f'<span class="key"><span {drawn}></span> {escape(name)}</span>'


def _svg(chart: Chart, canvas: Canvas, texts: Texts) -> str:
    every = max(len(chart.x_labels) // canvas.labels, 1)
    line: Any = pygal.Line(
        x_labels=list(chart.x_labels),
        x_labels_major_every=every,
        show_minor_x_labels=False,
        x_title=chart.x_title,
        y_title=chart.y_title,
        logarithmic=chart.logarithmic,
        include_x_axis=not chart.logarithmic,
        value_formatter=lambda value: texts.number(value, 0 if value >= 1 or not value else 1),
        y_labels=_log_labels(chart.lines) if chart.logarithmic else None,
        **_options(canvas, [COLOURS[each.meaning] for each in chart.lines]),
    )
    for each in chart.lines:
        _, dashes = _DASHES.get(each.meaning, _SOLID)
        line.add(each.name, list(each.values), stroke_style={"width": _STROKE_WIDTH, "dasharray": dashes})
    # As `render` does; between, the drawing knows its scale.
    line.setup()
    drawn = line.svg.render(is_unicode=True)
    shade = _shade(line, chart.warm_up, len(chart.x_labels))
    line.teardown()
    return _PLOT.sub(lambda found: found.group() + shade, _NOT_WANTED.sub("", drawn), count=1)


def _log_labels(lines: Sequence[Line]) -> list[float] | None:
    """Return the round values from below the least to above the greatest; pygal writes ten into each decade."""
    values = [value for line in lines for value in line.values if value]
    if not values:
        return None
    decades = range(floor(log10(min(values))), ceil(log10(max(values))) + 1)
    steps = [step * 10.0**decade for decade in decades for step in _LOG_STEPS]
    below = max([step for step in steps if step <= min(values)], default=steps[0])
    above = min([step for step in steps if step >= max(values)], default=steps[-1])
    return [step for step in steps if below <= step <= above]


def _shade(line: Any, seconds: int, shown: int) -> str:
    """Return a shade behind the seconds that are not measured: pygal has none over a span of x."""
    if not 0 < seconds < shown:
        return ""
    # Its scale is of positions between 0 and 1.
    end = line.view.x(seconds / (shown - 1))
    return f'<rect x="0" y="0" width="{end:.1f}" height="{line.view.height:.1f}" class="warm-up"/>'


def _options(canvas: Canvas, colours: Sequence[str]) -> dict[str, object]:
    size = canvas.type_size
    return {
        # js: pygal's tooltips are a script of another host.
        "js": (),
        "style": Style(
            background="transparent",
            plot_background="transparent",
            # pygal's own default asks for a font of another host.
            font_family="sans-serif",
            foreground=_TEXT,
            foreground_strong=_TEXT,
            foreground_subtle="#555555",
            title_font_size=size,
            label_font_size=size - 1,
            major_label_font_size=size - 1,
            guide_stroke_color="#d5d5d5",
            major_guide_stroke_color="#bbbbbb",
            stroke_width=str(_STROKE_WIDTH),
            colors=tuple(colours),
        ),
        "width": canvas.width,
        "height": canvas.height,
        "explicit_size": False,
        "dots_size": 1.5,
        "disable_xml_declaration": True,
        "show_legend": False,
        "truncate_label": -1,
        "max_scale": 6,
        "margin": 4,
    }
