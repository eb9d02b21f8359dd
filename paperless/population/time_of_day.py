"""The hour at which applications are filed: weights per minute, and their inverse for one uniform draw.

Pure. The shapes are assumed (mark C); the share before the cut-off hour is a parameter (`volume.share_before_cutoff`).
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from domain import Domain

MINUTES = 1440
# Weight per half hour, midnight first: peaks at 8-10 and 13:30-15. The counters' hours are cut out of it.
_WORKING_DAY = (
    *(0.02,) * 12,
    *(0.05, 0.1, 0.2, 0.6),
    *(1.5, 1.7, 1.7, 1.5, 1.0, 0.8, 0.6, 0.3),
    *(0.25, 0.3, 0.6, 1.2, 1.3, 1.1),
    *(0.8, 0.7, 0.5, 0.4, 0.25, 0.2),
    *(0.25, 0.35, 0.4, 0.4, 0.35, 0.25, 0.15, 0.1),
    *(0.06, 0.04, 0.03, 0.02),
)
_FREE_DAY = (*(0.02,) * 12, *(0.1, 0.2, 0.4, 0.7), *(1.0,) * 8, *(0.7,) * 4, *(1.0,) * 16, *(0.4, 0.3, 0.1, 0.05))
# A day is watched between these hours; the night passes eight times as fast.
_WATCHED = (6 * 3600, 22 * 3600)
_NIGHT_SPEED = 8

SecondOf = Callable[[float], int]


def online_working_day(domain: Domain) -> SecondOf:
    """Return the inverse of the working-day profile around the clock: a draw in [0, 1) gives a second of the day."""
    return _inverse(_scaled(_by_minute(_WORKING_DAY), domain))


def counter_day(domain: Domain) -> SecondOf:
    """Return the inverse of the same profile within office hours (parameters `office.*`)."""
    opens, closes = domain.number("office.opens_minute"), domain.number("office.closes_minute")
    noon = domain.number("office.noon_break_starts_minute"), domain.number("office.noon_break_ends_minute")
    within = [
        weight if opens <= minute < closes and not noon[0] <= minute < noon[1] else 0.0
        for minute, weight in enumerate(_by_minute(_WORKING_DAY))
    ]
    return _inverse(_scaled(within, domain))


def online_free_day() -> SecondOf:
    """Return the inverse of the profile of a day without offices: people file when they are awake."""
    return _inverse(_by_minute(_FREE_DAY))


def played_share(second: float) -> float:
    """Return how much of a played day has passed (0..1) at this second of the simulated day.

    Linear from 06:00 to 22:00, so that what one watches follows the profile; the night is played eight times as fast.
    """
    dawn, dusk = _WATCHED
    whole = dusk - dawn + (dawn + 86_400 - dusk) / _NIGHT_SPEED
    watched = min(max(second, dawn), dusk) - dawn
    night = min(second, dawn) + max(second - dusk, 0)
    return (watched + night / _NIGHT_SPEED) / whole


def _by_minute(half_hours: Sequence[float]) -> list[float]:
    return [half_hours[minute // 30] for minute in range(MINUTES)]


def _scaled(weights: Sequence[float], domain: Domain) -> list[float]:
    cutoff, share = int(domain.number("intake.cutoff_hour") * 60), domain.number("volume.share_before_cutoff")
    before, after = sum(weights[:cutoff]), sum(weights[cutoff:])
    return [w * (share / before if minute < cutoff else (1 - share) / after) for minute, w in enumerate(weights)]


def _inverse(weights: Sequence[float]) -> SecondOf:
    edges = [0.0, *accumulate(weights)]
    whole = edges[-1]
    spans = [60 / (after - before) if after > before else 0.0 for before, after in pairwise(edges)]

    def second_of(u: float) -> int:
        mark = u * whole
        minute = bisect_right(edges, mark) - 1
        # The minimum keeps a rounded-up product inside its minute.
        return minute * 60 + min(int((mark - edges[minute]) * spans[minute]), 59)

    return second_of
