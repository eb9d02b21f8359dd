"""One HTML file with the figures and charts of a load run; it asks nobody for anything."""

from collections.abc import Iterable, Sequence
from html import escape

from paperless.language import Texts
from paperless.traffic.load.charts import charts
from paperless.traffic.load.compare import FIGURES, MEASURES, figures
from paperless.traffic.load.notes import notes_of
from paperless.traffic.load.result import LoadResult, Measured, Step

_CSS = """
:root { color-scheme: light; }
body { font: 16px/1.5 sans-serif; max-width: 960px; margin: 1.5rem auto; padding: 0 12px; color: #222;
  background: #fff; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2rem; }
figure { margin: 1.5rem 0; } figcaption { font-weight: bold; }
.phone { display: none; }
@media (max-width: 640px) { .phone { display: block; } .screen { display: none; } }
.warm-up, .shade { fill: #00000014; background: #00000014; }
.shade, .swatch { display: inline-block; width: 1.6em; vertical-align: middle; }
.shade { height: 1em; border: 1px solid #bbb; }
.key { display: inline-block; margin-right: 1.2em; }
figure p { margin: .3rem 0; font-size: .9rem; }
svg { width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
@media (max-width: 640px) { table { font-size: .85rem; width: 100%; } th, td { padding: .25rem; } }
pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; font-size: .8rem; }
dt { font-weight: bold; margin-top: .7rem; } dd { margin: 0; }
"""
# What a reader of the file finds in full in the JSON.
_LONG = {"measured": True, "steps": True}
_STEP_FIGURES = ("p50", "p99", "max")
TERMS = (
    "open_loop",
    "closed_loop",
    "intended",
    "percentile",
    "append",
    "outcome",
    "stored",
    "slip",
    "backlog",
    "warm_up",
    "sustained",
    "plan",
)


def report(result: LoadResult, texts: Texts) -> str:
    """Return the whole page, in one language."""
    named = _title(result, texts)
    title = escape(named[:1].upper() + named[1:])
    none = [f"<p>{escape(texts('report.none_sustained'))}</p>"]
    body = [
        f"<h1>{title}</h1>",
        f"<p>{escape(_where(result, texts))}</p>",
        _list(map(texts.say, notes_of(result))),
        _steps(result.steps, texts),
        *(_figures(result, result.measured, texts) if result.measured else none),
        _glossary(texts),
        f"<details><summary>{escape(texts('report.run'))}</summary>",
        f"<pre>{escape(result.model_dump_json(indent=1, exclude=_LONG))}</pre></details>",
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="{texts.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_CSS}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _where(result: LoadResult, texts: Texts) -> str:
    at, machine = result.started_at.isoformat(timespec="seconds"), result.machine
    return texts("report.where", at=at, plan=result.plan_name, cores=machine.cores, cpu=machine.cpu)


def _title(result: LoadResult, texts: Texts) -> str:
    if result.mode == "closed":
        return texts("load.closed_loop", in_flight=result.in_flight)
    if result.mode == "max":
        rate = texts.number(result.rate) if result.rate else "–"
        return texts("report.highest", rate=rate, limit=round(result.limit_p99_ms or 0))
    return texts("load.open_loop", rate=round(result.rate or 0), arrivals=result.arrivals)


def _figures(result: LoadResult, measured: Measured, texts: Texts) -> Iterable[str]:
    yield f"<h2>{escape(texts('load.compare_title'))}</h2>"
    columns = [[texts.number(value, 1) for value in figures(getattr(measured, name))] for name in MEASURES]
    rows = [[_figure(name, texts), *cells] for name, *cells in zip(FIGURES, *columns, strict=True)]
    yield _table(["", *(texts(f"load.{name}") for name in MEASURES)], rows)
    percentiles, *over_time = charts(result, measured, texts)
    yield percentiles
    yield f"<h2>{escape(texts('report.over_time'))}</h2>"
    yield from over_time
    yield f"<h2>{escape(texts('report.counted'))}</h2>"
    counts = measured.counts.model_dump().items()
    yield _table(
        ["", texts("report.applications")],
        [[texts(f"report.count_{name}"), texts.number(count)] for name, count in counts],
    )


def _figure(name: str, texts: Texts) -> str:
    return texts(f"load.{name}") if name in {"max", "mean"} else name


def _steps(steps: Sequence[Step], texts: Texts) -> str:
    if not steps:
        return ""
    rows = []
    for step in steps:
        found = dict(zip(FIGURES, figures(step.measured.to_stored), strict=True))
        verdict = texts("load.sustained" if step.sustained else "load.not_sustained")
        said = texts("load.step", rate=round(step.rate), verdict=verdict, why=step.why)
        rows.append([said, *(texts.number(found[name], 1) for name in _STEP_FIGURES)])
    head = [texts("report.step"), *(_figure(name, texts) for name in _STEP_FIGURES)]
    return f"<h2>{escape(texts('report.steps'))}</h2>" + _table(head, rows)


def _glossary(texts: Texts) -> str:
    terms = "".join(
        f"<dt>{escape(texts(f'term.{name}.name'))}</dt><dd>{escape(texts(f'term.{name}.meaning'))}</dd>"
        for name in TERMS
    )
    return f"<h2>{escape(texts('report.glossary'))}</h2><dl>{terms}</dl>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{cells}</tr>{lines}</table></div>'


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"
