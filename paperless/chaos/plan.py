"""Which faults happen to whom, and when: drawn from a seed and fixed before the run begins; pure."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import chain
from typing import Final, NamedTuple

from contracts.draws import DRAWS_PER_DIGEST, draws

# After a fault its part is left alone for so long: what is restarted has to be there before it is hit again.
REST_S: Final = 5.0
# Of a fault's share of the time: it begins somewhere in the first part of it.
_LATEST: Final = 0.8


class Kind(StrEnum):
    """What happens to a target."""

    KILL = "kill"
    FREEZE = "freeze"
    LONG_FREEZE = "long_freeze"
    STOP = "stop"
    SILENCE = "silence"
    STORE_LOCKED = "store_locked"
    DISK_FULL = "disk_full"
    MEMBER_JOINS = "member_joins"
    DISCONNECT = "disconnect"
    BURST = "burst"


class Hazard(NamedTuple):
    """What may happen to a target, and for how many seconds; `target` is a part's name, or `part/network`."""

    kind: Kind
    target: str
    shortest_s: float
    longest_s: float


class Fault(NamedTuple):
    """One fault of a plan; seconds since the load began. `lasts_s` is 0 where a moment is all there is to it."""

    kind: Kind
    target: str
    begins_s: float
    lasts_s: float

    @property
    def ends_s(self) -> float:
        """The second at which it ends."""
        return self.begins_s + self.lasts_s

    @property
    def part(self) -> str:
        """The part of the system that it happens to."""
        return part_of(self.target)


def part_of(target: str) -> str:
    """Return `scoring` for `scoring/store`, its connection to that network."""
    return target.partition("/")[0]


def chaos_plan(
    seed: int,
    faults: int,
    seconds: float,
    hazards: Sequence[Hazard],
    *,
    after_s: float = 0.0,
    rest_s: float = REST_S,
) -> tuple[Fault, ...]:
    """Return faults in the order in which they begin, spread over the seconds between `after_s` and `seconds`.

    Each kind of the hazards happens at least once if there are as many faults as kinds. A part has one fault at a
    time, and `rest_s` seconds between two. Where that leaves no room, the plan goes on beyond `seconds`: see `fits`.

    Args:
        seed: names every draw.
        faults: how many.
        seconds: when the last has begun.
        hazards: what may happen.
        after_s: when the first may begin.
        rest_s: how long a part is left alone after a fault.

    Raises:
        ValueError: nothing may happen, and something should.

    """
    if faults and not hazards:
        raise ValueError("no hazards: nothing can happen to this system")
    waiting = _kinds(seed, faults, hazards)
    free_at: dict[str, float] = {}
    plan: list[Fault] = []
    share, earliest = (seconds - after_s) / max(faults, 1), after_s
    for number in range(faults):
        at, which, length = draws(seed, "fault", number)[:3]
        earliest = max(after_s + share * (number + at * _LATEST), earliest)
        candidates = _candidates(waiting, hazards, free_at, earliest)
        if not candidates:
            earliest = min(free_at[part_of(hazard.target)] for hazard in hazards if hazard.kind in waiting)
            candidates = _candidates(waiting, hazards, free_at, earliest)
        hazard = candidates[int(which * len(candidates))]
        lasts = round(hazard.shortest_s + length * (hazard.longest_s - hazard.shortest_s), 2)
        plan.append(Fault(hazard.kind, hazard.target, round(earliest, 2), lasts))
        waiting.remove(hazard.kind)
        free_at[part_of(hazard.target)] = plan[-1].ends_s + rest_s
    return tuple(plan)


def fits(plan: Sequence[Fault], seconds: float) -> bool:
    """Return whether all faults are over within these seconds."""
    return all(fault.ends_s <= seconds for fault in plan)


def _candidates(
    waiting: Sequence[Kind], hazards: Sequence[Hazard], free_at: dict[str, float], moment: float
) -> list[Hazard]:
    """Return the hazards of the first kind that waits and has a target which is free."""
    free = [hazard for hazard in hazards if free_at.get(part_of(hazard.target), 0.0) <= moment]
    of_kinds = ([hazard for hazard in free if hazard.kind is kind] for kind in waiting)
    return next(filter(None, of_kinds), [])


def _kinds(seed: int, faults: int, hazards: Sequence[Hazard]) -> list[Kind]:
    """Return the kinds of a plan in the order in which they are tried: each one, then what is drawn."""
    kinds = list(dict.fromkeys(hazard.kind for hazard in hazards))
    further = [kinds[int(u * len(kinds))] for u in _numbers(seed, "fault kind", max(faults - len(kinds), 0))]
    every = [*_shuffled(seed, "fault kinds", kinds), *further][:faults]
    return _shuffled(seed, "fault order", every)


def _shuffled(seed: int, subject: str, kinds: Sequence[Kind]) -> list[Kind]:
    numbers = _numbers(seed, subject, len(kinds))
    return [kind for _, _, kind in sorted(zip(numbers, range(len(kinds)), kinds, strict=True))]


def _numbers(seed: int, subject: str, count: int) -> list[float]:
    blocks: Iterator[tuple[float, ...]] = (
        draws(seed, subject, block) for block in range(-(-count // DRAWS_PER_DIGEST))
    )
    return list(chain.from_iterable(blocks))[:count]
