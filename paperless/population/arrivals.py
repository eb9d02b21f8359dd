"""When and where applications arrive: how many per commune, and for each its second of the day, procedure and mode.

Pure. A day is packed into integers, so 121,000 arrivals take about 6 MB while they are sorted and 1 MB afterwards.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from itertools import accumulate, pairwise
from math import exp
from statistics import NormalDist
from typing import NamedTuple

from contracts.draws import draws
from domain import Commune, Domain, Procedure
from paperless.population.shares import Shares
from paperless.population.time_of_day import SecondOf, counter_day, online_free_day, online_working_day

# Wards are where the offices, firms and newcomers are; special zones are small islands. Assumed: nothing is published.
KIND_WEIGHT: Mapping[str, float] = {"phuong": 1.6, "xa": 1.0, "dac_khu": 0.3}
# Busiest published wards have 5-7 times the mean of a commune (volume.commune_mean_per_working_day, low and high).
COMMUNE_SIGMA = 0.5
MAX_PER_COMMUNE = (1 << 20) - 1


class Mode(IntEnum):
    """How an application is brought: a channel, or online with help at a service centre."""

    ONLINE = 0
    ASSISTED = 1
    POST = 2
    DIRECT = 3


class Arrival(NamedTuple):
    """One application: second of the day, positions in the day's tuples, and its running number (from 1)."""

    second: int
    commune: int
    number: int
    procedure: int
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedDay:
    """Everything that one simulated day is drawn from, the same for its arrivals and its people.

    `communes` are those that take part, in file order; `procedures` and `weights` are the mix; `shares` is by province;
    `applications` is the exact total.
    """

    seed: int
    date: date
    applications: int
    office_open: bool
    domain: Domain
    communes: tuple[Commune, ...]
    shares: Mapping[str, Shares]
    procedures: tuple[Procedure, ...]
    weights: tuple[float, ...]


def apportion(weights: Sequence[float], total: int) -> list[int]:
    """Return counts in proportion to the weights that add up to `total` exactly (cumulative rounding).

    Raises:
        ValueError: the weights add up to nothing.

    """
    edges = list(accumulate(weights))
    if not edges or edges[-1] <= 0:
        raise ValueError("apportion: the weights add up to 0; give at least one positive weight")
    rounded = [0, *(int(total * edge / edges[-1] + 0.5) for edge in edges)]
    return [after - before for before, after in pairwise(rounded)]


def province_weight(domain: Domain, province: str) -> float:
    """Return population x volume factor, to which a province's volume is proportional."""
    return domain.provinces[province].population * domain.profiles[province].volume_factor


def commune_weights(day: SimulatedDay) -> list[float]:
    """Return the weight of each commune: its province's, divided by kind and a drawn, lasting size (log-normal)."""
    normal = NormalDist()
    sizes = [
        KIND_WEIGHT[commune.kind]
        * exp(COMMUNE_SIGMA * normal.inv_cdf(draws(day.seed, "commune", commune.code)[0] or 0.5))
        for commune in day.communes
    ]
    whole: dict[str, float] = {}
    for commune, size in zip(day.communes, sizes, strict=True):
        whole[commune.province] = whole.get(commune.province, 0.0) + size
    factor = {code: province_weight(day.domain, code) / total for code, total in whole.items()}
    return [size * factor[commune.province] for commune, size in zip(day.communes, sizes, strict=True)]


def arrivals(day: SimulatedDay) -> Iterator[Arrival]:
    """Yield the day's arrivals in event-time order; equal seconds in the order of commune and number.

    Raises:
        ValueError: over 1,048,575 applications of one commune, 4,096 communes or 64 procedures.

    """
    packed = array("Q", sorted(_packed(day)))
    return (Arrival(word >> 40, word >> 28 & 0xFFF, word >> 8 & 0xFFFFF, word >> 2 & 0x3F, word & 3) for word in packed)


class _Modes(NamedTuple):
    """Upper ends of the modes' intervals in [0, 1) for what can be filed online; the rest is filed directly."""

    online: float
    assisted: float
    post: float


# Plain integers: packing an enum member costs three times as much.
_ONLINE, _ASSISTED, _POST, _DIRECT = map(int, Mode)
# One digest of 16 draws serves five applications with three draws each.
_BLOCK = 5


def _packed(day: SimulatedDay) -> Iterator[int]:
    counts = apportion(commune_weights(day), day.applications)
    _check_fits("applications of one commune", max(counts), MAX_PER_COMMUNE)
    _check_fits("communes", len(day.communes), 0x1000)
    _check_fits("procedures", len(day.procedures), 0x40)
    choose, times, modes = _mix(day), _times(day), _modes(day)
    date_text = day.date.isoformat()
    for position, (commune, count) in enumerate(zip(day.communes, counts, strict=True)):
        ends = modes[commune.province]
        for first in range(0, count, _BLOCK):
            drawn = draws(day.seed, "arrival", date_text, commune.code, str(first // _BLOCK))
            for offset in range(min(_BLOCK, count - first)):
                procedure, fileable = choose(drawn[offset])
                mode = _mode(drawn[offset + _BLOCK], ends, fileable)
                second = times[mode](drawn[offset + 2 * _BLOCK])
                yield second << 40 | position << 28 | (first + offset + 1) << 8 | procedure << 2 | mode


def _check_fits(counted: str, count: int, limit: int) -> None:
    if count > limit:
        raise ValueError(f"{count} {counted} on one day do not fit; give at most {limit}")


def _mode(u: float, ends: _Modes, fileable: bool) -> int:  # noqa: FBT001  positional: once per application
    if u >= ends.assisted:
        return _POST if u < ends.post else _DIRECT
    if not fileable:
        return _DIRECT
    return _ONLINE if u < ends.online else _ASSISTED


def _can_be_filed_online(procedure: Procedure) -> bool:
    return procedure.service_level != "information"


def _mix(day: SimulatedDay) -> Callable[[float], tuple[int, bool]]:
    """Return a function of one draw: the procedure's position and whether it can be filed online."""
    fileable = [_can_be_filed_online(procedure) for procedure in day.procedures]
    # Without an open counter nobody files what has no online form.
    weights = [w if day.office_open or can else 0.0 for w, can in zip(day.weights, fileable, strict=True)]
    edges = list(accumulate(weights))
    rows = list(enumerate(fileable))
    whole, last = edges[-1], max(position for position, weight in enumerate(weights) if weight)
    return lambda u: rows[min(bisect_right(edges, u * whole), last)]


def _times(day: SimulatedDay) -> tuple[SecondOf, ...]:
    """Return the time of day by mode; whoever needs a counter or its staff comes in office hours."""
    online = online_working_day(day.domain) if day.office_open else online_free_day()
    counter = counter_day(day.domain)
    return tuple(online if mode is Mode.ONLINE else counter for mode in Mode)


def _modes(day: SimulatedDay) -> dict[str, _Modes]:
    """Return the intervals by province, so that the share of *all* applications filed online is the published one."""
    fileable = sum(
        w for w, procedure in zip(day.weights, day.procedures, strict=True) if _can_be_filed_online(procedure)
    )
    fileable /= sum(day.weights)
    return {code: _intervals(shares, fileable, office_open=day.office_open) for code, shares in day.shares.items()}


def filed_online_share(day: SimulatedDay, province: str, procedure: Procedure) -> float:
    """Return which share of a procedure's applications is filed online in a province."""
    return _modes(day)[province].assisted if _can_be_filed_online(procedure) else 0.0


def _intervals(shares: Shares, fileable: float, *, office_open: bool) -> _Modes:
    if not office_open:
        return _Modes(1.0, 1.0, 1.0)
    online = min(shares.online_share / fileable, 1 - shares.postal_share) if fileable else 0.0
    return _Modes(online * (1 - shares.assisted_share), online, online + shares.postal_share)
