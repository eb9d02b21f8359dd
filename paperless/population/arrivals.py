"""When and where applications arrive: how many per commune, and for each its second of the day, procedure and mode.

Pure. A day is packed into integers, so 121,000 arrivals take about 6 MB while they are sorted and 1 MB afterwards.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from itertools import accumulate, pairwise
from math import exp
from statistics import NormalDist
from typing import NamedTuple

from contracts.draws import draws
from domain import Authority, Commune, Domain, Procedure
from paperless.population.shares import Shares
from paperless.population.time_of_day import SecondOf, counter_day, online_free_day, online_working_day

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
    `applications` is the exact total. `fileable` is which share of what an authority runs can be filed online. Mix and
    `fileable` are kept as they were made: who asks what if (`paperless.whatif`) replaces procedures, shares and domain,
    and whom that does not concern is drawn as before.
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
    fileable: Mapping[Authority, float]


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
    normal, number = NormalDist(), day.domain.number
    kinds = {"phuong": number("volume.ward_weight"), "xa": 1.0, "dac_khu": number("volume.special_zone_weight")}
    sigma = number("volume.commune_sigma_log")
    sizes = [
        kinds[commune.kind] * exp(sigma * normal.inv_cdf(draws(day.seed, "commune", commune.code)[0] or 0.5))
        for commune in day.communes
    ]
    whole: dict[str, float] = {}
    for commune, size in zip(day.communes, sizes, strict=True):
        whole[commune.province] = whole.get(commune.province, 0.0) + size
    factor = {code: province_weight(day.domain, code) / total for code, total in whole.items()}
    return [size * factor[commune.province] for commune, size in zip(day.communes, sizes, strict=True)]


def commune_loads(day: SimulatedDay) -> list[float]:
    """Return each commune's volume against the mean of its province, whose communes have much the same staff."""
    weights, number = commune_weights(day), Counter(commune.province for commune in day.communes)
    mean = {code: province_weight(day.domain, code) / count for code, count in number.items()}
    return [weight / mean[commune.province] for commune, weight in zip(day.communes, weights, strict=True)]


def arrivals(day: SimulatedDay) -> Iterator[Arrival]:
    """Yield the day's arrivals in event-time order; equal seconds in the order of commune and number.

    Raises:
        ValueError: over 1,048,575 applications of one commune, 4,096 communes or 64 procedures.

    """
    packed = array("Q", sorted(_packed(day)))
    return (Arrival(word >> 40, word >> 28 & 0xFFF, word >> 8 & 0xFFFFF, word >> 2 & 0x3F, word & 3) for word in packed)


class _Modes(NamedTuple):
    """Of one province: which draws file online, by who runs the procedure, and with help; which send it by post.

    Each threshold stands alone: online grows from 0, post from 1, and help has a draw of its own, so that a lever moves
    those only whom it concerns.
    """

    online: Mapping[Authority, float]
    assisted: float
    post_from: float


# Plain integers: packing an enum member costs three times as much.
_ONLINE, _ASSISTED, _POST, _DIRECT = map(int, Mode)
# One digest of 16 draws serves four applications with four draws each: procedure, channel, help, time.
_BLOCK = 4


def _packed(day: SimulatedDay) -> Iterator[int]:
    counts = apportion(commune_weights(day), day.applications)
    _check_fits("applications of one commune", max(counts), MAX_PER_COMMUNE)
    _check_fits("communes", len(day.communes), 0x1000)
    _check_fits("procedures", len(day.procedures), 0x40)
    choose, times, modes = _mix(day), _times(day), _modes(day)
    kinds = [procedure.authority if can_be_filed_online(procedure) else None for procedure in day.procedures]
    date_text = day.date.isoformat()
    for position, (commune, count) in enumerate(zip(day.communes, counts, strict=True)):
        online, assisted, post_from = modes[commune.province]
        ends = [online[kind] if kind else 0.0 for kind in kinds]
        for first in range(0, count, _BLOCK):
            drawn = draws(day.seed, "arrival", date_text, commune.code, str(first // _BLOCK))
            for offset in range(min(_BLOCK, count - first)):
                procedure = choose(drawn[offset])
                channel = drawn[offset + _BLOCK]
                if channel < ends[procedure]:
                    mode = _ASSISTED if drawn[offset + 2 * _BLOCK] < assisted else _ONLINE
                else:
                    mode = _DIRECT if channel < post_from else _POST
                second = times[mode](drawn[offset + 3 * _BLOCK])
                yield second << 40 | position << 28 | (first + offset + 1) << 8 | procedure << 2 | mode


def _check_fits(counted: str, count: int, limit: int) -> None:
    if count > limit:
        raise ValueError(f"{count} {counted} on one day do not fit; give at most {limit}")


def can_be_filed_online(procedure: Procedure) -> bool:
    return procedure.service_level != "information"


def _mix(day: SimulatedDay) -> Callable[[float], int]:
    """Return a function of one draw: the procedure's position."""
    edges = list(accumulate(day.weights))
    whole, last = edges[-1], max(position for position, weight in enumerate(day.weights) if weight)
    return lambda u: min(bisect_right(edges, u * whole), last)


def _times(day: SimulatedDay) -> tuple[SecondOf, ...]:
    """Return the time of day by mode; whoever needs a counter or its staff comes in office hours."""
    online = online_working_day(day.domain) if day.office_open else online_free_day()
    counter = counter_day(day.domain)
    return tuple(online if mode is Mode.ONLINE else counter for mode in Mode)


def _modes(day: SimulatedDay) -> dict[str, _Modes]:
    return {code: _thresholds(shares, day.fileable, office_open=day.office_open) for code, shares in day.shares.items()}


def _thresholds(shares: Shares, fileable: Mapping[Authority, float], *, office_open: bool) -> _Modes:
    if not office_open:
        return _Modes(dict.fromkeys(fileable, 1.0), 0.0, 1.0)
    post_from = 1 - shares.postal_share
    online = {
        authority: min(shares.online_share / share, post_from) if share else 0.0
        for authority, share in fileable.items()
    }
    return _Modes(online, shares.assisted_share, post_from)


def weights_on(procedures: Sequence[Procedure], weights: Sequence[float], *, office_open: bool) -> tuple[float, ...]:
    """Return the mix of a day: without an open counter nobody files what has no online form."""
    pairs = zip(procedures, weights, strict=True)
    return tuple([weight if office_open or can_be_filed_online(procedure) else 0.0 for procedure, weight in pairs])


def fileable_shares(procedures: Sequence[Procedure], weights: Sequence[float]) -> Mapping[Authority, float]:
    """Return which share of what an authority runs can be filed online.

    The published online shares are of *all* that provinces run, so what can be filed online is filed so more often.
    Nothing is published of what ministries run; the same share is taken.
    """
    whole: dict[Authority, float] = {"province": 0.0, "ministry": 0.0}
    online = dict(whole)
    for procedure, weight in zip(procedures, weights, strict=True):
        whole[procedure.authority] += weight
        online[procedure.authority] += weight * can_be_filed_online(procedure)
    return {authority: online[authority] / total if total else 0.0 for authority, total in whole.items()}


def online_shares(day: SimulatedDay) -> Mapping[str, Mapping[Authority, float]]:
    """Return, by province and authority, which share of what can be filed online is."""
    return {code: modes.online for code, modes in _modes(day).items()}


def filed_online_shares(day: SimulatedDay) -> Mapping[str, tuple[float, ...]]:
    """Return, by province, which share of each procedure's applications is filed online, in the day's order."""
    fileable = [can_be_filed_online(procedure) for procedure in day.procedures]
    return {
        code: tuple(
            [
                online[procedure.authority] if can_be else 0.0
                for procedure, can_be in zip(day.procedures, fileable, strict=True)
            ]
        )
        for code, online in online_shares(day).items()
    }
