"""Whether an application can be decided at all: its names exist, belong together, and end within the calendar."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from contracts.errors import Reject
from contracts.events import ApplicationSubmitted
from domain import VN, CalendarRangeError, Domain, Procedure

MINUTES_PER_WORKING_DAY = 480
# Half a year of office time; what is longer is checked against the calendar exactly.
ORDINARY_MINUTES = 60_000


@dataclass(frozen=True, slots=True)
class SubmissionCheck:
    """Holds submissions against the administrative facts: intake before it decides, the portal before it takes one.

    Attributes:
        domain: the loaded data files.
        longest_wait_minutes: working minutes that a case may last beyond what it says of itself.
        surely_in_calendar: submissions before this time, and of ordinary length, need no closer look.

    """

    domain: Domain
    longest_wait_minutes: int
    surely_in_calendar: datetime

    @classmethod
    def of(cls, domain: Domain) -> Self:
        """Read the parameters of a domain: the wait for a supplement, the check before a refusal, and a week."""
        waits = ("supplement.wait_limit_working_days", "supplement.linked_wait_limit_working_days")
        wait_days = max(int(domain.number(name)) for name in waits)
        check_minutes = int(domain.number("intake.check_median_working_hours") * 60)
        last = domain.calendar.last_day - timedelta(days=365)
        return cls(
            domain,
            (wait_days + 5) * MINUTES_PER_WORKING_DAY + check_minutes,
            datetime(last.year, last.month, last.day, tzinfo=VN),
        )

    def check(self, submitted: ApplicationSubmitted) -> Procedure:
        """Return the procedure of a submission whose names all exist and belong together.

        Raises:
            Reject: a name is unknown, or contradicts another; the reason says which.

        """
        domain = self.domain
        procedure = domain.procedures.get(submitted.procedure)
        if procedure is None:
            raise Reject("unknown_procedure", f"procedure: {submitted.procedure!r} is not in procedures.csv")
        commune = domain.communes.get(submitted.commune)
        if commune is None or commune.province != submitted.province:
            if submitted.province not in domain.provinces:
                raise Reject("unknown_province", f"province: {submitted.province!r} is not in provinces.csv")
            raise Reject("unknown_commune", f"commune: {submitted.commune!r} is not in province {submitted.province}")
        if submitted.home_province not in domain.provinces:
            raise Reject("unknown_province", f"home_province: {submitted.home_province!r} is not in provinces.csv")
        if submitted.authority != procedure.authority:
            raise Reject("wrong_authority", f"authority: {submitted.procedure} is run by the {procedure.authority}")
        if not submitted.components.keys() <= procedure.components.keys():
            slug = next(slug for slug in submitted.components if slug not in procedure.components)
            raise Reject("unknown_component", f"components: {slug!r} is not of procedure {submitted.procedure}")
        if submitted.part_minutes and submitted.part_minutes.keys() != {part.slug for part in procedure.parts}:
            raise Reject("wrong_parts", f"part_minutes: not the parts of {submitted.procedure} in linked_parts.csv")
        self._check_calendar(submitted, procedure)
        return procedure

    def _check_calendar(self, submitted: ApplicationSubmitted, procedure: Procedure) -> None:
        """Refuse a submission that could be decided only outside the calendar."""
        calendar = self.domain.calendar
        days = procedure.limit_value if procedure.limit_unit == "working_day" else 2
        supplement = submitted.supplement_minutes * (1 + submitted.asks_twice)
        handling = max(submitted.handling_minutes, sum(submitted.part_minutes.values()))
        length = supplement + handling + days * MINUTES_PER_WORKING_DAY
        ordinary = length <= ORDINARY_MINUTES and submitted.submitted_at < self.surely_in_calendar
        if ordinary and submitted.submitted_at.year >= calendar.first_day.year:
            return
        try:
            calendar.start_at(calendar.position(submitted.submitted_at) + length + self.longest_wait_minutes)
        except CalendarRangeError as error:
            raise Reject("outside_calendar", f"submitted_at: {error}") from error
