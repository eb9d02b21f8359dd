"""The calendar asked with instants, as people do, instead of positions."""

from datetime import datetime

from domain import WorkingCalendar, load_domain
from domain.models import LimitUnit

CALENDAR = load_domain().calendar


def accepted_at(at: datetime, *, online: bool) -> datetime:
    return CALENDAR.start_at(CALENDAR.accepted(CALENDAR.position(at), online=online))


def due_at(accepted: datetime, limit: int, unit: LimitUnit) -> datetime:
    return CALENDAR.due_at(CALENDAR.position(accepted), limit, unit)


def after(at: datetime, minutes: int, calendar: WorkingCalendar = CALENDAR) -> datetime:
    position = calendar.position(at)
    return calendar.end_at(position + minutes) if minutes else calendar.start_at(position)
