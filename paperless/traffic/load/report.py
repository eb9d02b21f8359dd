"""One HTML file with the figures and charts of a load run; it asks nobody for anything."""

from collections.abc import Iterable, Sequence
from html import escape

from paperless.traffic.load.charts import backlog_over_time, latency_over_time, percentile_curve, throughput_over_time
from paperless.traffic.load.compare import FIGURES, MEASURES, figures
from paperless.traffic.load.result import LoadResult, Measured

_CSS = """
body { font: 15px/1.45 sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; }
pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; }
"""
# What a reader of the file finds in full in the JSON.
_LONG = {"measured": True, "steps": True}


def report(result: LoadResult) -> str:
    """Return the whole page."""
    body = [
        f"<h1>{escape(_title(result))}</h1>",
        f"<p>{escape(_where(result))}</p>",
        _list(result.notes),
        _steps(result),
        *(_figures(result.measured) if result.measured else ["<p>No rate was sustained.</p>"]),
        "<h2>The run</h2>",
        f"<pre>{escape(result.model_dump_json(indent=1, exclude=_LONG))}</pre>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(_title(result))}</title><style>{_CSS}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _where(result: LoadResult) -> str:
    at, machine = result.started_at.isoformat(timespec="seconds"), result.machine
    return f"{at}, fault plan {result.plan_name}, {machine.cores} cores, {machine.cpu}"


def _title(result: LoadResult) -> str:
    if result.mode == "closed":
        return f"Closed loop, {result.in_flight} in flight"
    if result.mode == "max":
        found = f"{result.rate:,.0f}/s" if result.rate else "none found"
        return f"Highest sustained rate: {found} (p99 under {result.limit_p99_ms:,.0f} ms)"
    return f"Open loop, {result.rate:,.0f}/s, {result.arrivals}"


def _figures(measured: Measured) -> Iterable[str]:
    yield "<h2>Latency from the intended moment (ms)</h2>"
    rows = [[title, *(f"{value:,.2f}" for value in figures(getattr(measured, name)))] for name, title in MEASURES]
    yield _table(["", *FIGURES], rows)
    yield percentile_curve(measured)
    yield latency_over_time(measured)
    yield "<h2>Load</h2>"
    yield _table(["", "applications"], [[name, f"{count:,}"] for name, count in measured.counts.model_dump().items()])
    yield throughput_over_time(measured)
    yield backlog_over_time(measured)


def _steps(result: LoadResult) -> str:
    if not result.steps:
        return ""
    rows = [
        [f"{step.rate:,.0f}/s: {'sustained' if step.sustained else 'not sustained'}, {step.why}"]
        + [f"{value:,.1f}" for value in figures(step.measured.to_stored)]
        for step in result.steps
    ]
    return "<h2>Steps, to the stored cell (ms)</h2>" + _table(["step", *FIGURES], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{lines}</table>"


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"
