"""What became of a published month: the same province before and after what arrived later. Pure."""

from dataclasses import dataclass

from domain import Domain
from services.scoring.rates.definitions import DESCRIBED
from services.scoring.rates.index766 import IndexTable
from services.scoring.rates.rates import Cells, Counts, RatesTable, count_by, select


@dataclass(frozen=True, slots=True)
class Figures:
    """The integers behind a province's main rates in a month."""

    applications: int
    end_to_end: int
    online: int
    on_time: int


@dataclass(frozen=True, slots=True)
class Restatement:
    """One province whose published figures no longer are those of the log."""

    province: str
    name_vi: str
    name_en: str
    published: Figures
    restated: Figures
    d1_points: float | None
    """Restated less published D1, in points; null where either counted nothing."""


@dataclass(frozen=True, slots=True)
class PublicationSummary:
    """A published month: when, and by partition the offset of the first record that it does not count."""

    __pydantic_config__ = DESCRIBED

    month: str
    published_at: str
    offsets: dict[int, int]
    applications: int


@dataclass(frozen=True, slots=True)
class PublishedMonth:
    """A month as it was published, for good, and the provinces whose figures what arrived later has changed."""

    publication: PublicationSummary
    rates: RatesTable
    index: IndexTable
    restatements: list[Restatement]


def restatements(published: Cells, live: Cells, domain: Domain, month: str) -> list[Restatement]:
    """Return the provinces whose figures of a month have changed since it was published, in file order.

    Args:
        published: the cells as they were frozen.
        live: those of today, of all months.
        domain: names of provinces, and what counts.
        month: the published month.

    """
    before = _by_province(published, domain)
    after = _by_province(select(live, month=month), domain)
    return [
        _restatement(domain, code, before.get(code, Counts()), after.get(code, Counts()))
        for code in domain.provinces
        if _figures(before.get(code, Counts())) != _figures(after.get(code, Counts()))
    ]


def _by_province(cells: Cells, domain: Domain) -> dict[str, Counts]:
    return count_by(cells, domain, lambda cell: cell.province)


def _figures(counts: Counts) -> Figures:
    return Figures(counts.applications, counts.end_to_end, counts.online, counts.on_time)


def _restatement(domain: Domain, code: str, before: Counts, after: Counts) -> Restatement:
    province, d1 = domain.provinces[code], [_d1(before), _d1(after)]
    return Restatement(
        province=code,
        name_vi=province.name_vi,
        name_en=province.name_en,
        published=_figures(before),
        restated=_figures(after),
        d1_points=None if None in d1 else round(100 * ((d1[1] or 0) - (d1[0] or 0)), 4),
    )


def _d1(counts: Counts) -> float | None:
    return counts.end_to_end / counts.applications if counts.applications else None
