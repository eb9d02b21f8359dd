"""All facts together, with the few questions that need more than one table."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from domain.calendar import OfficeHours, WorkingCalendar
from domain.corrections import CorrectionDesk
from domain.errors import DomainError, near_match
from domain.models import (
    Commune,
    Database,
    Holiday,
    IndexComponent,
    Observation,
    Outage,
    Paper,
    Parameter,
    Procedure,
    Province,
    ProvinceProfile,
    Target,
    VolumePart,
)
from domain.reforms import Reform, applied

# Whose worlds are remembered by day; the calendar has 730, but an event time may be any.
MOST_DAYS = 2_048


@dataclass(frozen=True)
class Domain:
    """The loaded data files; mappings are by code, slug or name in file order and read-only.

    ``procedures`` holds the 25 services first, then the groups of other procedures.
    ``profiles`` is by province code. ``parameters`` are what the model reads, ``facts`` are only quoted. The files
    describe the world of `BASE_DAY`; ``reforms``, by name, say what it was and will be on other days, see `on`.
    """

    provinces: Mapping[str, Province]
    communes: Mapping[str, Commune]
    databases: Mapping[str, Database]
    procedures: Mapping[str, Procedure]
    papers: Mapping[str, Paper]
    parameters: Mapping[str, Parameter]
    facts: Mapping[str, Parameter]
    profiles: Mapping[str, ProvinceProfile]
    observations: tuple[Observation, ...]
    targets: tuple[Target, ...]
    outages: tuple[Outage, ...]
    holidays: tuple[Holiday, ...]
    index: tuple[IndexComponent, ...]
    reforms: Mapping[str, Reform]

    def on(self, day: date) -> "Domain":
        """Return the world of a day: this one with the steps of the reforms that hold then.

        A day without any, such as `BASE_DAY`, gives this domain itself. A world has no reforms left to hold. `day` may
        be an event time of Vietnam; every world is made once.
        """
        world = self._days.get(day.toordinal())
        return self._world(day) if world is None else world

    def _world(self, day: date) -> "Domain":
        """Make the world of a day, or find that of an earlier day with the same steps."""
        place = bisect_right(self._turns, day.toordinal())
        world = self._worlds.get(place)
        if world is None:
            steps = [step for each in self.reforms.values() for step in each.steps if step.holds(day)]
            world = self._worlds[place] = applied(self, steps) if steps else self
            # Holidays and office hours are the same on every day (`domain.reforms.LASTING`), and dear to work out.
            vars(world)["calendar"] = self.calendar
        if len(self._days) >= MOST_DAYS:
            self._days.clear()
        self._days[day.toordinal()] = world
        return world

    def number(self, name: str) -> float:
        """A parameter's value. Raises ``DomainError`` for an unknown name or a date."""
        value = self._parameter(name).value
        if isinstance(value, date):
            raise DomainError("parameters.csv", "-", name, "is a date", "make it the date of a reform (reforms.csv)")
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
        """(procedure code, share of the dossiers of the provinces' counters) in file order; the shares sum to 1.

        The parameters ``volume.*_share`` divide the dossiers into five parts: of the 25 services what ministries run
        and what provinces run, of the other groups those that are full, informing only, and partly online. Inside a
        part the weights of the files hold. Raises ``DomainError`` when the parameters leave a part less than nothing.
        """
        return self._mix

    @cached_property
    def _mix(self) -> tuple[tuple[str, float], ...]:
        parts = self._parts()
        weights = dict.fromkeys(parts, 0.0)
        for procedure in self.procedures.values():
            weights[procedure.volume_part] += procedure.volume_weight
        return tuple(
            (code, procedure.volume_weight / weights[part] * parts[part])
            for code, procedure in self.procedures.items()
            for part in [procedure.volume_part]
        )

    def _parts(self) -> Mapping[VolumePart, float]:
        listed, ministries = self.number("volume.share_25_services"), self.number("volume.counter_ministry_run_share")
        full, information = self.number("volume.full_groups_share"), self.number("volume.information_group_share")
        parts: dict[VolumePart, float] = {
            "ministry": ministries,
            "province": listed - ministries,
            "full": (1 - listed) * full,
            "information": (1 - listed) * information,
            "partial": (1 - listed) * (1 - full - information),
        }
        for part, share in parts.items():
            if share < 0:
                raise DomainError(
                    "parameters.csv", "-", "volume.*_share", f"{part} is left {share:g}", "lower the others"
                )
        return parts

    @cached_property
    def _turns(self) -> tuple[int, ...]:
        """Return the days, as ordinals, on which another set of steps begins to hold."""
        return tuple(sorted({turn for each in self.reforms.values() for step in each.steps for turn in step.turns}))

    @cached_property
    def _days(self) -> dict[int, "Domain"]:
        """Worlds by the day's ordinal: asked several times for every application."""
        return {}

    @cached_property
    def _worlds(self) -> dict[int, "Domain"]:
        return {}

    @cached_property
    def calendar(self) -> WorkingCalendar:
        """The working calendar of the loaded holidays and office hours."""
        return WorkingCalendar(self.holidays, self._office_hours())

    @cached_property
    def correction_desk(self) -> CorrectionDesk:
        """When the owner of a database has worked off a correction that is asked for."""
        capacity = self.number("correction.capacity")
        if capacity <= 0:
            raise DomainError("parameters.csv", "-", "correction.capacity", f"is {capacity:g}", "give more than 0")
        return CorrectionDesk.of(self)

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
