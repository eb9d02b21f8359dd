"""The report as one HTML page that asks nobody for anything. Pure: what it shows is what the scoring API answered."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final, NamedTuple

from domain import VN, Domain
from paperless.language import Texts
from paperless.language.texts import NONE
from paperless.report.levers import Levers, levers_section
from paperless.report.map import tile_map
from paperless.report.markup import heading, note, table
from paperless.verification.correction_backlog import OwnerBacklog
from services.scoring.rates.definitions import Published
from services.scoring.rates.index766 import IndexTable
from services.scoring.rates.rates import Rate, RateRow, RatesTable
from services.scoring.rates.restatement import PublishedMonth
from services.scoring.rates.why import WhyTable

SHOWN_REASONS: Final = 12
BREACHES: Final = "papers_asked_although_data_were_there"
_CSS: Final = """
body { margin: 0 auto; max-width: 900px; padding: 12px; font: 15px/1.45 sans-serif; color: #14202e; background: #fff; }
h1 { font-size: 24px; margin: 8px 0; } h2 { font-size: 18px; margin: 22px 0 6px; border-bottom: 2px solid #1d6aa8; }
table { border-collapse: collapse; width: 100%; margin: 6px 0; font-size: 13px; }
th, td { text-align: right; padding: 3px 6px; border-bottom: 1px solid #d5dce3; } th { color: #52606d; }
th.name, td.name { text-align: left; } td { white-space: nowrap; } td.name { white-space: normal; }
.wide { overflow-x: auto; } th::first-letter, .head::first-letter { text-transform: uppercase; }
.note { color: #52606d; font-size: 13px; }
.heads { display: flex; flex-wrap: wrap; gap: 10px; }
.head { border: 1px solid #d5dce3; padding: 8px 12px; flex: 1 1 150px; }
.head b { display: block; font-size: 24px; } svg { display: block; margin: 0 auto; max-width: 100%; height: auto; }
@page { size: A4; margin: 14mm; }
@media print { body { font-size: 10.5pt; padding: 0; max-width: none; } .wide { overflow: visible; }
  tr, svg, p, .heads, table:not(:has(tr:nth-child(16))) { break-inside: avoid; } h2, h2 + p { break-after: avoid; }
  svg { max-height: 150mm; } thead { display: table-header-group; } }
"""


class Facts(NamedTuple):
    """What a month's report shows; parts that nobody has are None or empty.

    `ranking` is that by Decision 766, `published` the month as it was frozen, `backlog` what owners of databases
    were asked to correct; `levers` what a simulated day says of the way to the target.
    """

    month: str
    domain: Domain
    rates: RatesTable
    why: WhyTable
    ranking: IndexTable | None
    published: PublishedMonth | None
    backlog: Sequence[OwnerBacklog]
    levers: Levers | None = None


def page(texts: Texts, facts: Facts) -> str:
    """Return the report in one language."""
    title = escape(texts("monthly.title", month=facts.month))
    sections = "".join(f"<section>{section}</section>" for section in _sections(texts, facts) if section)
    return (
        f'<!DOCTYPE html>\n<html lang="{texts.language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_CSS}</style></head><body>'
        f"<h1>{title}</h1><p>{escape(texts('monthly.simulated'))}</p>{sections}</body></html>\n"
    )


def _sections(texts: Texts, facts: Facts) -> list[str]:
    return [
        _headlines(texts, facts.rates),
        heading(texts("monthly.map")) + note(texts("monthly.map_note")) + tile_map(texts, facts.rates, facts.domain),
        _ranking(texts, facts.rates, facts.ranking),
        _why(texts, facts.why),
        levers_section(texts, facts.levers) if facts.levers else note(texts("monthly.levers")),
        _breaches(texts, facts.rates),
        _backlog(texts, facts.backlog, facts.domain),
        _restatements(texts, facts.published),
        _method(texts, facts.rates),
    ]


def _headlines(texts: Texts, rates: RatesTable) -> str:
    heads = [_head(texts, texts.name(row), row.rates["d1"], row.published.get("d1")) for row in rates.by_authority[:2]]
    country = rates.country_d1
    if country is not None:
        heads.append(_box(texts, texts("rates.mix"), texts.percent(country.value), country.published))
    total = rates.total
    heads.append(_box(texts, texts("monthly.papers_avoided"), texts.number(total.papers_avoided), None))
    heads.append(_head(texts, texts("rates.online"), total.rates["online"], total.published.get("online")))
    heads.append(_head(texts, texts("rates.on_time"), total.rates["on_time"], total.published.get("on_time")))
    return heading(texts("monthly.headlines")) + f'<div class="heads">{"".join(heads)}</div>'


def _head(texts: Texts, name: str, rate: Rate, published: Published | None) -> str:
    return _box(texts, name, percent(texts, rate), published)


def _box(texts: Texts, name: str, value: str, published: Published | None) -> str:
    beside = texts("monthly.published", figure=_figure(texts, published)) if published else ""
    return f'<div class="head">{escape(name)}<b>{escape(value)}</b><span class="note">{escape(beside)}</span></div>'


def _figure(texts: Texts, published: Published) -> str:
    return f"{texts.percent(published.value)} [{published.evidence}]"


def percent(texts: Texts, rate: Rate) -> str:
    """Return a rate as `paperless rates` writes it, a dash where nothing was counted."""
    return texts.percent(rate.numerator / rate.denominator if rate.denominator else None)


def _ranking(texts: Texts, rates: RatesTable, index: IndexTable | None) -> str:
    places = {row.province: row for row in index.rows} if index else {}
    rows = []
    for row in rates.rows:
        place = places.get(row.key)
        points = NONE if place is None else texts.number(place.score, 1)
        moved = NONE if place is None or place.movement is None else f"{place.movement:+d}".replace("+0", "0")
        shares = [percent(texts, row.rates[name]) for name in ("d1", "d2", "paperless", "online", "on_time")]
        rank = NONE if row.rank is None else str(row.rank)
        rows.append([texts.name(row), rank, texts.number(row.applications), *shares, points, moved])
    names = [texts(f"rates.{name}") for name in ("rank", "decided", "d1", "d2", "paperless", "online", "on_time")]
    heads = [texts("rates.province"), *names, texts("monthly.index"), texts("monthly.moved")]
    return heading(texts("monthly.ranking")) + note(texts("monthly.ranking_note")) + table(heads, rows)


def _why(texts: Texts, why: WhyTable) -> str:
    heads = [texts("why.reason"), *[texts(f"why.{name}") for name in ("applications", "alone", "lifted")]]
    rows = [
        [
            texts.name(row),
            texts.number(row.applications),
            texts.number(row.alone),
            f"{'≤ ' if row.upper_bound else ''}{percent(texts, row.d1_if_lifted)}",
        ]
        for row in why.reasons[:SHOWN_REASONS]
    ]
    names = {row.reason: texts.name(row) for row in why.reasons}
    pairs = [
        [" + ".join(names.get(each, each) for each in pair.reasons), percent(texts, pair.d1_if_lifted)]
        for pair in why.pairs
    ]
    both = table([texts("why.both_lifted"), texts("why.lifted")], pairs)
    return heading(texts("why.reasons")) + table(heads, rows) + both + note(texts("monthly.reasons_note"))


def _breaches(texts: Texts, rates: RatesTable) -> str:
    rows = [
        [texts.name(row), texts.number(row.rates[BREACHES].numerator), percent(texts, row.rates[BREACHES])]
        for row in [rates.total, *_most_breaches(rates.rows)]
    ]
    heads = [texts("rates.province"), texts("monthly.components"), texts("monthly.share")]
    return heading(texts("monthly.breaches")) + table(heads, rows)


def _most_breaches(rows: Sequence[RateRow], shown: int = 5) -> list[RateRow]:
    counted = [row for row in rows if row.rates[BREACHES].denominator]
    return sorted(counted, key=lambda row: -row.rates[BREACHES].numerator / row.rates[BREACHES].denominator)[:shown]


def _backlog(texts: Texts, backlog: Sequence[OwnerBacklog], domain: Domain) -> str:
    if not backlog:
        return ""
    rows = []
    for row in sorted(backlog, key=lambda each: -each.backlog):
        database = domain.databases.get(row.database)
        name, owner = (texts.name(database), database.owner) if database else (row.database, NONE)
        rows.append(
            [f"{name} ({owner})", *[texts.number(each) for each in (row.requested, row.worked_off, row.backlog)]]
        )
    heads = [texts(f"corrections.{name}") for name in ("database", "requested", "worked_off", "backlog")]
    return heading(texts("monthly.backlog")) + table(heads, rows)


def _restatements(texts: Texts, published: PublishedMonth | None) -> str:
    if published is None:
        return heading(texts("monthly.restatements")) + note(texts("monthly.not_published"))
    frozen = note(texts("monthly.frozen", at=_moment(published.publication.published_at)))
    rows = [
        [
            texts.name(row),
            f"{texts.number(row.published.end_to_end)} / {texts.number(row.published.applications)}",
            f"{texts.number(row.restated.end_to_end)} / {texts.number(row.restated.applications)}",
            NONE if row.d1_points is None else texts.number(row.d1_points, 2),
        ]
        for row in published.restatements
    ]
    heads = [texts("rates.province"), texts("monthly.as_published"), texts("monthly.restated"), texts("monthly.points")]
    return heading(texts("monthly.restatements")) + frozen + (table(heads, rows) if rows else "")


def _moment(written: str) -> str:
    """Return a moment (ISO 8601) as it was in Viet Nam, to the minute."""
    return f"{datetime.fromisoformat(written).astimezone(VN):%Y-%m-%d %H:%M}"


def _method(texts: Texts, rates: RatesTable) -> str:
    told = [
        texts(
            "monthly.definition",
            name=texts.name(each),
            numerator=texts(f"definition.{name}.numerator"),
            denominator=texts(f"definition.{name}.denominator"),
        )
        for name, each in rates.definitions.items()
    ]
    sources = {figure.source for row in [rates.total, *rates.by_authority] for figure in row.published.values()}
    lines = [*told, texts("monthly.sources", sources="; ".join(sorted(sources)))]
    return heading(texts("monthly.method")) + "".join(f'<p class="note">{escape(line)}</p>' for line in lines)
