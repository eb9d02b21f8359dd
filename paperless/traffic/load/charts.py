"""Charts of a load run as SVG without scripts, fonts or addresses of others."""

import re
import sys
from collections.abc import Sequence

import pygal
from pygal.style import Style

from paperless.traffic.load.result import Distribution, Measured, Second

# pygal adds a finder for plugins that has only the old protocol: each later import that fails would warn of it.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    font_family="sans-serif",
    # pygal's own default asks for a font of another host.
    title_font_size=15,
    label_font_size=11,
    legend_font_size=12,
    colors=("#1f77b4", "#d62728", "#7f7f7f", "#2ca02c"),
)
# Where a percentile curve is read: each step leaves a tenth of the rest.
_CURVE = (0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0)
# Comments with the library's home page, and its configuration for a script that is not there.
_NOT_WANTED = re.compile(r"<!--.*?-->|<script.*?</script>", re.DOTALL)
_LABELS_WANTED = 12


def latency_over_time(measured: Measured) -> str:
    """Return p50, p99 and maximum to the stored cell, by the second of the intended moment; logarithmic."""
    series = [row for row in measured.series if row.p50 is not None]
    chart = _line("Latency to the stored cell, by intended second (ms)", series, logarithmic=True)
    for name in ("p50", "p99", "max"):
        chart.add(name, [getattr(row, name) for row in series])
    return _svg(chart)


def backlog_over_time(measured: Measured) -> str:
    """Return how many applications were sent and without an outcome at the end of each second."""
    chart = _line("Backlog: sent, without an outcome", measured.series)
    chart.add("applications", [row.backlog for row in measured.series])
    return _svg(chart)


def throughput_over_time(measured: Measured) -> str:
    """Return what was sent, decided and stored in each second."""
    chart = _line("Applications per second", measured.series)
    for name in ("sent", "decided", "stored"):
        chart.add(name, [getattr(row, name) for row in measured.series])
    return _svg(chart)


def percentile_curve(measured: Measured) -> str:
    """Return the three latencies by percentile; logarithmic."""
    chart = pygal.Line(
        **_options("Latency by percentile (ms)"), x_labels=[f"{at:g}" for at in _CURVE], logarithmic=True
    )
    named = (("append", measured.to_append), ("outcome", measured.to_outcome), ("stored cell", measured.to_stored))
    for name, latency in named:
        chart.add(f"to {name}", _curve(latency))
    return _svg(chart)


def _curve(latency: Distribution) -> list[float | None]:
    if not latency.count:
        return [None] * len(_CURVE)
    values_us = latency.decoded.get_percentile_to_value_dict(list(_CURVE))
    return [max(values_us.get(at, 0), 1) / 1000 for at in _CURVE]


def _line(title: str, series: Sequence[Second], *, logarithmic: bool = False) -> pygal.Line:
    every = max(len(series) // _LABELS_WANTED, 1)
    return pygal.Line(
        **_options(title),
        x_labels=[str(row.second) for row in series],
        x_labels_major_every=every,
        show_minor_x_labels=False,
        logarithmic=logarithmic,
    )


def _options(title: str) -> dict[str, object]:
    # js: pygal's tooltips are a script of another host.
    return {
        "title": title,
        "js": (),
        "style": _STYLE,
        "width": 900,
        "height": 320,
        "dots_size": 1.5,
        "disable_xml_declaration": True,
        "legend_at_bottom": True,
    }


def _svg(chart: pygal.Line) -> str:
    return _NOT_WANTED.sub("", chart.render(is_unicode=True))
