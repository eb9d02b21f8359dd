"""The index of Decision 766 over cells, as far as its components are modelled: points, ranks, movement. Pure and exact.

`domain/data/index.csv` holds points and targets: a rate gives `points * rate / target`, at most all points; without a
target `points * rate`. Only what provinces run is scored, as in the published sheets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

from domain import Domain, IndexComponent, IndexMeasure, Procedure
from services.scoring.rates.definitions import DESCRIBED
from services.scoring.rates.rates import DISPLAY_DIGITS, RANKED_FROM, Cells, select
from services.scoring.rollup.cells import Measures, parse_pattern

POPULATION: Final = "dan_cu"
# Dossiers without a result: refused, or stopped because nobody answered.
WITHOUT_RESULT: Final = frozenset({"rejected", "stopped"})


class Share(NamedTuple):
    """Numerator and denominator of a rate."""

    numerator: int = 0
    denominator: int = 0

    def plus(self, other: "Share", times: int = 1) -> "Share":
        return Share(self.numerator + times * other.numerator, self.denominator + times * other.denominator)


Shares = Mapping[IndexMeasure, Share]


@dataclass(frozen=True, slots=True)
class IndexPart:
    """One component of one province: its rate as two integers, and what it scores."""

    code: str
    numerator: int
    denominator: int
    score: float | None
    """Points, rounded for display; null where nothing was counted."""


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One province: the sum of its modelled components, its rank, and how it moved against the month before."""

    province: str
    name_vi: str
    name_en: str
    applications: int
    score: float
    rank: int | None
    """Among provinces with 100 applications or more; null with fewer."""
    previous_rank: int | None
    movement: int | None
    """Places gained against the month before (negative: lost); null where either month has no rank."""
    parts: list[IndexPart]


@dataclass(frozen=True, slots=True)
class IndexTable:
    """A month's ranking. `modelled_points` of 100 can be scored; `not_modelled` says why the others cannot."""

    __pydantic_config__ = DESCRIBED

    month: str
    previous_month: str | None
    modelled_points: int
    rows: list[IndexRow]
    not_modelled: dict[str, str]


def index_table(cells: Cells, domain: Domain, month: str) -> IndexTable:
    """Return the index of a month, provinces by score; a month without outcomes has rows without scores."""
    before = max((cell.month for cell in cells if cell.month < month), default=None)
    scored = _scored(cells, domain, month)
    now = _ranks(scored)
    then = {} if before is None else _ranks(_scored(cells, domain, before))
    rows = [_row(domain, code, each, now.get(code), then.get(code)) for code, each in _by_score(scored)]
    return IndexTable(
        month=month,
        previous_month=before,
        modelled_points=sum(component.points for component in domain.index if component.measure),
        rows=rows,
        not_modelled={component.code: component.basis for component in domain.index if not component.measure},
    )


class _Scored(NamedTuple):
    applications: int
    total: Fraction
    parts: tuple[tuple[IndexComponent, Share, Fraction | None], ...]


def _scored(cells: Cells, domain: Domain, month: str) -> Mapping[str, _Scored]:
    """Return the scores of every province in a month."""
    procedures = domain.on(date.fromisoformat(f"{month}-01")).procedures
    sums: dict[str, dict[IndexMeasure, Share]] = {code: {} for code in domain.provinces}
    for cell, measures in select(cells, month=month, authority="province").items():
        shares = shares_of_cell(cell.pattern, cell.channel == "online", procedures[cell.procedure], measures)
        totals = sums[cell.province]
        for name, share in shares.items():
            totals[name] = totals.get(name, Share()).plus(share)
    return {code: _score_of(totals, domain.index) for code, totals in sums.items()}


def _score_of(totals: Shares, components: Iterable[IndexComponent]) -> _Scored:
    parts = []
    for component in components:
        if component.measure:
            share = totals.get(component.measure, Share())
            parts.append((component, share, score(component, share)))
    total = sum((points for *_, points in parts if points is not None), Fraction())
    return _Scored(totals.get("on_time", Share()).denominator, total, tuple(parts))


def score(component: IndexComponent, share: Share) -> Fraction | None:
    """Return the points of a rate, exactly; None where nothing was counted."""
    if not share.denominator:
        return None
    rate = Fraction(share.numerator, share.denominator)
    target = Fraction(1) if component.target is None else Fraction(str(component.target))
    return component.points * min(rate / target, Fraction(1))


def shares_of_cell(pattern: str, online: bool, procedure: Procedure, measures: Measures) -> Shares:  # noqa: FBT001  a fact
    """Return what a cell counts for, by measure."""
    of_pattern = _of_pattern(pattern, online, procedure.fee_online_vnd > 0, procedure.electronic_result)
    shares = {name: Share().plus(share, measures.n) for name, share in of_pattern.items()}
    on_time = Share(measures.on_time, measures.n)
    return {**shares, "on_time": on_time, "not_overdue": on_time}


@lru_cache(maxsize=65_536)
def _of_pattern(pattern: str, online: bool, fee: bool, electronic: bool) -> Shares:  # noqa: FBT001  a cache's key
    outcome, _, reasons, components = parse_pattern(pattern)
    result = outcome not in WITHOUT_RESULT
    attached = result and "electronic_result_missing" not in reasons
    proofs = [part for part in components if part.source != "form"]
    by_data = [part for part in proofs if part.source == "data"]
    paid = result and online and "fee_not_paid_online" not in reasons
    population = any(part.database == POPULATION for part in by_data)
    return {
        "online_with_result": Share(int(online and attached), 1),
        "fees_paid_online": Share(int(fee and paid), int(fee and result)),
        "electronic_result": Share(int(electronic and attached), int(electronic and result)),
        "reused_data": Share(int(bool(by_data)), int(bool(proofs))),
        "population_data": Share(int(population), int(bool(proofs))),
    }


def _by_score(scored: Mapping[str, _Scored]) -> list[tuple[str, _Scored]]:
    return sorted(scored.items(), key=lambda item: (-item[1].total, item[0]))


def _ranks(scored: Mapping[str, _Scored]) -> Mapping[str, int]:
    """Return the ranks of the provinces with enough applications; equal scores share one."""
    ranked = [(code, each.total) for code, each in _by_score(scored) if each.applications >= RANKED_FROM]
    totals = [total for _, total in ranked]
    return {code: totals.index(total) + 1 for code, total in ranked}


def _row(domain: Domain, code: str, scored: _Scored, rank: int | None, previous: int | None) -> IndexRow:
    return IndexRow(
        province=code,
        name_vi=domain.provinces[code].name_vi,
        name_en=domain.provinces[code].name_en,
        applications=scored.applications,
        score=_display(scored.total),
        rank=rank,
        previous_rank=previous,
        movement=None if rank is None or previous is None else previous - rank,
        parts=[_part(*part) for part in scored.parts],
    )


def _part(component: IndexComponent, share: Share, points: Fraction | None) -> IndexPart:
    return IndexPart(component.code, *share, None if points is None else _display(points))


def _display(points: Fraction) -> float:
    return round(float(points), DISPLAY_DIGITS)
