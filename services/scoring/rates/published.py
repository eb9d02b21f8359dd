"""The published figure beside a rate: the latest one of 2025 that counts the same thing for the same place. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from domain import Domain, Observation
from services.scoring.api.models import AuthorityFilter, MeasureName, Published

# The simulation is autumn 2025: figures of 2024 have other borders, those of 2026 other rules.
FIRST_DAY: Final = date(2025, 1, 1)
LAST_DAY: Final = date(2025, 12, 31)

METRICS: Final[Mapping[MeasureName, str]] = {"d1": "d1_rate", "on_time": "on_time_share", "online": "online_share"}
COUNTRY_SCOPES: Final[Mapping[AuthorityFilter, str]] = {
    "all": "national",
    "province": "all_provinces",
    "ministry": "all_ministries",
}
# A province's own counters: province-run applications. Its communes' figures stand in where there is nothing closer.
PROVINCE_SCOPES: Final = ("province", "province_communes")


def published_for_country(domain: Domain, authority: AuthorityFilter) -> dict[MeasureName, Published]:
    """Return the published figures of the country, for one kind of authority or both."""
    return _published(domain, [(COUNTRY_SCOPES[authority], None)])


def published_for_province(domain: Domain, province: str, authority: AuthorityFilter) -> dict[MeasureName, Published]:
    """Return the published figures of a province; none where ministries' applications are counted in."""
    if authority != "province":
        return {}
    h_code = domain.provinces[province].h_code
    return _published(domain, [(scope, h_code) for scope in PROVINCE_SCOPES])


def _published(domain: Domain, places: list[tuple[str, str | None]]) -> dict[MeasureName, Published]:
    found: dict[MeasureName, Published] = {}
    for measure, metric in METRICS.items():
        for scope, h_code in places:
            rows = [row for row in domain.published(metric, scope, h_code=h_code) if _is_of_the_time(row)]
            if rows:
                found[measure] = _view(max(rows, key=_latest))
                break
    return found


def _is_of_the_time(row: Observation) -> bool:
    return row.period_end is not None and FIRST_DAY <= row.period_end <= LAST_DAY


def _latest(row: Observation) -> tuple[date, int]:
    """The latest end; of two, the one over more days."""
    end = row.period_end or FIRST_DAY
    return end, (end - (row.period_start or end)).days


def _view(row: Observation) -> Published:
    return Published(
        value=row.value,
        comparison=row.comparison,
        about=row.name,
        period_start=row.period_start.isoformat() if row.period_start else None,
        period_end=row.period_end.isoformat() if row.period_end else None,
        source=row.source,
        evidence=row.evidence,
        note=row.note,
    )
