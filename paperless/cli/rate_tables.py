"""The tables of the scoring API as text."""

from collections.abc import Sequence
from typing import Final

from rich.console import RenderableType

from paperless.cli.terminal import Column, table
from paperless.language import Texts
from paperless.language.texts import NONE
from services.scoring.rates.definitions import MeasureName, Published
from services.scoring.rates.rates import RANKED_FROM, Rate, RateRow, RatesTable
from services.scoring.rates.why import DatabaseRow, PairRow, ReasonRow, WhyTable

# Beside D1, which is always shown with its interval.
SHARES: Final[tuple[MeasureName, ...]] = ("d2", "paperless", "online", "on_time")
ALWAYS: Final[tuple[MeasureName, ...]] = ("d2", "paperless", "online")
NAME_WIDTH, PLACE_WIDTH, REASON_WIDTH, PAIR_WIDTH, DATABASE_WIDTH = 25, 14, 40, 60, 44
COUNTS: Final = ("found", "missing", "mismatch", "unreachable", "blocking", "alone")
COUNTS_ALWAYS: Final = ("found", "missing", "blocking", "alone")


def rates_shown(texts: Texts, rates: RatesTable, *, wide: bool = False) -> list[RenderableType]:
    """Return league table, both authorities and definitions."""
    definitions = [
        texts(
            "rates.definition",
            name=name,
            meaning=texts.name(each),
            numerator=texts(f"definition.{name}.numerator"),
            denominator=texts(f"definition.{name}.denominator"),
        )
        for name, each in rates.definitions.items()
    ]
    tables = [league_table(texts, rates, wide=wide), authority_table(texts, rates, wide=wide)]
    return [*tables, *definitions, *([] if wide else [texts("rates.more_columns")])]


def league_table(texts: Texts, rates: RatesTable, *, limit: int | None = None, wide: bool = False) -> RenderableType:
    """Return the provinces by D1; `limit` keeps the first ones and the last three."""
    rows = [row for row in rates.rows if row.applications]
    shown = rows if limit is None or len(rows) <= limit else [*rows[: limit - 3], *rows[-3:]]
    title = texts(
        "rates.title",
        run_by=texts(f"rates.run_by_{rates.authority}"),
        d1=percent(texts, rates.total.rates["d1"]),
        applications=rates.total.applications,
    )
    columns = [
        Column(texts("rates.rank")),
        Column(texts("rates.province"), number=False, width=PLACE_WIDTH),
        *_rate_columns(texts, ALWAYS),
    ]
    lines = [[NONE if row.rank is None else str(row.rank), row.name_vi, *_rate_cells(texts, row)] for row in shown]
    note = texts("rates.ranks_from", **{"from": RANKED_FROM})
    return table(title, columns, lines, wide=wide, note=note)


def _rate_columns(texts: Texts, always: Sequence[MeasureName]) -> list[Column]:
    """Return the columns of applications, D1 and the other shares, each with its interval."""
    others = [
        column
        for name in SHARES
        for column in (
            Column(texts(f"rates.{name}"), wide=name not in always),
            Column(texts("rates.interval"), wide=True),
        )
    ]
    return [Column(texts("rates.decided")), Column(texts("rates.d1")), Column(texts("rates.interval")), *others]


def _rate_cells(texts: Texts, row: RateRow) -> list[str]:
    cells = [cell for name in ("d1", *SHARES) for cell in _rate_and_interval(texts, row.rates[name])]
    return [texts.number(row.applications), *cells]


def _rate_and_interval(texts: Texts, rate: Rate) -> tuple[str, str]:
    if rate.interval is None:
        return percent(texts, rate), NONE
    low, high = (texts.number(100 * end, 2) for end in rate.interval)
    return percent(texts, rate), f"{low}–{high}"


def authority_table(texts: Texts, rates: RatesTable, *, wide: bool = False) -> RenderableType:
    """Return the rates by who runs the procedures, each beside its published figure."""
    columns = [
        Column(texts("rates.run_by"), number=False, width=NAME_WIDTH),
        *_rate_columns(texts, ("d2",)),
    ]
    columns.insert(4, Column(texts("rates.published_d1")))
    lines, note = [], ""
    for row in rates.by_authority:
        cells = _rate_cells(texts, row)
        lines.append([texts.name(row), *cells[:3], _figure(texts, row.published.get("d1")), *cells[3:]])
    country = rates.country_d1
    if country and country.value is not None and country.published:
        shares = {"provinces": country.province_share, "ministries": country.ministry_share}
        note = texts("rates.mix_note", **{name: texts.percent(share, 1) for name, share in shares.items()})
        cells = [texts("rates.mix"), "", texts.percent(country.value), "", _figure(texts, country.published)]
        lines.append([*cells, *[""] * (len(columns) - len(cells))])
    return table(texts("rates.authorities"), columns, lines, wide=wide, note=note)


def why_head(texts: Texts, why: WhyTable, place: str | None = None) -> str:
    """Return how many did not end end to end; `place` is the province's name."""
    return texts(
        "why.head",
        missed=why.not_end_to_end,
        applications=why.applications,
        run_by=texts(f"rates.run_by_{why.authority}"),
        place=place or why.province or texts("why.country"),
        d1=percent(texts, why.d1),
    )


def why_shown(texts: Texts, why: WhyTable, *, limit: int = 15, wide: bool = False) -> list[RenderableType]:
    """Return why applications did not end end to end, and what lifting each reason would give."""
    names = {row.reason: texts.name(row) for row in why.reasons}
    return [
        why_head(texts, why),
        reasons_table(texts, why.reasons[:limit], wide=wide),
        _pairs_table(texts, why.pairs[:5], names, wide=wide),
        _databases_table(texts, why.databases[:limit], wide=wide),
        *([] if wide else [texts("rates.more_columns")]),
    ]


def reasons_table(texts: Texts, rows: Sequence[ReasonRow], *, wide: bool = False) -> RenderableType:
    """Return the reasons; with all columns also their identifiers."""
    columns = [
        Column(texts("why.reason"), number=False, width=REASON_WIDTH),
        Column("", number=False, wide=True),
        *(Column(texts(f"why.{name}")) for name in ("applications", "alone", "lifted")),
    ]
    lines = [
        [texts.name(row), row.reason, texts.number(row.applications), texts.number(row.alone), _lifted(texts, row)]
        for row in rows
    ]
    return table(texts("why.reasons"), columns, lines, wide=wide)


def _lifted(texts: Texts, row: ReasonRow | PairRow) -> str:
    return f"{'≤ ' if row.upper_bound else ''}{percent(texts, row.d1_if_lifted)}"


def _pairs_table(texts: Texts, pairs: Sequence[PairRow], names: dict[str, str], *, wide: bool) -> RenderableType:
    columns = [Column(texts("why.both_lifted"), number=False, width=PAIR_WIDTH), Column(texts("why.lifted"))]
    lines = [[" + ".join(names.get(each, each) for each in pair.reasons), _lifted(texts, pair)] for pair in pairs]
    return table(texts("why.pairs"), columns, lines, wide=wide)


def _databases_table(texts: Texts, rows: Sequence[DatabaseRow], *, wide: bool) -> RenderableType:
    columns = [
        Column(texts("why.database"), number=False, width=DATABASE_WIDTH),
        *(Column(texts(f"why.{name}"), wide=name not in COUNTS_ALWAYS) for name in COUNTS),
    ]
    lines = [[texts.name(row), *(texts.number(getattr(row, name)) for name in COUNTS)] for row in rows]
    return table(texts("why.databases"), columns, lines, wide=wide)


def percent(texts: Texts, rate: Rate) -> str:
    """Return a rate as text, a dash where nothing was counted."""
    return texts.percent(rate.numerator / rate.denominator if rate.denominator else None)


def _figure(texts: Texts, published: Published | None) -> str:
    """Return a published figure as text with its evidence mark, a dash where there is none."""
    return f"{texts.percent(published.value)} [{published.evidence}]" if published else NONE
