"""Working time of the offices: 480 working minutes a day, in Vietnam's time.

A *position* counts working minutes since the calendar's first day. Positions turn "n working
hours later" into one addition. The same position is the end of one span (17:00, 12:00) and the
start of the next (08:00 of the next working day, 13:00); ``end_at`` and ``start_at`` choose.

Sources: NĐ 61/2018/NĐ-CP Art. 18 (paper after 15:00), the portal record of birth registration
1.001193 (civil status after 15:00 is due on the next working day), Labour Code Art. 112 (holidays).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from domain.models import Holiday, HolidayKind, LimitUnit

VN = timezone(timedelta(hours=7), "+07:00")
_OFFSET = timedelta(hours=7)
_SATURDAY = 5
_DAY_MINUTES = 24 * 60
_MINUTES: tuple[timedelta, ...] = tuple(timedelta(minutes=minute) for minute in range(_DAY_MINUTES + 1))


class CalendarRangeError(ValueError):
    """The instant lies outside the days the calendar knows."""


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """Minutes of the day; the values of the parameters ``office.*`` and ``intake.cutoff_hour``."""

    opens: int = 480
    noon_starts: int = 720
    noon_ends: int = 780
    closes: int = 1020
    cutoff: int = 900

    def __post_init__(self) -> None:
        marks = (0, self.opens, self.noon_starts, self.noon_ends, self.closes, _DAY_MINUTES)
        if list(marks) != sorted(marks) or not self.opens <= self.cutoff <= self.closes:
            raise ValueError(f"the minutes {self} are not in order")
        if self.noon_starts <= self.cutoff < self.noon_ends:
            raise ValueError(f"{self}: the cut-off lies in the noon break, whose minutes are one position")
        if self.minutes_per_day == 0:
            raise ValueError(f"{self} leaves no working minute")

    @property
    def minutes_per_day(self) -> int:
        return self.closes - self.opens - (self.noon_ends - self.noon_starts)

    def worked_until(self, minute: int) -> int:
        """Working minutes of one day up to this minute of the day."""
        morning = min(max(minute, self.opens), self.noon_starts) - self.opens
        return morning + min(max(minute, self.noon_ends), self.closes) - self.noon_ends


class WorkingCalendar:
    """Positions, starts, ends and due dates; every call is a few list look-ups.

    The range is the whole years from the first to the last holiday. Datetimes must be aware;
    other offsets are converted to +07:00. Raises ``CalendarRangeError`` outside the range and
    ``ValueError`` for a naive datetime or a negative amount.
    """

    def __init__(self, holidays: Iterable[Holiday], hours: OfficeHours | None = None) -> None:
        known = {holiday.date: holiday.kind for holiday in holidays}
        if not known:
            raise ValueError(
                "a calendar needs at least one holiday to know its years; give it the rows of holidays.csv"
            )
        self.hours = hours or OfficeHours()
        self.first_day = date(min(known).year, 1, 1)
        self.last_day = date(max(known).year, 12, 31)
        self._origin = self.first_day.toordinal()
        self._per_day = self.hours.minutes_per_day
        self._build_minutes()
        self._build_days(known)

    def _build_days(self, known: Mapping[date, HolidayKind]) -> None:
        self._working: list[bool] = []
        # Of each day: the position at which it begins, and the working minutes up to each of its minutes.
        self._begins: list[int] = []
        self._worked: list[list[int]] = []
        self._midnights: list[datetime] = []
        idle = [0] * (_DAY_MINUTES + 1)
        for ordinal in range(self._origin, self.last_day.toordinal() + 1):
            day = date.fromordinal(ordinal)
            kind = known.get(day)
            working = kind == "working_saturday" or (kind is None and day.weekday() < _SATURDAY)
            self._begins.append(len(self._midnights) * self._per_day)
            self._worked.append(self._office_day if working else idle)
            self._working.append(working)
            if working:
                self._midnights.append(datetime(day.year, day.month, day.day, tzinfo=VN))
        self._days = len(self._begins)

    def _build_minutes(self) -> None:
        hours = self.hours
        self._office_day = [hours.worked_until(minute) for minute in range(_DAY_MINUTES + 1)]
        self._cutoff = hours.worked_until(hours.cutoff)
        open_minutes = [*range(hours.opens, hours.noon_starts), *range(hours.noon_ends, hours.closes)]
        self._starts: list[timedelta] = [_MINUTES[minute] for minute in open_minutes]
        # A working minute read as an end is one minute after its start: 12:00 and 17:00, never 13:00 or 08:00.
        self._ends: list[timedelta] = [_MINUTES[minute + 1] for minute in open_minutes]
        self._close = _MINUTES[hours.closes]

    @property
    def end(self) -> datetime:
        """The end of its last working day."""
        return self._midnights[-1] + self._close

    def is_working_day(self, day: date) -> bool:
        index = day.toordinal() - self._origin
        if not 0 <= index < self._days:
            raise self._outside(day)
        return self._working[index]

    def position(self, at: datetime) -> int:
        """Working minutes since the calendar's start, clamped forward to the next working moment; seconds round up."""
        if at.tzinfo is not VN:
            at = _in_vietnam(at)
        index = at.toordinal() - self._origin
        if not 0 <= index < self._days:
            raise self._outside(at)
        minute = at.hour * 60 + at.minute
        return self._begins[index] + self._worked[index][minute + 1 if at.second or at.microsecond else minute]

    def start_at(self, position: int) -> datetime:
        """The first instant of this position, read as a start: never 12:00 or 17:00."""
        day, minute = divmod(position, self._per_day)
        return self._midnight(day) + self._starts[minute]

    def end_at(self, position: int) -> datetime:
        """The instant read as an end: a full day ends at 17:00. Position 0 is the calendar's first start."""
        if position == 0:
            return self.start_at(0)
        day, minute = divmod(position - 1, self._per_day)
        return self._midnight(day) + self._ends[minute]

    def accepted(self, position: int, *, online: bool) -> int:
        """The position at which handling of a dossier that arrives at ``position`` starts.

        Online data are forwarded at once. Paper received after 15:00 is forwarded at the start of
        the next working day (NĐ 61/2018 Art. 18); exactly 15:00:00 is still before.
        """
        day, minute = divmod(position, self._per_day)
        return position if online or minute <= self._cutoff else (day + 1) * self._per_day

    def due_at(self, accepted: int, limit_value: int, limit_unit: LimitUnit) -> datetime:
        """The end of the limit, counted from the position of acceptance.

        ``working_day``: 17:00 of the n-th working day after the acceptance day. ``hour``: n working
        hours. ``same_day``: 17:00 of the acceptance day when accepted at or before 15:00, else 17:00
        of the next working day; this 15:00 is of civil status (1.001193) and holds online too.
        """
        day, minute = divmod(accepted, self._per_day)
        if limit_unit == "same_day":
            return self._midnight(day + (minute > self._cutoff)) + self._close
        if limit_value < 1:
            raise ValueError(f"limit_value is {limit_value} {limit_unit}; a limit is at least 1, or use same_day")
        if limit_unit == "hour":
            return self.end_at(accepted + 60 * limit_value)
        return self._midnight(day + limit_value) + self._close

    def _outside(self, day: date) -> CalendarRangeError:
        return CalendarRangeError(
            f"{day:%Y-%m-%d} is outside the calendar {self._range()}; add its year to holidays.csv"
        )

    def _midnight(self, number: int) -> datetime:
        if 0 <= number < len(self._midnights):
            return self._midnights[number]
        side = f"before {self.first_day}" if number < 0 else f"after {self.last_day}"
        raise CalendarRangeError(
            f"the result lies {side}, outside the calendar {self._range()}; add the year to holidays.csv"
        )

    def _range(self) -> str:
        return f"{self.first_day}..{self.last_day}"


def _in_vietnam(at: datetime) -> datetime:
    if at.tzinfo is VN:
        return at
    offset = at.utcoffset()
    if offset == _OFFSET:
        return at
    if offset is None:
        raise ValueError(f"{at.isoformat()} has no time zone; give an aware datetime, such as one with tzinfo=VN")
    return at.astimezone(VN)
