"""When the owner of a database has put a record right that it was asked to correct, and who else is asked.

The queue in front of an owner is worked out from its capacity and the date alone, not from the requests that really
came: so each request has its date at once, whoever works it out and in whatever order (docs/adr/0018).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from domain.calendar import VN, CalendarRangeError, WorkingCalendar

if TYPE_CHECKING:
    from domain.catalogue import Domain

Addressee = Literal["owner", "citizen"]


@dataclass(frozen=True, slots=True)
class CorrectionDesk:
    """Works requests off in their order, at a steady capacity; positions are the calendar's working minutes.

    Attributes:
        calendar: the offices' working time.
        begins_at: since when corrections are asked for; no queue is there before.
        begins: the same as a position.
        minutes: working minutes of a correction while no queue is in front of it.
        growth: working minutes by which the queue grows in a working minute, 0 where the capacity suffices.
        asks_citizen: whether the citizen is asked to update the data, too.

    """

    calendar: WorkingCalendar
    begins_at: datetime
    begins: int
    minutes: int
    growth: float
    asks_citizen: bool

    @staticmethod
    def of(domain: "Domain") -> "CorrectionDesk":
        """Read the parameters of a domain.

        Of r requests a minute c·r are worked off, so after m minutes (1 − c)·r·m lie there, and who comes then waits
        (1 / c − 1)·m minutes.
        """
        calendar = domain.calendar
        begins = datetime(2025, 1, 1, tzinfo=VN) + timedelta(days=domain.number("correction.queue_begins_day") - 1)
        return CorrectionDesk(
            calendar,
            begins,
            calendar.position(begins),
            int(domain.number("correction.working_days") * calendar.hours.minutes_per_day),
            max(0.0, 1 / domain.number("correction.capacity") - 1),
            domain.number("correction.asks_citizen") > 0,
        )

    def worked_off_at(self, requested_at: datetime) -> datetime:
        """Return when a request is worked off, at the latest at the end of the days that the calendar knows.

        Raises:
            CalendarRangeError: the request is of a day that it does not know.

        """
        position = self.calendar.position(requested_at)
        waiting = round(max(0, position - self.begins) * self.growth)
        try:
            return self.calendar.end_at(position + waiting + self.minutes)
        except CalendarRangeError:
            return self.calendar.end

    @property
    def addressees(self) -> tuple[Addressee, ...]:
        """Who is asked: the owner of the database, and by NQ 66.7/2025 the citizen."""
        return ("owner", "citizen") if self.asks_citizen else ("owner",)
