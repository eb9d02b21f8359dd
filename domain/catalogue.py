"""All facts together, with the few questions that need more than one table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from domain.calendar import OfficeHours, WorkingCalendar
from domain.errors import DomainError
from domain.models import (
    Commune,
    Database,
    Holiday,
    Observation,
    Outage,
    Paper,
    Parameter,
    Procedure,
    Province,
    ProvinceProfile,
    Target,
)


@dataclass(frozen=True)
class Domain:
    """The loaded data files; mappings are by code, slug or name in file order and read-only.

    ``procedures`` holds the 25 services first, then the groups of other procedures.
    ``profiles`` is by province code.
    """

    provinces: Mapping[str, Province]
    communes: Mapping[str, Commune]
    databases: Mapping[str, Database]
    procedures: Mapping[str, Procedure]
    papers: Mapping[str, Paper]
    parameters: Mapping[str, Parameter]
    profiles: Mapping[str, ProvinceProfile]
    observations: tuple[Observation, ...]
    targets: tuple[Target, ...]
    outages: tuple[Outage, ...]
    holidays: tuple[Holiday, ...]

    def number(self, name: str) -> float:
        """A parameter's value. Raises ``DomainError`` for an unknown name or a date."""
        value = self._parameter(name).value
        if isinstance(value, date):
            raise DomainError("parameters.csv", "-", name, "is a date", "read it with Domain.day")
        return value

    def day(self, name: str) -> date:
        """A parameter of unit ``date``. Raises ``DomainError`` for an unknown name or a number."""
        value = self._parameter(name).value
        if not isinstance(value, date):
            raise DomainError("parameters.csv", "-", name, "is a number", "read it with Domain.number")
        return value

    def _parameter(self, name: str) -> Parameter:
        parameter = self.parameters.get(name)
        if parameter is None:
            raise DomainError(
                "parameters.csv", "-", "name", f"no parameter {name!r}", near_match(name, self.parameters)
            )
        return parameter

    def communes_of(self, province: str) -> tuple[Commune, ...]:
        """The province's communes in file order. Raises ``DomainError`` for an unknown code."""
        communes = self._communes_by_province.get(province)
        if communes is None:
            raise DomainError(
                "provinces.csv", "-", "code", f"no province {province!r}", near_match(province, self.provinces)
            )
        return communes

    def published(
        self,
        metric: str,
        scope: str | None = None,
        *,
        name: str | None = None,
        h_code: str | None = None,
    ) -> tuple[Observation, ...]:
        """The published figures of a metric that fit every given filter, in file order.

        An empty answer means that nothing was published. Raises ``DomainError`` for a metric that
        no row has, because that is a misspelling.
        """
        rows = self._observations_by_metric.get(metric)
        if rows is None:
            advice = near_match(metric, self._observations_by_metric)
            raise DomainError("observations.csv", "-", "metric", f"no metric {metric!r}", advice)
        return tuple(
            row
            for row in rows
            if scope in (None, row.scope) and name in (None, row.name) and h_code in (None, row.h_code)
        )

    def ministry_run_share(self, on: date) -> float:
        """The share of all dossiers of the country that ministries run, as published nearest to a day (mark D).

        The provinces' counters hold fewer of them; see `mix`.
        """
        return min(
            self.published("ministry_run_share", "national"), key=lambda row: abs((row.period_end or on) - on)
        ).value

    def mix(self) -> tuple[tuple[str, float], ...]:
        """(procedure code, share of all dossiers) in file order; the shares sum to 1.

        The 25 services together have ``volume.share_25_services``, the other groups the rest.
        """
        return self._mix

    @cached_property
    def _mix(self) -> tuple[tuple[str, float], ...]:
        listed = self.number("volume.share_25_services")
        return tuple(
            (code, procedure.volume_weight * (listed if procedure.in_list_25 else 1 - listed))
            for code, procedure in self.procedures.items()
        )

    @cached_property
    def calendar(self) -> WorkingCalendar:
        """The working calendar of the loaded holidays and office hours."""
        return WorkingCalendar(self.holidays, self._office_hours())

    def _office_hours(self) -> OfficeHours:
        minutes = {
            "opens": int(self.number("office.opens_minute")),
            "noon_starts": int(self.number("office.noon_break_starts_minute")),
            "noon_ends": int(self.number("office.noon_break_ends_minute")),
            "closes": int(self.number("office.closes_minute")),
            "cutoff": int(self.number("intake.cutoff_hour") * 60),
        }
        try:
            return OfficeHours(**minutes)
        except ValueError as error:
            raise DomainError(
                "parameters.csv", "-", "office.*", str(error), "correct office.* or intake.cutoff_hour"
            ) from None

    @cached_property
    def _communes_by_province(self) -> dict[str, tuple[Commune, ...]]:
        groups: dict[str, list[Commune]] = {code: [] for code in self.provinces}
        for commune in self.communes.values():
            groups[commune.province].append(commune)
        return {code: tuple(group) for code, group in groups.items()}

    @cached_property
    def _observations_by_metric(self) -> dict[str, list[Observation]]:
        groups: dict[str, list[Observation]] = {}
        for row in self.observations:
            groups.setdefault(row.metric, []).append(row)
        return groups


def near_match(name: str, known: Iterable[str]) -> str:
    """Advice for an unknown name: the nearest known ones, or where to look."""
    from difflib import get_close_matches  # noqa: PLC0415 - slow to import, and only an error needs it

    near = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else "see the file for the known names"
