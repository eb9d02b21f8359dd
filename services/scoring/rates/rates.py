"""The rates over cells: exact integers, their definitions, and the published figure beside them. Pure."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from functools import lru_cache
from math import sqrt
from typing import Final, NamedTuple, TypeVar

from domain import Domain, Procedure
from services.scoring.rates.definitions import (
    DEFINITIONS,
    DESCRIBED,
    AuthorityFilter,
    Definition,
    MeasureName,
    Published,
    published_for_country,
    published_for_province,
)
from services.scoring.rollup.cells import CellKey, Measures, parse_pattern

Cells = Mapping[CellKey, Measures]
Group = TypeVar("Group", bound=Hashable)
AUTHORITIES: Final[tuple[AuthorityFilter, ...]] = ("province", "ministry", "all")
AUTHORITY_NAMES: Final[Mapping[AuthorityFilter, tuple[str, str]]] = {
    "province": ("Địa phương giải quyết", "Run by provinces"),
    "ministry": ("Bộ, ngành giải quyết", "Run by ministries"),
    "all": ("Tất cả", "Both"),
}
# Causes that CT 24/CT-TTg forbids: the data were there.
BREACHES: Final = frozenset({"asked_anyway", "asked_again"})
# Enough for two decimals of a percentage, few enough to read.
DISPLAY_DIGITS: Final = 6
# With fewer applications a place is chance: its D1 is known to ten points at best.
RANKED_FROM: Final = 100
# 97.5 % of a standard normal distribution lie below it.
Z_95: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate as two exact integers; `value` is rounded for display, null where nothing was counted."""

    numerator: int
    denominator: int
    value: float | None
    interval: tuple[float, float] | None = None
    """Of a share: the Wilson score interval at 95 %, as if its cases had been drawn at random; null as `value` is."""


@dataclass(frozen=True, slots=True)
class RateRow:
    """The rates of one group: the country, a province, a month, a procedure or a channel."""

    key: str
    """Code of the group: province or procedure code, YYYY-MM, `national`."""
    name_vi: str
    name_en: str
    rank: int | None
    """By D1 among the rows with 100 applications or more; null with fewer."""
    applications: int
    assisted: int
    papers_avoided: int
    """Papers (not forms) that data replaced."""
    rates: dict[MeasureName, Rate]
    published: dict[MeasureName, Published]


@dataclass(frozen=True, slots=True)
class WeightedD1:
    """D1 of the country if provinces and ministries ran the shares that the published rates imply.

    The counters of the provinces hold fewer ministry-run applications than the country has, so the plain sum of both
    authorities must not be held against the published figure of the country; this one may.
    """

    province_share: float
    ministry_share: float
    value: float | None
    published: Published | None


@dataclass(frozen=True, slots=True)
class RatesTable:
    """The league table: provinces by D1, the selection as a whole, and both authorities apart and together."""

    __pydantic_config__ = DESCRIBED

    authority: AuthorityFilter
    month: str | None
    procedure: str | None
    definitions: dict[MeasureName, Definition]
    total: RateRow
    by_authority: list[RateRow]
    country_d1: WeightedD1 | None
    """Null where a procedure is selected."""
    rows: list[RateRow]


@dataclass(frozen=True, slots=True)
class ProvinceRates:
    """One province: both authorities apart and together, by month and by procedure."""

    __pydantic_config__ = DESCRIBED

    province: str
    name_vi: str
    name_en: str
    month: str | None
    procedure: str | None
    definitions: dict[MeasureName, Definition]
    by_authority: list[RateRow]
    by_month: list[RateRow]
    by_procedure: list[RateRow]


class Counts(NamedTuple):
    """What one application of a pattern counts for; sums of these are the numerators and denominators."""

    applications: int = 0
    end_to_end: int = 0
    eligible: int = 0
    eligible_end_to_end: int = 0
    with_proof: int = 0
    paperless: int = 0
    proofs: int = 0
    by_data: int = 0
    papers_avoided: int = 0
    breaches: int = 0
    online: int = 0
    presumed: int = 0
    assisted: int = 0
    on_time: int = 0
    minutes: int = 0


# The fields of `Counts` that follow from the pattern; the others are measures of the cell.
_FROM_PATTERN: Final = range(11)


def select(
    cells: Cells,
    *,
    month: str | None = None,
    province: str | None = None,
    procedure: str | None = None,
    authority: AuthorityFilter = "all",
) -> dict[CellKey, Measures]:
    """Return the cells that fit every filter given."""
    return {
        cell: measures
        for cell, measures in cells.items()
        if (month is None or cell.month == month)
        and (province is None or cell.province == province)
        and (procedure is None or cell.procedure == procedure)
        and (authority == "all" or parse_pattern(cell.pattern).authority == authority)
    }


def count(cells: Cells, domain: Domain) -> Counts:
    """Return the sums over cells."""
    return added(count_by(cells, domain, lambda _: None).values())


def added(parts: Iterable[Counts]) -> Counts:
    """Return the sum of sums."""
    return Counts(*[sum(column) for column in zip(Counts(), *parts, strict=True)])


def count_by(cells: Cells, domain: Domain, group: Callable[[CellKey], Group]) -> dict[Group, Counts]:
    """Return the sums by group, in one pass over the cells."""
    sums: dict[Group, list[int]] = {}
    kinds: dict[str, Mapping[str, tuple[bool, frozenset[str]]]] = {}
    for cell, (n, presumed, assisted, on_time, minutes) in cells.items():
        totals = sums.setdefault(group(cell), [0] * len(Counts._fields))
        month = cell.month
        of_month = kinds.get(month) or kinds.setdefault(month, _kinds(domain, month))
        once = _counted(cell.pattern, cell.channel == "online", *of_month[cell.procedure])
        for at in _FROM_PATTERN:
            totals[at] += n * once[at]
        totals[11] += presumed
        totals[12] += assisted
        totals[13] += on_time
        totals[14] += minutes
    return {key: Counts(*totals) for key, totals in sums.items()}


def _kinds(domain: Domain, month: str) -> Mapping[str, tuple[bool, frozenset[str]]]:
    """Return, by procedure, whether it can be done end to end and its papers, as they are when a month begins."""
    world = domain.on(date.fromisoformat(f"{month}-01"))
    return {code: (each.can_be_end_to_end, _papers(each)) for code, each in world.procedures.items()}


def _papers(procedure: Procedure) -> frozenset[str]:
    return frozenset([slug for slug, component in procedure.components.items() if component.kind == "paper"])


@lru_cache(maxsize=65_536)
def _counted(pattern: str, online: bool, eligible: bool, papers: frozenset[str]) -> Counts:  # noqa: FBT001  a cache key
    outcome, _, _, components = parse_pattern(pattern)
    proofs = [part for part in components if part.source != "form"]
    by_data = [part for part in proofs if part.source == "data"]
    end_to_end = int(outcome == "end_to_end")
    return Counts(
        applications=1,
        end_to_end=end_to_end,
        eligible=int(eligible),
        eligible_end_to_end=end_to_end * eligible,
        with_proof=int(bool(proofs)),
        paperless=int(bool(proofs) and len(by_data) == len(proofs)),
        proofs=len(proofs),
        by_data=len(by_data),
        papers_avoided=sum(part.component in papers for part in by_data),
        breaches=sum(part.cause in BREACHES for part in proofs),
        online=int(online),
    )


def rate(numerator: int, denominator: int) -> Rate:
    """Return a share; without anything counted it has neither value nor interval."""
    if not denominator:
        return mean(numerator, denominator)
    low, high = wilson(numerator, denominator)
    return replace(mean(numerator, denominator), interval=(round(low, DISPLAY_DIGITS), round(high, DISPLAY_DIGITS)))


def mean(total: int, cases: int) -> Rate:
    """Return a mean, which is no share of its cases and has no interval."""
    value = round(total / cases, DISPLAY_DIGITS) if cases else None
    return Rate(numerator=total, denominator=cases, value=value)


def wilson(numerator: int, denominator: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson 1927), within 0 and 1; `denominator` is above 0."""
    share, scale = numerator / denominator, 1 + z * z / denominator
    centre = (share + z * z / (2 * denominator)) / scale
    half = z / scale * sqrt(share * (1 - share) / denominator + (z / (2 * denominator)) ** 2)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def rates_of(counts: Counts) -> dict[MeasureName, Rate]:
    """Return every rate of `DEFINITIONS`."""
    everything = counts.applications
    return {
        "d1": rate(counts.end_to_end, everything),
        "d2": rate(counts.eligible_end_to_end, counts.eligible),
        "paperless": rate(counts.paperless, counts.with_proof),
        "components_by_data": rate(counts.by_data, counts.proofs),
        "papers_asked_although_data_were_there": rate(counts.breaches, counts.by_data + counts.breaches),
        "on_time": rate(counts.on_time, everything),
        "online": rate(counts.online, everything),
        "presumed": rate(counts.presumed, everything),
        "minutes_to_result": mean(counts.minutes, everything),
    }


def row_of(
    key: str, names: tuple[str, str], counts: Counts, published: Mapping[MeasureName, Published] | None = None
) -> RateRow:
    """Return a table's row; `names` are Vietnamese and English."""
    return RateRow(
        key=key,
        name_vi=names[0],
        name_en=names[1],
        rank=None,
        applications=counts.applications,
        assisted=counts.assisted,
        papers_avoided=counts.papers_avoided,
        rates=rates_of(counts),
        published=dict(published or {}),
    )


def ranked(rows: Iterable[RateRow]) -> list[RateRow]:
    """Return rows by D1, best first; equal rates share a rank, and rows below `RANKED_FROM` follow without one."""
    ordered = sorted(rows, key=lambda row: (row.applications < RANKED_FROM, -_d1(row), -row.applications, row.key))
    ranks: list[RateRow] = []
    for position, row in enumerate(ordered, start=1):
        tied = bool(ranks) and _d1(ranks[-1]) == _d1(row)
        place = (ranks[-1].rank if tied else position) if row.applications >= RANKED_FROM else None
        ranks.append(replace(row, rank=place))
    return ranks


def _d1(row: RateRow) -> Fraction:
    """Exact, so that a rounded figure never decides a rank; below zero where nothing was counted."""
    d1 = row.rates["d1"]
    return Fraction(d1.numerator, d1.denominator) if d1.denominator else Fraction(-1)


def rates_table(
    cells: Cells,
    domain: Domain,
    *,
    authority: AuthorityFilter = "province",
    month: str | None = None,
    procedure: str | None = None,
) -> RatesTable:
    """Return the league table of the 34 provinces; by default of what provinces run, as the published rates are."""
    selected = select(cells, month=month, procedure=procedure)
    comparable = procedure is None
    groups = count_by(selected, domain, lambda cell: (cell.province, parse_pattern(cell.pattern).authority))

    def of(chosen: AuthorityFilter, province: str | None = None) -> Counts:
        return added(
            counts for (place, runs), counts in groups.items() if chosen in {"all", runs} and province in {None, place}
        )

    return RatesTable(
        authority=authority,
        month=month,
        procedure=procedure,
        definitions=dict(DEFINITIONS),
        total=row_of(
            "national",
            ("Cả nước", "Whole country"),
            of(authority),
            published_for_country(domain, authority) if comparable and authority != "all" else None,
        ),
        by_authority=[
            row_of(
                each,
                AUTHORITY_NAMES[each],
                of(each),
                published_for_country(domain, each) if comparable and each != "all" else None,
            )
            for each in AUTHORITIES
        ],
        country_d1=weighted_d1(of("province"), of("ministry"), domain) if comparable else None,
        rows=ranked(
            row_of(
                code,
                (province.name_vi, province.name_en),
                of(authority, code),
                published_for_province(domain, code, authority) if comparable else None,
            )
            for code, province in domain.provinces.items()
        ),
    )


def weighted_d1(provinces: Counts, ministries: Counts, domain: Domain) -> WeightedD1:
    """Return the country's D1 at the mix (mark D) of the period of the published figure beside it."""
    published = published_for_country(domain, "all")["d1"]
    other = domain.ministry_run_share(date.fromisoformat(published.period_end or ""))
    share = round(1 - other, DISPLAY_DIGITS)
    known = provinces.applications and ministries.applications
    parts = [(share, provinces), (other, ministries)]
    value = sum(weight * counts.end_to_end / counts.applications for weight, counts in parts) if known else None
    return WeightedD1(
        province_share=share,
        ministry_share=other,
        value=None if value is None else round(value, DISPLAY_DIGITS),
        published=published,
    )


def province_rates(
    cells: Cells, domain: Domain, province: str, *, month: str | None = None, procedure: str | None = None
) -> ProvinceRates:
    """Return the rates of one province, a code of `domain.provinces`."""
    selected = select(cells, province=province, month=month, procedure=procedure)
    place = domain.provinces[province]
    by_procedure = count_by(selected, domain, lambda cell: cell.procedure)
    return ProvinceRates(
        province=province,
        name_vi=place.name_vi,
        name_en=place.name_en,
        month=month,
        procedure=procedure,
        definitions=dict(DEFINITIONS),
        by_authority=[
            row_of(
                each,
                AUTHORITY_NAMES[each],
                count(select(selected, authority=each), domain),
                published_for_province(domain, province, each) if procedure is None else None,
            )
            for each in AUTHORITIES
        ],
        by_month=[
            row_of(key, (key, key), counts)
            for key, counts in sorted(count_by(selected, domain, lambda cell: cell.month).items())
        ],
        by_procedure=[
            row_of(code, (each.name_vi, each.name_en), by_procedure[code])
            for code, each in domain.procedures.items()
            if code in by_procedure
        ],
    )
