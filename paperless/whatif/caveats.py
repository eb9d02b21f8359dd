"""What every answer hangs on, said with it, in both languages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paperless.language import LANGUAGES, texts
from paperless.whatif.levers import Levers


@dataclass(frozen=True, slots=True)
class Caveat:
    """One reservation."""

    name: str
    vi: str
    en: str


def caveats_of(levers: Levers, used: Sequence[str], sample: Mapping[str, int], ceiling: float | None) -> list[Caveat]:
    """Return the reservations about an answer.

    Args:
        levers: all that there are.
        used: those that the answer is about.
        sample: `applications` simulated, on so many days (`seeds`).
        ceiling: D1 with every lever at its best but those that change procedures, where a target was asked for.

    """
    assumed = [levers[name] for name in dict.fromkeys(used) if levers[name].evidence == "C"]
    invented = sorted({code for name in used for code in levers[name].procedures if code.startswith("X.9")})
    caveats = [_caveat("simulated", [sample, sample])]
    if assumed:
        caveats.append(_caveat("assumed", [{"levers": [each.names[place] for each in assumed]} for place in range(2)]))
    if invented:
        caveats.append(_caveat("invented", [{"groups": invented}] * 2))
    if ceiling is not None:
        caveats += [_caveat("procedures", [{"rate": 100 * ceiling}] * 2), _caveat("costs", [{}, {}])]
    return [*caveats, _caveat("ignorance", [{}, {}])]


def _caveat(name: str, values: Sequence[Mapping[str, object]]) -> Caveat:
    said = [texts(language)(f"caveat.{name}", **each) for language, each in zip(LANGUAGES, values, strict=True)]
    return Caveat(name, *said)
