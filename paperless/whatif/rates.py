"""Whose D1: what provinces run, what ministries run, or both, which for the country is weighed by the published mix."""

from collections.abc import Mapping
from typing import Final, Literal

from domain import Authority

Run = Literal["province", "ministry", "all"]
RUNS: Final[tuple[Run, ...]] = ("province", "ministry", "all")


def rate_of(both: Mapping[Authority, tuple[float, ...]], run: Run, ministry_share: float | None) -> float:
    """Return D1, 0..1; 0 where nothing is counted.

    Args:
        both: by authority, those that ended end to end, and all.
        run: whose.
        ministry_share: the weight of what ministries run; None counts applications as they come.

    """
    if run != "all":
        return _rate(*both[run])
    if ministry_share is None:
        return _rate(*[sum(each) for each in zip(*both.values(), strict=True)])
    return (1 - ministry_share) * _rate(*both["province"]) + ministry_share * _rate(*both["ministry"])


def _rate(ended: float, counted: float) -> float:
    return ended / counted if counted else 0.0
