"""What is asked, read from an address's query."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast, get_args

from paperless.whatif.levers import LeverError, Setting
from paperless.whatif.rates import Run

# Of the plan for 2025, read as D1 (domain/README.md, section 4).
USUAL_TARGET = 0.8


class Question(NamedTuple):
    """Where, whose D1, with the levers how, and to what target (0..1); hashable."""

    province: str | None
    run_by: Run
    levers: tuple[tuple[str, float], ...]
    target: float

    @property
    def setting(self) -> Setting:
        return dict(self.levers)


def question_of(query: Mapping[str, str], levers: Iterable[str]) -> Question:
    """Return the question of a query (`province`, `by`, `target`) and its levers, each NAME=VALUE.

    Raises:
        LeverError: a value is none, or a lever is named twice; says what to write.

    """
    by = query.get("by", "province")
    if by not in get_args(Run):
        raise LeverError(f"by={by}: write one of {', '.join(get_args(Run))}")
    target = _number("target", query.get("target", str(USUAL_TARGET)))
    if not 0 <= target <= 1:
        raise LeverError(f"target={target:g}: a rate lies between 0 and 1")
    pairs = [(name, _number(name, value)) for name, _, value in (each.partition("=") for each in levers)]
    if len(dict(pairs)) < len(pairs):
        raise LeverError("a lever is named twice; name it once")
    return Question(query.get("province") or None, cast("Run", by), tuple(sorted(pairs)), target)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise LeverError(f"{name}={text}: write a number, for example {name}=0.5") from None
