"""Hand-worked days: each row can be checked on a paper calendar of 2025 and 2026."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from domain import VN, CalendarRangeError, OfficeHours, WorkingCalendar, load_domain
from domain.models import Holiday
from tests.support.working_time import CALENDAR, accepted_at, after, due_at


def vn(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VN)


@pytest.mark.parametrize(
    ("day", "working"),
    [
        ("2025-10-03", True),  # Friday
        ("2025-10-04", False),  # Saturday
        ("2025-10-05", False),  # Sunday
        ("2025-04-26", True),  # Saturday worked for 2/5
        ("2025-05-02", False),  # exchanged Friday
        ("2025-04-30", False),
        ("2025-01-24", True),  # last day before Tết
        ("2025-01-29", False),
        ("2025-02-03", True),  # first day after Tết
        ("2025-09-01", False),
        ("2025-09-03", True),
        ("2026-01-02", False),  # exchanged Friday
        ("2026-01-10", True),  # Saturday worked for 2/1
        ("2026-02-13", True),
        ("2026-02-20", False),
        ("2026-02-23", True),
        ("2026-04-27", False),  # Monday after a holiday on Sunday
        ("2026-08-22", True),  # Saturday worked for 31/8
        ("2026-08-31", False),
    ],
)
def test_offices_are_open_on_the_right_days(day, working):
    assert CALENDAR.is_working_day(date.fromisoformat(day)) is working


@pytest.mark.parametrize(
    ("submitted", "online", "accepted"),
    [
        ("2025-10-01T14:59:59", False, "2025-10-01T15:00:00"),  # seconds round up
        ("2025-10-01T15:00:00", False, "2025-10-01T15:00:00"),
        ("2025-10-01T15:00:01", False, "2025-10-02T08:00:00"),
        ("2025-10-01T15:00:01", True, "2025-10-01T15:01:00"),
        ("2025-10-01T16:30:00", True, "2025-10-01T16:30:00"),
        ("2025-10-01T17:00:00", True, "2025-10-02T08:00:00"),
        ("2025-10-01T16:59:30", True, "2025-10-02T08:00:00"),
        ("2025-10-01T06:10:00", True, "2025-10-01T08:00:00"),
        ("2025-10-01T12:00:00", True, "2025-10-01T13:00:00"),
        ("2025-10-01T12:40:00", False, "2025-10-01T13:00:00"),
        ("2025-10-03T15:30:00", False, "2025-10-06T08:00:00"),  # Friday afternoon
        ("2025-10-04T16:00:00", False, "2025-10-06T08:00:00"),  # Saturday
        ("2025-10-05T23:59:59", True, "2025-10-06T08:00:00"),
        ("2025-10-31T15:01:00", False, "2025-11-03T08:00:00"),  # month end, Friday
        ("2025-01-24T15:01:00", False, "2025-02-03T08:00:00"),  # into Tết
        ("2025-04-25T15:30:00", False, "2025-04-26T08:00:00"),  # the Saturday is worked
        ("2025-12-31T15:30:00", False, "2026-01-05T08:00:00"),
    ],
)
def test_paper_after_15_waits_and_data_do_not(submitted, online, accepted):
    assert accepted_at(vn(submitted), online=online) == vn(accepted)


@pytest.mark.parametrize(
    ("accepted", "limit", "unit", "due"),
    [
        ("2025-10-01T09:00:00", 1, "working_day", "2025-10-02T17:00:00"),
        ("2025-10-01T16:59:00", 1, "working_day", "2025-10-02T17:00:00"),
        ("2025-10-01T09:00:00", 3, "working_day", "2025-10-06T17:00:00"),  # over a weekend
        ("2025-10-31T09:00:00", 1, "working_day", "2025-11-03T17:00:00"),  # month end
        ("2025-08-28T09:00:00", 3, "working_day", "2025-09-04T17:00:00"),  # over National Day
        ("2025-01-23T10:00:00", 7, "working_day", "2025-02-10T17:00:00"),  # over Tết
        ("2025-04-24T10:00:00", 3, "working_day", "2025-04-28T17:00:00"),  # worked Saturday counts
        ("2025-12-30T10:00:00", 2, "working_day", "2026-01-05T17:00:00"),
        ("2025-10-01T09:00:00", 1, "hour", "2025-10-01T10:00:00"),
        ("2025-10-01T11:30:00", 1, "hour", "2025-10-01T13:30:00"),
        ("2025-10-01T11:00:00", 1, "hour", "2025-10-01T12:00:00"),
        ("2025-10-03T16:30:00", 1, "hour", "2025-10-06T08:30:00"),
        ("2025-10-03T08:00:00", 8, "hour", "2025-10-03T17:00:00"),
        ("2025-10-03T08:00:00", 9, "hour", "2025-10-06T09:00:00"),
        ("2025-10-01T15:00:00", 0, "same_day", "2025-10-01T17:00:00"),
        ("2025-10-01T15:00:01", 0, "same_day", "2025-10-02T17:00:00"),
        ("2025-10-03T15:30:00", 0, "same_day", "2025-10-06T17:00:00"),
        ("2025-10-04T10:00:00", 0, "same_day", "2025-10-06T17:00:00"),  # a Saturday
        ("2025-01-24T16:00:00", 0, "same_day", "2025-02-03T17:00:00"),
    ],
)
def test_a_limit_ends_when_the_rule_says(accepted, limit, unit, due):
    assert due_at(vn(accepted), limit, unit) == vn(due)


def test_civil_status_paper_after_15_is_due_next_working_day():
    accepted = accepted_at(vn("2025-10-03T15:30:00"), online=False)
    assert due_at(accepted, 0, "same_day") == vn("2025-10-06T17:00:00")


@pytest.mark.parametrize(
    ("at", "minutes", "end"),
    [
        ("2025-10-01T08:00:00", 480, "2025-10-01T17:00:00"),
        ("2025-10-01T08:00:00", 240, "2025-10-01T12:00:00"),
        ("2025-10-01T08:00:00", 241, "2025-10-01T13:01:00"),
        ("2025-10-01T16:00:00", 61, "2025-10-02T08:01:00"),
        ("2025-10-01T20:00:00", 0, "2025-10-02T08:00:00"),
        ("2025-10-04T10:00:00", 60, "2025-10-06T09:00:00"),
    ],
)
def test_handling_takes_working_minutes_only(at, minutes, end):
    assert after(vn(at), minutes) == vn(end)


def test_closing_time_and_next_opening_are_one_position():
    closing, opening = vn("2025-10-03T17:00:00"), vn("2025-10-06T08:00:00")
    position = CALENDAR.position(closing)
    assert position == CALENDAR.position(opening)
    assert (CALENDAR.end_at(position), CALENDAR.start_at(position)) == (closing, opening)


def test_the_first_position_is_the_first_opening():
    assert CALENDAR.start_at(0) == CALENDAR.end_at(0) == vn("2025-01-02T08:00:00")


def test_another_time_zone_gives_the_same_answer():
    at = vn("2025-10-01T15:30:00")
    elsewhere = (
        at.astimezone(UTC),
        at.astimezone(timezone(timedelta(hours=-5))),
        at.astimezone(timezone(timedelta(hours=7))),
    )
    for same in elsewhere:
        assert CALENDAR.position(same) == CALENDAR.position(at)
        assert accepted_at(same, online=False) == vn("2025-10-02T08:00:00")
        assert due_at(same, 0, "same_day") == vn("2025-10-02T17:00:00")


def test_answers_are_in_vietnams_time():
    at = datetime(2025, 10, 1, 3, tzinfo=UTC)
    assert due_at(at, 1, "working_day").utcoffset() == timedelta(hours=7)


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="has no time zone; give an aware datetime"):
        CALENDAR.position(datetime(2025, 10, 1, 9))  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("at", ["2024-12-31T09:00:00", "2027-01-01T09:00:00"])
def test_a_day_outside_the_calendar_is_named(at):
    with pytest.raises(CalendarRangeError, match=rf"{at[:10]} is outside the calendar 2025-01-01\.\.2026-12-31"):
        CALENDAR.position(vn(at))


def test_a_limit_past_the_calendar_is_refused():
    with pytest.raises(CalendarRangeError, match="after 2026-12-31"):
        due_at(vn("2026-12-30T09:00:00"), 5, "working_day")
    with pytest.raises(CalendarRangeError, match="after 2026-12-31"):
        after(vn("2026-12-31T16:00:00"), 61)
    with pytest.raises(CalendarRangeError, match="before 2025-01-01"):
        CALENDAR.start_at(-1)


def test_the_last_working_minute_is_still_inside():
    assert after(vn("2026-12-31T16:00:00"), 60) == vn("2026-12-31T17:00:00")


@pytest.mark.parametrize("unit", ["working_day", "hour"])
def test_a_limit_of_nothing_is_refused(unit):
    with pytest.raises(ValueError, match="a limit is at least 1"):
        due_at(vn("2025-10-01T09:00:00"), 0, unit)


def test_default_hours_are_those_of_the_parameters():
    assert CALENDAR.hours == OfficeHours()
    assert OfficeHours().minutes_per_day == 60 * 8


def test_other_office_hours_move_the_answers():
    hours = OfficeHours(opens=420, noon_starts=690, noon_ends=810, closes=1020, cutoff=900)
    calendar = WorkingCalendar(load_domain().holidays, hours)
    assert after(vn("2025-10-01T06:00:00"), 300, calendar) == vn("2025-10-01T14:00:00")


def test_a_calendar_without_holidays_is_refused():
    with pytest.raises(ValueError, match="at least one holiday"):
        WorkingCalendar([])


def test_offices_that_never_open_are_refused():
    with pytest.raises(ValueError, match="leaves no working minute"):
        OfficeHours(opens=900, noon_starts=900, noon_ends=900, closes=900, cutoff=900)


def test_a_calendar_covers_whole_years():
    calendar = WorkingCalendar([Holiday(date(2028, 5, 1), "Ngày Quốc tế lao động", "holiday", "M", "test")])
    assert (calendar.first_day, calendar.last_day) == (date(2028, 1, 1), date(2028, 12, 31))
